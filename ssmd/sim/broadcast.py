"""The simulated generic exchange: no keys, no commands, and messages from the start."""

from __future__ import annotations

from ssmd.sim.book import moment
from ssmd.sim.markets import Markets
from ssmd.sim.refusal import text_of

__all__ = ["Broadcast"]

_KINDS = ("ticker", "trade")


class Broadcast:
    """Tickers and trades of all markets, in an envelope with a type only. Keeps the contract of feeds.Source."""

    active = True

    def __init__(self, markets: Markets) -> None:
        self._markets = markets

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]:
        return []

    def produce(self, count: int, now_ns: int) -> list[bytes]:
        when = moment(now_ns)
        frames: list[bytes] = []
        while len(frames) < count:
            for event in self._markets.step(self._markets.tickers, _KINDS, when):
                # A trade changes an order book too, but this exchange does not publish books.
                if event.type in _KINDS:
                    frames.append(f'{{"type":"{event.type}","msg":{event.msg}}}'.encode())
        return frames

    def lose(self, count: int) -> None:
        """Lose `count` messages. They have no numbers, so it is enough not to send them."""
        self.produce(count, 0)

    def fail(self, code: int) -> bytes:
        return b'{"type":"error","msg":{"code":%d,"msg":"%b"}}' % (code, text_of(code).encode())
