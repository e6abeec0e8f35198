"""What a reply of Kalshi confirms, and which markets of a subscription are confirmed on all its channels. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.events import Acknowledged
from ssmd.exchange.kalshi.channels import NAMED_BY
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection

__all__ = ["Confirmation", "Confirmed", "confirmation", "names_in"]


class Confirmation(NamedTuple):
    """What a reply has confirmed."""

    channel: ChannelOfConnection
    event: Acknowledged
    new: Sequence[str]
    """The markets that are confirmed by it."""
    gone: Sequence[str]
    """The markets that were confirmed before, and are not any more."""


def confirmation(
    channel: ChannelOfConnection,
    asked: Sequence[str],
    listed: Sequence[str] | None,
    new: Sequence[str],
    gone: Sequence[str] = (),
    *,
    is_change: bool = False,
) -> Confirmation:
    """Return what the reply to a command confirms. `asked`: the markets of the command. `listed`: those of the reply,
    None when it lists none.
    """
    unconfirmed = [] if listed is None else [market for market in asked if market in channel.unconfirmed]
    known = None if listed is None else len(asked) - len(unconfirmed)
    missing = tuple(dict.fromkeys([*unconfirmed, *gone]))
    event = Acknowledged(channel.name, channel.sid, 0, asked, known, is_change, missing)
    return Confirmation(channel, event, new, gone)


def names_in(listed: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the names that an `ok` lists, None when it has no list."""
    for parameter in NAMED_BY:
        names = listed.get(parameter)
        if isinstance(names, list):
            return [name for name in names if isinstance(name, str)]
    return None


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
