"""The messages of the load source: like Kalshi's, each with a newline at its end, in sequences without gaps. Pure.

Message number `i` of a stream is on sid `1 + i % sids` and has the seq `FIRST_SEQ + i // sids`. A cycle of up to a few
thousand frames is made once, and is sent over and over. Only the seq and the time of sending differ from one turn to
the next. They have fields of fixed width, so that frames never change their size.
"""

from __future__ import annotations

import uuid
from functools import cached_property

from ssmd.sim.frames import TEXT, encode

__all__ = ["BURSTS", "FIRST_SEQ", "SUBSCRIBE", "TICKERS", "Cycle", "acknowledgements"]

FIRST_SEQ = 1_000_000_000
"""It has ten digits, and so have the next nine thousand million."""

BURSTS = (1, 1, 1, 5)
"""How many messages a paced source sends at once, over and over: one, one, one and five, at even distances."""

TICKERS = ["KXFED-26DEC-T3.75", "KXHIGHNY-26NOV22-B54"]
SUBSCRIBE = (
    '{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"],'
    f'"market_tickers":["{TICKERS[0]}","{TICKERS[1]}"]}}}}'
)
"""The command that every peer sends. ssmd makes its own from its metadata, for the same channel and markets."""

_CYCLE_FRAMES = 1000
_CYCLE_BYTES = 4 * 1024 * 1024
_TIME = "0" * 27
"""The field `ts` of an order book's change, and `time` of the others, as wide as Kalshi's
`2026-11-22T10:30:00.123456Z`, holds the time of sending in ns instead. Kalshi's schema allows that."""
_SECONDS = 1767225600
"""The field `ts` of the others."""
_TIME_MS = _SECONDS * 1000
"""The field `ts_ms`, where it does not hold the time of sending."""


class Cycle:
    """The messages of one turn, on `sids` subscriptions; all of `size` bytes, or of Kalshi's sizes when that is 0."""

    def __init__(self, sids: int = 4, size: int = 0) -> None:
        self.sids = sids
        turns = max(1, min(_CYCLE_FRAMES, _CYCLE_BYTES // (size or 264)) // sids)
        self.texts = [_text(index, 1 + index % sids, size) for index in range(turns * sids)]
        """Each message of the first turn, with a time of zeros."""

    def text(self, number: int, sent_ns: int = 0) -> bytes:
        """Return message `number` of the stream, sent at `sent_ns` of the wall clock; 0 when it holds no time."""
        text = self.texts[number % len(self.texts)]
        text = text.replace(b'"seq":%d' % FIRST_SEQ, b'"seq":%d' % self.seq(number), 1)
        if not sent_ns:
            return text
        text = text.replace(b'"%b"' % _TIME.encode(), b'"%027d"' % sent_ns, 1)
        return text.replace(b'"ts_ms":%d' % _TIME_MS, b'"ts_ms":%013d' % (sent_ns // 1_000_000), 1)

    def seq(self, number: int) -> int:
        return FIRST_SEQ + number // self.sids

    @cached_property
    def frames(self) -> list[bytes]:
        return [encode(TEXT, text) for text in self.texts]

    @cached_property
    def format(self) -> bytes:
        """All frames of a turn, with a `%d` for each seq, so that one operator formats a whole turn."""
        escaped = b"".join(self.frames).replace(b"%", b"%%")
        return escaped.replace(b'"seq":%d' % FIRST_SEQ, b'"seq":%d')

    def turn(self, number: int) -> bytes:
        """Return the frames of the turn whose first message is `number`, a multiple of the cycle's length."""
        first = self.seq(number)
        return self.format % tuple([first + index // self.sids for index in range(len(self.frames))])


def acknowledgements(command_id: int, channels: list[str]) -> list[bytes]:
    """Return Kalshi's replies to a subscribe command: one message for each channel."""
    return [
        b'{"id":%d,"type":"subscribed","msg":{"channel":"%b","sid":%d}}\n' % (command_id, channel.encode(), sid)
        for sid, channel in enumerate(channels, 1)
    ]


def _text(index: int, sid: int, size: int) -> bytes:
    if size:
        head, tail = f'{{"type":"sized","sid":{sid},"seq":{FIRST_SEQ},"x":"', '"}\n'
        if size < len(head) + len(tail):
            raise ValueError(f"a message on sid {sid} needs more than {size} bytes")
        return f"{head}{'x' * (size - len(head) - len(tail))}{tail}".encode()
    return f'{{"type":"{_kind(index)}","sid":{sid},"seq":{FIRST_SEQ},"msg":{_body(index)}}}\n'.encode()


def _kind(index: int) -> str:
    """Return the type of a message: of 40, 38 are changes of order books, one is a trade and one a ticker."""
    return {7: "trade", 27: "ticker"}.get(index % 40, "orderbook_delta")


def _body(index: int) -> str:
    ticker = TICKERS[index % 2]
    price, size = f"0.{index % 99 + 1:02d}00", f"{index * 7 % 1000}.00"
    market = f'"market_ticker":"{ticker}","market_id":"{uuid.UUID(int=index * 0x1F3D5B79A8C6E4)}"'
    when = f'"ts":{_SECONDS},"ts_ms":{_TIME_MS},"time":"{_TIME}"'
    if _kind(index) == "trade":
        return (
            f'{{"trade_id":"{uuid.UUID(int=index)}","market_ticker":"{ticker}","yes_price_dollars":"{price}",'
            f'"no_price_dollars":"{price}","count_fp":"{size}","taker_side":"yes","taker_outcome_side":"yes",'
            f'"taker_book_side":"bid","is_block_trade":false,{when}}}'
        )
    if _kind(index) == "ticker":
        return (
            f'{{{market},"price_dollars":"{price}","yes_bid_dollars":"{price}","yes_ask_dollars":"{price}",'
            f'"volume_fp":"{size}","open_interest_fp":"{size}","dollar_volume":{index},"dollar_open_interest":{index},'
            f'"yes_bid_size_fp":"{size}","yes_ask_size_fp":"{size}","last_trade_size_fp":"{size}",{when}}}'
        )
    return f'{{{market},"price_dollars":"{price}","delta_fp":"-{size}","side":"no","ts":"{_TIME}","ts_ms":{_TIME_MS}}}'
