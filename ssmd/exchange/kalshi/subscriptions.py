"""What one connection to Kalshi has asked for on each channel, what is confirmed, and what was heard from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.events import Acknowledged, Asked
from ssmd.contracts.exchange import Head
from ssmd.exchange.kalshi.channels import NAMED_BY
from ssmd.exchange.kalshi.command import Command, CommandIds
from ssmd.exchange.kalshi.commands import channels_of, commands_of, sections_of
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection, remove
from ssmd.exchange.kalshi.inspector import whole
from ssmd.exchange.kalshi.market import market_in

__all__ = ["Subscriptions"]

_MOST_EARLY = 1000
"""For how many sids messages are remembered before their confirmation. Kalshi gives each channel one sid."""


class Subscriptions:
    """The opening commands of one connection, and the replies to them.

    A command is answered by one `subscribed` or `ok` for each of its channels. The `ok` to a further list of tickers
    has all tickers of the channel after the change, unless `skip_ticker_ack` is set.
    """

    def __init__(self, subscribe: Any) -> None:
        self.ids = CommandIds()
        self.commands: list[Command] = []
        """The opening commands, in order; their ids are 1, 2, and so on."""
        self.channels: dict[str, ChannelOfConnection] = {}
        self.listening: dict[int, ChannelOfConnection] = {}
        """By sid, the confirmed channels with markets that were not heard from yet."""
        self.opening: dict[str, ChannelOfConnection] = {}
        """The channels with a list of markets that have no answer yet: messages of them may come before it."""
        self._by_sid: dict[int, ChannelOfConnection] = {}
        self._early: dict[tuple[int, str], set[str]] = {}
        """By sid and channel, the markets of messages that came before a confirmation: they may be of that channel."""
        for number, section in enumerate(sections_of(subscribe), start=1):
            for name in channels_of(section):
                self.channels.setdefault(name, ChannelOfConnection(name, number, section))
            self.commands += [Command(self.ids.take(), number, params) for params in commands_of(section)]
        for command in self.commands:
            for name in command.params["channels"]:
                self.channels[name].pending.add(command.id)
        self.opening |= {name: channel for name, channel in self.channels.items() if channel.markets}

    def asked(self) -> Iterator[Asked]:
        """Yield what the commands ask for, by channel."""
        for channel in self.channels.values():
            commands = [command for command in self.commands if channel.name in command.params["channels"]]
            objects = [command.without_markets() for command in commands]
            yield Asked(channel.subscription, channel.name, "subscribe", channel.markets, objects)

    def unanswered(self) -> Iterator[tuple[str, int]]:
        """Yield each channel with each of its commands that Kalshi has not answered."""
        for command in self.commands:
            for name in dict.fromkeys(command.params["channels"]):
                if command.id in self.channels[name].pending:
                    yield name, command.id

    def waiting_for(self, command_id: int) -> Sequence[str]:
        """Return the channels that wait for the answer to a command."""
        return [name for name, channel in self.channels.items() if command_id in channel.pending]

    def command(self, command_id: int) -> Command | None:
        return self.commands[command_id - 1] if 0 < command_id <= len(self.commands) else None

    def is_later(self, command_id: int) -> bool:
        """Return whether a command was sent after the opening."""
        return len(self.commands) < command_id < self.ids.next

    def channel_of(self, sid: int) -> ChannelOfConnection | None:
        return self._by_sid.get(sid)

    def subscribed(self, command_id: int, body: Mapping[str, Any]) -> Iterator[Acknowledged]:
        """Read a `subscribed`: a channel is confirmed, with the markets of its command."""
        channel, sid = self._answered(command_id, body.get("channel")), whole(body.get("sid"))
        if channel is not None:
            if sid:
                channel.sid = sid
                self._by_sid[sid] = channel
                remove(channel.unheard, self._early.pop((sid, channel.name), ()))
                self._opened(channel)
                if channel.unheard:
                    self.listening[sid] = channel
            yield self._confirm(channel, command_id, None)

    def ok(self, command_id: int, sid: int, listed: Mapping[str, Any]) -> Iterator[Acknowledged]:
        """Read an `ok`: a further list of markets is confirmed. `listed`: the part of it that has the lists."""
        known = self._by_sid.get(sid)
        command = self.command(command_id)
        names = [known.name] if known else command.params["channels"] if command else []
        for name in dict.fromkeys(names):
            if (channel := self._answered(command_id, name)) is not None:
                yield self._confirm(channel, command_id, _names_in(listed))

    def refused(self, command_id: int, sid: int) -> Iterator[tuple[ChannelOfConnection, int]]:
        """Note that a command is refused, for the channel of this sid or, with 0, for all that have waited for it.

        Yields each channel with the number of its markets that are refused, in all commands so far.
        """
        for channel in list(self.channels.values()):
            if command_id in channel.pending and self._by_sid.get(sid) in (None, channel):
                channel.pending.discard(command_id)
                self._opened(channel)
                channel.refused[command_id] = len(self.commands[command_id - 1].markets(channel.name))
                yield channel, sum(channel.refused.values())

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

    def _opened(self, channel: ChannelOfConnection) -> None:
        self.opening.pop(channel.name, None)
        if not self.opening:
            self._early.clear()

    def _answered(self, command_id: int, name: object) -> ChannelOfConnection | None:
        """Return the channel of this name, if it has waited for an answer to this command."""
        channel = self.channels.get(name) if isinstance(name, str) else None
        if channel is None:
            return None
        # Of a command that was refused for one of its channels, another may still be confirmed.
        return channel if command_id in channel.pending or command_id in channel.refused else None

    def _confirm(
        self, channel: ChannelOfConnection, command_id: int, listed: Sequence[str] | None
    ) -> Acknowledged:
        markets = self.commands[command_id - 1].markets(channel.name)
        channel.pending.discard(command_id)
        channel.refused.pop(command_id, None)
        channel.confirm(markets, listed)
        known = None if listed is None else sum(market not in channel.unconfirmed for market in markets)
        return Acknowledged(channel.name, channel.sid, tickers=markets, acknowledged=known)


def _names_in(listed: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the names that an `ok` lists, None when it has no list."""
    for parameter in NAMED_BY:
        names = listed.get(parameter)
        if isinstance(names, list):
            return [name for name in names if isinstance(name, str)]
    return None
