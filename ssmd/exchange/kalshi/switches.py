"""The commands that open and close whole channels on an open connection to Kalshi. Pure.

Channels that take a list of markets are opened in updates.py, with their first markets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.events import Asked
from ssmd.exchange.kalshi.command import CommandIds
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.section import later_params, parameter_of
from ssmd.exchange.kalshi.updates import ANSWER_MS, REMOVE, SUBSCRIBE, Sent

__all__ = ["Switch", "Switches"]


class Switch(NamedTuple):
    """One command that has no answer yet."""

    id: int
    channel: ChannelOfConnection
    opens: bool
    sent_ms: int


class Switches:
    """The channels of one connection that are being opened or closed. `ids`: of its commands."""

    def __init__(self, ids: CommandIds) -> None:
        self._ids = ids
        self._to_open: list[ChannelOfConnection] = []
        self.to_close: list[ChannelOfConnection] = []
        """The channels that are not wanted any more, until the exchange has closed them."""
        self._unanswered: dict[int, Switch] = {}
        self._asked: set[ChannelOfConnection] = set()
        """Those of them that were asked for already."""

    @property
    def are_waiting(self) -> bool:
        return bool(self._to_open or self.to_close or self._unanswered)

    def open(self, channels: Iterable[ChannelOfConnection]) -> None:
        self._to_open = [channel for channel in self._to_open if not channel.is_closing]
        self._to_open += [channel for channel in channels if channel.is_unopened and channel not in self._to_open]

    def close(self, channels: Iterable[ChannelOfConnection]) -> None:
        for channel in channels:
            channel.is_closing = True
            self.to_close.append(channel)

    def due(self, passed_ms: int, most: int) -> Iterator[Sent]:
        """Yield the commands to send now, `most` at most; `passed_ms`: a time that never goes back, in ms."""
        for switch in [each for each in self._unanswered.values() if each.sent_ms <= passed_ms - ANSWER_MS]:
            self.take(switch.id)
        busy = {id(switch.channel) for switch in self._unanswered.values()}
        self.to_close = [channel for channel in self.to_close if not self._is_closed(channel)]
        for channel, opens in [*((each, False) for each in self.to_close), *((each, True) for each in self._to_open)]:
            if not most:
                return
            can = not (channel.is_waiting if opens else channel.pending or channel.sid is None)
            if can and id(channel) not in busy:
                switch = Switch(self._ids.take(), channel, opens, passed_ms)
                self._unanswered[switch.id] = switch
                channel.is_asked |= opens
                most -= 1
                yield self._sent(switch)

    def _is_closed(self, channel: ChannelOfConnection) -> bool:
        """Return whether there is nothing to close: all was refused, or nothing was asked for."""
        is_closed = channel.sid is None and not channel.pending and not channel.is_asked
        channel.is_closed |= is_closed
        return channel.is_closed

    def _sent(self, switch: Switch) -> Sent:
        channel = switch.channel
        action, markets = (SUBSCRIBE, channel.markets) if switch.opens else (REMOVE, None)
        command = _command(switch)
        asked = None
        if channel not in self._asked:
            self._asked.add(channel)
            named = None if markets is None else list(markets)
            asked = Asked(channel.subscription, channel.name, action, named, [command])
        if switch.opens and markets is not None:
            parameter = parameter_of(channel.section, channel.name)
            value = list(markets) if parameter.endswith("s") else next(iter(markets))
            command = {**command, "params": {**command["params"], parameter: value}}
        return Sent(json.dumps(command, separators=(",", ":")).encode(), channel, asked, ())

    def take(self, command_id: int) -> Switch | None:
        """Return the switch that a reply answers, once."""
        if (switch := self._unanswered.pop(command_id, None)) is not None and switch.opens:
            switch.channel.is_asked = False
        return switch

    def get(self, command_id: int) -> Switch | None:
        return self._unanswered.get(command_id)

    def done(self, switch: Switch) -> Sequence[str]:
        """Record that a command is carried out; return the markets that are confirmed by it."""
        channel = switch.channel
        self._asked.discard(channel)
        if not switch.opens:
            self._end(channel)
            return ()
        self._to_open = [each for each in self._to_open if each is not channel]
        channel.is_unopened = False
        return channel.added(list(channel.markets or ()), None)

    def refused(self, switch: Switch) -> None:
        """Record that a command is refused for good."""
        channel = switch.channel
        self._asked.discard(channel)
        if switch.opens:
            self._to_open = [each for each in self._to_open if each is not channel]
            channel.is_unopened, channel.is_refused = False, True
        else:
            self._end(channel)

    def _end(self, channel: ChannelOfConnection) -> None:
        channel.is_closed = True
        self.to_close = [each for each in self.to_close if each is not channel]


def _command(switch: Switch) -> dict[str, Any]:
    """Return a command as a JSON object without its list of markets."""
    channel = switch.channel
    if switch.opens:
        return {"id": switch.id, "cmd": "subscribe", "params": later_params(channel.section, channel.name)}
    return {"id": switch.id, "cmd": "unsubscribe", "params": {"sids": [channel.sid]}}
