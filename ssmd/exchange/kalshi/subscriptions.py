"""What one connection to Kalshi has asked for on each channel, what is confirmed, and what was heard from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.events import Asked
from ssmd.exchange.kalshi.changing_markets import Portion
from ssmd.exchange.kalshi.command import Command, CommandIds
from ssmd.exchange.kalshi.confirmed import Confirmation, Confirmed, confirmation, names_in
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.hearing import Hearing
from ssmd.exchange.kalshi.inspector import whole
from ssmd.exchange.kalshi.reconfiguring import plan
from ssmd.exchange.kalshi.section import FOLLOW, channels_of, commands_of, sections_of, tickers_of
from ssmd.exchange.kalshi.switches import Switch, Switches
from ssmd.exchange.kalshi.updates import REMOVE, SUBSCRIBE, Sent, Update, Updates

__all__ = ["Subscriptions"]

class Subscriptions:
    """The commands of one connection, and the replies to them.

    An opening command is answered by one `subscribed` or `ok` for each of its channels. The `ok` to a further list of
    tickers has all tickers of the channel after the change, unless `skip_ticker_ack` is set. Later commands are in
    updates.py.
    """

    def __init__(self, subscribe: Any) -> None:
        self.ids = CommandIds()
        self.commands: list[Command] = []
        """The opening commands, in order; their ids are 1, 2, and so on."""
        self.channels: dict[str, ChannelOfConnection] = {}
        self._by_sid: dict[int, ChannelOfConnection] = {}
        self.hearing = Hearing(self._by_sid)
        self.updates = Updates(self.ids)
        self.switches = Switches(self.ids)
        self._moved: list[Asked] = []
        self._passed_ms = 0
        self._wanted: list[dict[str, None]] = []
        """By subscription, the markets that its channels share."""
        self._named: list[frozenset[str]] = []
        """By subscription, those of them that its section names."""
        for number, section in enumerate(sections_of(subscribe), start=1):
            self._named.append(frozenset(tickers_of(section)) if FOLLOW in section else frozenset())
            self._wanted.append(dict.fromkeys(tickers_of(section)))
            for name in channels_of(section):
                channel = ChannelOfConnection(name, number, section, self._wanted[-1])
                self.channels.setdefault(name, channel)
            self.commands += [Command(self.ids.take(), number, params) for params in commands_of(section)]
        for command in self.commands:
            for name in command.params["channels"]:
                self.channels[name].pending.add(command.id)
        self.hearing.opening |= {name: channel for name, channel in self.channels.items() if channel.markets}

    def change(self, subscription: int, add: Sequence[str], remove: Sequence[str]) -> None:
        """Take markets that the subscription at this place (from 1) follows from now on, and those that it does not
        follow any more. Those that its section names stay.

        This only records them: the commands come with the next ticks.
        """
        wanted, named = self._wanted[subscription - 1], self._named[subscription - 1]
        gone = [market for market in dict.fromkeys(remove) if market in wanted and market not in named]
        new = [market for market in dict.fromkeys(add) if market not in wanted]
        for market in gone:
            del wanted[market]
        wanted.update(dict.fromkeys(new))
        for channel in self._changeable(subscription):
            channel.change(new, gone)
            self.hearing.listen(channel)

    def confirmed(self, subscription: int) -> Collection[str]:
        """Return the markets of a subscription that are confirmed on all channels that take a list of them."""
        return Confirmed(self._wanted[subscription - 1], list(self._changeable(subscription)))

    def over_limit(self, subscription: int) -> int:
        """Return how many markets of a subscription are left out because of a limit of the exchange."""
        return max((channel.over_limit for channel in self._changeable(subscription)), default=0)

    def reconfigure(self, subscribe: Any) -> None:
        """Take another section; the commands come with the next ticks."""
        found = plan(self.channels, self.switches.to_close, subscribe)
        self.channels, self._wanted, self._named, closing, moved = found
        self._moved += moved
        self.switches.close(closing)
        self.switches.open(self.channels.values())
        for channel in self.channels.values():
            self.hearing.listen(channel)

    def switched(self, switch: Switch, body: Mapping[str, Any]) -> Iterator[Confirmation]:
        """Read the reply that carries out a switch."""
        channel = switch.channel
        if switch.opens and (sid := whole(body.get("sid"))):
            self._opened(channel, sid)
        elif not switch.opens and channel.sid is not None:
            self._by_sid.pop(channel.sid, None)
            self.hearing.closed(channel)
        new = self.switches.done(switch)
        if switch.opens:
            yield confirmation(channel, list(channel.markets or ()), None, new)

    @property
    def can_change(self) -> bool:
        """Whether there are changes to ask for now."""
        return any(channel.can_change for channel in self.channels.values())

    @property
    def is_changing(self) -> bool:
        """Whether there are changes to ask for, or without an answer."""
        return self.updates.are_waiting or self.can_change or self.switches.are_waiting

    def tick(self, passed_ms: int) -> Iterator[Asked]:
        """Let time pass, and yield what is not asked for any more; see Updates.tick()."""
        self._passed_ms = passed_ms
        moved, self._moved = self._moved, []
        yield from moved
        yield from self.updates.tick(self.channels.values(), passed_ms)

    def due(self, most: int, *, is_scarce: bool) -> Iterator[Sent]:
        """Yield the changes to ask for now, with `most` commands; see Updates.due()."""
        first = list(self.switches.due(self._passed_ms, most))
        yield from first
        for sent in self.updates.due(self.channels.values(), most - len(first), is_scarce=is_scarce):
            if sent.channel.sid is None:
                self.hearing.opening[sent.channel.name] = sent.channel
            yield sent

    def _changeable(self, subscription: int) -> Iterator[ChannelOfConnection]:
        return (each for each in self.channels.values() if each.subscription == subscription and each.takes_tickers)

    def channels_with_markets(self, subscription: int) -> Sequence[str]:
        """Return the channels of a subscription that take a list of markets."""
        return [channel.name for channel in self._changeable(subscription)]

    def asked(self) -> Iterator[Asked]:
        """Yield what the commands ask for, by channel."""
        for channel in self.channels.values():
            commands = [command for command in self.commands if channel.name in command.params["channels"]]
            objects = [command.without_markets() for command in commands]
            markets = None if channel.markets is None else list(channel.markets)
            if objects:
                yield Asked(channel.subscription, channel.name, "subscribe", markets, objects)

    def unanswered(self) -> Iterator[tuple[str, int]]:
        """Yield each channel with each of its opening commands that Kalshi has not answered."""
        for command in self.commands:
            for channel in self._all():
                if command.id in channel.pending:
                    yield channel.name, command.id

    def waiting_for(self, command_id: int) -> Sequence[str]:
        """Return the channels that wait for the answer to an opening command."""
        return [channel.name for channel in self._all() if command_id in channel.pending]

    def about(self, command_id: int) -> Sequence[str]:
        """Return the channels that wait for the answer to any command."""
        later = self.updates.get(command_id) or self.switches.get(command_id)
        return [later.channel.name] if later else self.waiting_for(command_id)

    def _all(self) -> Iterator[ChannelOfConnection]:
        """Yield all channels, with those that are being closed."""
        yield from self.channels.values()
        yield from self.switches.to_close

    def command(self, command_id: int) -> Command | None:
        return self.commands[command_id - 1] if 0 < command_id <= len(self.commands) else None

    def is_later(self, command_id: int) -> bool:
        """Return whether a command was sent after the opening."""
        return len(self.commands) < command_id < self.ids.next

    def channel_of(self, sid: int) -> ChannelOfConnection | None:
        return self._by_sid.get(sid)

    def subscribed(self, command_id: int, body: Mapping[str, Any]) -> Iterator[Confirmation]:
        """Read a `subscribed`: a channel is confirmed, with the markets of its command."""
        channel, sid = self._answered(command_id, body.get("channel")), whole(body.get("sid"))
        if channel is not None:
            if sid:
                self._opened(channel, sid)
            yield self._confirm(channel, command_id, None)

    def ok(self, command_id: int, sid: int, listed: Mapping[str, Any]) -> Iterator[Confirmation]:
        """Read an `ok`: a further list of markets is confirmed. `listed`: the part of it that has the lists."""
        known = self._by_sid.get(sid)
        command = self.command(command_id)
        names = [known.name] if known else command.params["channels"] if command else []
        for name in dict.fromkeys(names):
            if (channel := self._answered(command_id, name)) is not None:
                yield self._confirm(channel, command_id, names_in(listed))

    def updated(self, update: Update, body: Mapping[str, Any]) -> Iterator[Confirmation]:
        """Read the `subscribed` or `ok` that answers an update. `body`: what it has, with the fields of its `msg`."""
        channel, opens = update.channel, update.action == SUBSCRIBE
        if opens and (sid := whole(body.get("sid"))):
            self._opened(channel, sid)
        listed = names_in(body)
        new = self.updates.done(update, listed)
        if update.action != REMOVE:
            yield confirmation(channel, update.portion.markets, listed, new, is_change=not opens)

    def refused(self, command_id: int, sid: int) -> Iterator[tuple[ChannelOfConnection, int]]:
        """Note that an opening command is refused, for the channel of this sid or, with 0, for all that have waited for
        it.

        Yields each channel with the number of its markets that are refused, in all commands so far.
        """
        waiting = [channel for channel in self._all() if command_id in channel.pending]
        refused = [channel for channel in waiting if self._by_sid.get(sid) in (None, channel)]
        for channel in refused:
            channel.pending.discard(command_id)
            self.hearing.answered(channel)
            markets = self.commands[command_id - 1].markets(channel.name)
            channel.refused[command_id] = len(markets)
            if channel.takes_tickers:
                channel.not_added(Portion(markets, 0))
                if len(refused) == 1:
                    channel.room.refused(len(markets))
            yield channel, sum(channel.refused.values())

    def _opened(self, channel: ChannelOfConnection, sid: int) -> None:
        channel.sid, channel.is_open = sid, True
        self._by_sid[sid] = channel
        self.hearing.confirmed(channel, sid)

    def _answered(self, command_id: int, name: object) -> ChannelOfConnection | None:
        """Return the channel of this name, if it has waited for an answer to this command."""
        # Of a command that was refused for one of its channels, another may still be confirmed.
        known = (each for each in self._all() if each.name == name)
        return next((each for each in known if command_id in each.pending or command_id in each.refused), None)

    def _confirm(
        self, channel: ChannelOfConnection, command_id: int, listed: Sequence[str] | None
    ) -> Confirmation:
        markets = self.commands[command_id - 1].markets(channel.name)
        channel.pending.discard(command_id)
        channel.refused.pop(command_id, None)
        new, gone = channel.confirm(markets, listed)
        return confirmation(channel, markets, listed, new, gone)
