"""Another `subscribe` section for an open connection to Kalshi: what stays, what is opened and what is closed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ssmd.contracts.events import Asked
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.section import FOLLOW, channels_of, later_params, sections_of, tickers_of
from ssmd.exchange.kalshi.updates import REMOVE, SUBSCRIBE

__all__ = ["Plan", "plan"]

_OF_COMMANDS = ("skip_ticker_ack", "send_initial_snapshot")
"""Parameters that are about the replies to a command, and not about the messages that come later."""


class Plan(NamedTuple):
    """What is subscribed to from now on."""

    channels: dict[str, ChannelOfConnection]
    wanted: list[dict[str, None]]
    """By subscription, the markets that its channels share."""
    named: list[frozenset[str]]
    """By subscription, those of them that its section names, where it follows others."""
    closing: list[ChannelOfConnection]
    """The channels to close."""
    asked: list[Asked]
    """What the ledger needs besides the commands: channels that have moved to another place in the list."""


def plan(
    known: Mapping[str, ChannelOfConnection], closing: Iterable[ChannelOfConnection], subscribe: Any
) -> Plan:
    """Return how to get from the channels of a connection to those of a section.

    A channel goes on whose parameters are the same: only its markets change. Any other is closed, and opened again.
    `closing`: channels that an earlier section has closed, and whose end is not confirmed yet.
    """
    found = Plan({}, [], [], [], [])
    ending = {channel.name: channel for channel in closing}
    for number, section in enumerate(sections_of(subscribe), start=1):
        named = tickers_of(section)
        wanted = dict.fromkeys(named)
        found.named.append(frozenset(named) if FOLLOW in section else frozenset())
        found.wanted.append(wanted)
        for name in channels_of(section):
            fresh, before = ChannelOfConnection(name, number, section, wanted), known.get(name)
            if before is None or not _goes_on(before, fresh):
                fresh.open_after(before or ending.get(name))
                found.channels[name] = fresh
                continue
            if before.followed and fresh.followed:
                wanted.update(dict.fromkeys(before.found_out(set(tickers_of(before.section)))))
            found.asked.extend(_moved(before, number))
            before.section, before.followed = section, fresh.followed
            found.channels[name] = before
    for name, channel in found.channels.items():
        if channel.takes_tickers and known.get(name) is channel:
            channel.replace(found.wanted[channel.subscription - 1])
        elif channel.takes_tickers:
            channel.want_all(found.wanted[channel.subscription - 1])
    found.closing.extend(each for name, each in known.items() if found.channels.get(name) is not each)
    return found


def _goes_on(before: ChannelOfConnection, fresh: ChannelOfConnection) -> bool:
    if before.is_given_up or _params(before) != _params(fresh) or before.takes_tickers != fresh.takes_tickers:
        return False
    if before.takes_tickers:
        return True
    return before.markets == fresh.markets and not before.is_refused


def _params(channel: ChannelOfConnection) -> dict[str, Any]:
    params = later_params(channel.section, channel.name)
    return {name: value for name, value in params.items() if name not in _OF_COMMANDS}


def _moved(channel: ChannelOfConnection, number: int) -> Iterator[Asked]:
    """Take the new place of a channel in the list; yield what the ledger has to say of it."""
    if channel.subscription != number:
        params = later_params(channel.section, channel.name)
        markets = None if channel.markets is None else list(channel.markets)
        yield Asked(channel.subscription, channel.name, REMOVE, None, [])
        channel.subscription = number
        yield Asked(number, channel.name, SUBSCRIBE, markets, [{"cmd": "subscribe", "params": params}])
