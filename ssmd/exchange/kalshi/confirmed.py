"""Which markets of a subscription are confirmed on all its channels. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection

__all__ = ["Confirmed"]


class Confirmed(Collection[str]):
    """A view: it changes with the subscription. `wanted`: its markets. `channels`: those that have these markets."""

    def __init__(self, wanted: Mapping[str, None], channels: Sequence[ChannelOfConnection]) -> None:
        self._wanted = wanted
        self._channels = channels

    def __contains__(self, market: object) -> bool:
        return market in self._wanted and not any(market in channel.unconfirmed for channel in self._channels)

    def __iter__(self) -> Iterator[str]:
        return filter(self.__contains__, self._wanted)

    def __len__(self) -> int:
        if not self._channels:
            return 0
        return len(self._wanted) - len(set().union(*(channel.unconfirmed for channel in self._channels)))
