"""The generic exchange: no keys, no commands, and the same messages for everybody; it satisfies feeds.Source."""

from __future__ import annotations

from ssmd.sim.book import moment
from ssmd.sim.markets import Markets
from ssmd.sim.refusal import text_of

__all__ = ["Broadcast"]

_KINDS = ("ticker", "trade")


class Broadcast:
    """Tickers and trades of all markets, from the first moment on, with no envelope but a type."""

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
                # Order books change too, but are not shown here.
                if event.type in _KINDS:
                    frames.append(f'{{"type":"{event.type}","msg":{event.msg}}}'.encode())
        return frames

    def lose(self, count: int) -> None:
        """Nothing is numbered, so what is lost is simply not sent."""
        self.produce(count, 0)

    def fail(self, code: int) -> bytes:
        return b'{"type":"error","msg":{"code":%d,"msg":"%b"}}' % (code, text_of(code).encode())
