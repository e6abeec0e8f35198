"""From which markets of a connection to Kalshi messages have come. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssmd.contracts.exchange import Head
from ssmd.exchange.kalshi.changing_markets import remove
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.market import market_in

__all__ = ["Hearing"]

_MOST_EARLY = 1000
"""For how many sids messages are remembered before their confirmation. Kalshi gives each channel one sid."""


class Hearing:
    """Marks markets as heard. `by_sid`: the confirmed channels."""

    def __init__(self, by_sid: Mapping[int, ChannelOfConnection]) -> None:
        self._by_sid = by_sid
        self.listening: dict[int, ChannelOfConnection] = {}
        """By sid, the confirmed channels with markets that were not heard from yet."""
        self.opening: dict[str, ChannelOfConnection] = {}
        """The channels with a list of markets that have no answer yet: messages of them may come before it."""
        self._early: dict[tuple[int, str], set[str]] = {}
        """By sid and channel, the markets of messages that came before a confirmation: they may be of that channel."""

    def hear(self, heads: Sequence[Head], payloads: Sequence[bytes]) -> None:
        """Record from which markets messages have come, on the channels with markets that were not heard from yet."""
        for head, payload in zip(heads, payloads, strict=True):
            channel = self.listening.get(head.sid)
            if head.type == "error":
                continue
            if channel is not None:
                remove(channel.unheard, [market_in(payload, channel.field)])
                if not channel.unheard:
                    del self.listening[head.sid]
            elif self.opening and head.sid and head.sid not in self._by_sid:
                self._hear_early(head.sid, payload)

    def _hear_early(self, sid: int, payload: bytes) -> None:
        for channel in self.opening.values():
            market = market_in(payload, channel.field)
            if market in channel.unheard and len(self._early) < _MOST_EARLY:
                self._early.setdefault((sid, channel.name), set()).add(market)

    def confirmed(self, channel: ChannelOfConnection, sid: int) -> None:
        """Take a channel that is confirmed now, with the messages of it that came before that."""
        remove(channel.unheard, self._early.pop((sid, channel.name), ()))
        self.answered(channel)
        self.listen(channel)

    def answered(self, channel: ChannelOfConnection) -> None:
        """Take a channel whose opening is answered, perhaps refused."""
        self.opening.pop(channel.name, None)
        if not self.opening:
            self._early.clear()

    def listen(self, channel: ChannelOfConnection) -> None:
        """Listen for the markets of a confirmed channel that were not heard from yet."""
        if channel.sid is not None and channel.unheard:
            self.listening[channel.sid] = channel

    def closed(self, channel: ChannelOfConnection) -> None:
        """Take a channel that the exchange has closed."""
        self.listening.pop(channel.sid or 0, None)
        if self.opening.get(channel.name) is channel:
            del self.opening[channel.name]
