"""From which markets of a connection to Kalshi messages have come. Pure.

There is nearly always a market from which none has come, so each message has to be looked at, on the hot path. Its
market is found when its head is decoded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from ssmd.contracts.exchange import Head
from ssmd.exchange.kalshi.changing_markets import remove
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.market import MARKET_FIELD, HeadWithMarket, decode_with_market, market_in

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
        self._with_markets: Sequence[HeadWithMarket] = ()
        """The heads that were decoded last, if each has its market."""

    def decoding(self, decode: Callable[[list[bytes]], list[Any]]) -> Callable[[list[bytes]], list[Any]]:
        """Return a function that decodes heads as `decode` does, with their markets while these are of use."""

        def decode_all(payloads: list[bytes]) -> list[Any]:
            self._with_markets = ()
            if self.listening and not self.opening:
                try:
                    self._with_markets = found = list(map(decode_with_market, payloads))
                    return found
                except (ValueError, RecursionError):
                    pass
            return decode(payloads)

        return decode_all

    def hear(self, heads: Sequence[Head], payloads: Sequence[bytes]) -> None:
        """Record from which markets messages have come, on the channels with markets that were not heard from yet."""
        listening, found = self.listening, self._with_markets
        self._with_markets = ()
        if heads is found and all(channel.field == MARKET_FIELD for channel in listening.values()):
            with contextlib.suppress(AttributeError):  # Raised when one of them has no `msg`.
                for sid, market in _origins(found, listening):
                    self._heard(sid, market)
                return
        for head, payload in zip(heads, payloads, strict=True):
            if head.type == "error":
                continue
            if channel := listening.get(head.sid):
                self._heard(head.sid, market_in(payload, channel.field))
            elif self.opening and head.sid and head.sid not in self._by_sid:
                self._hear_early(head.sid, payload)

    def _heard(self, sid: int, market: str) -> None:
        if (channel := self.listening.get(sid)) is not None:
            remove(channel.unheard, [market])
            if not channel.unheard:
                del self.listening[sid]

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


def _origins(heads: Sequence[HeadWithMarket], sids: Container[int]) -> set[tuple[int, str]]:
    """Return each sid and market from which there is a message, without errors about them. A read has many messages of
    few markets.
    """
    return {
        (head.sid, head.msg.market_ticker)  # type: ignore[union-attr]
        for head in heads
        if head.sid in sids and head.type != "error"
    }
