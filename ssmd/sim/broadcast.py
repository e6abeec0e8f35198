"""The simulated generic exchange: no keys, no commands, and messages from the start."""

from __future__ import annotations

import math

from ssmd.sim.book import moment
from ssmd.sim.markets import Markets
from ssmd.sim.refusal import text_of

__all__ = ["Broadcast"]


class Broadcast:
    """Tickers and trades of all markets, in an envelope with a type only. Keeps the contract of feeds.Source."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._kinds: list[str] = ["ticker", "trade"]

    @property
    def active(self) -> bool:
        """Whether there is a type of messages that is not muted."""
        return bool(self._kinds)

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]:
        return []

    def announce(self, now_ns: int) -> list[bytes]:
        return []

    def quiet_seconds(self, now_ns: int) -> float:
        return math.inf

    def produce(self, count: int, now_ns: int) -> list[bytes]:
        when = moment(now_ns)
        frames: list[bytes] = []
        while len(frames) < count:
            for event in self._markets.step(self._markets.tickers, self._kinds, when):
                # A trade changes an order book too, but this exchange does not publish books.
                if event.type in self._kinds:
                    frames.append(f'{{"type":"{event.type}","msg":{event.msg}}}'.encode())
        return frames

    def lose(self, count: int, channel: str) -> None:
        """Lose messages. They have no numbers, so it is enough not to send the next ones."""
        self.produce(count, 0)

    def mute(self, channel: str) -> None:
        """Send no more messages of the type `channel`."""
        self._kinds = [kind for kind in self._kinds if kind != channel]

    def fail(self, code: int) -> bytes:
        return b'{"type":"error","msg":{"code":%d,"msg":"%b"}}' % (code, text_of(code).encode())
