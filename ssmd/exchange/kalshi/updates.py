"""The commands that add markets to the channels of an open connection to Kalshi, and remove them. Pure.

A channel without a subscription is opened by `subscribe`, and changed by `update_subscription` with its sid from then
on (https://docs.kalshi.com/asyncapi.yaml, "Update Subscription").
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.events import Asked
from ssmd.exchange.kalshi.changing_markets import Portion
from ssmd.exchange.kalshi.command import CommandIds
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.section import later_params

__all__ = [
    "ADD",
    "ANSWER_MS",
    "LATE_MS",
    "LONG_LIST",
    "MOST_UNANSWERED",
    "REMOVE",
    "RETRY_MS",
    "SUBSCRIBE",
    "Sent",
    "Update",
    "Updates",
]

MOST_UNANSWERED = 10
"""How many commands for one channel may be without an answer. More would all be refused when there is no room."""
ANSWER_MS = 30_000
"""After this time without an answer, a command counts as not carried out: the answer may be lost."""
LATE_MS = 10_000
"""After this time without an answer, its markets count as not confirmed, and no longer as being asked for."""
RETRY_MS = 600_000
"""How often the markets that the exchange has refused are asked for again."""
LONG_LIST = 1000
"""When a subscription has more markets, the answers to its changes are not to list all of them."""

SUBSCRIBE, ADD, REMOVE = "subscribe", "add", "remove"


class Update(NamedTuple):
    """One command about one channel that has no answer yet."""

    id: int
    channel: ChannelOfConnection
    action: str
    """subscribe, add or remove."""
    portion: Portion
    sent_ms: int


class Sent(NamedTuple):
    """A command to send now."""

    command: bytes
    channel: ChannelOfConnection
    asked: Asked | None
    """What it asks for; None when it was asked for before."""
    removed: Sequence[str]
    """The markets that it removes."""


class Updates:
    """The changes of one connection. `ids`: of its commands."""

    def __init__(self, ids: CommandIds) -> None:
        self._ids = ids
        self._unanswered: dict[int, Update] = {}
        """By id, in the order in which they were sent."""
        self._late: dict[int, Update] = {}
        """The commands that open a channel, and had no answer in time: only it says what the sid is."""
        self._last = ""
        """The channel that had the last turn."""
        self._passed_ms = 0
        self._retry_ms = RETRY_MS

    def take_refused(self, command_id: int) -> Update | None:
        """Return the update that an error answers, once."""
        return _answered(self._unanswered.pop(command_id, None))

    def take_confirmed(self, command_id: int) -> Update | None:
        """Return the update that a confirmation answers, once."""
        return _answered(self._unanswered.pop(command_id, None) or self._late.pop(command_id, None))

    def get(self, command_id: int) -> Update | None:
        return self._unanswered.get(command_id)

    @property
    def are_waiting(self) -> bool:
        """Whether a command has no answer yet."""
        return bool(self._unanswered)

    def changing(self, channel: ChannelOfConnection) -> int:
        """Return how many of a channel's unconfirmed markets are being asked for just now."""
        waiting = 0 if channel.over_limit or channel.is_given_up else len(channel.to_add)
        return waiting + sum(
            len(update.portion.markets)
            for update in self._unanswered.values()
            if update.channel is channel and update.action != REMOVE and self._passed_ms - update.sent_ms < LATE_MS
        )

    def tick(self, channels: Iterable[ChannelOfConnection], passed_ms: int) -> Iterator[Asked]:
        """Let time pass; yield what is no longer asked for, and needs no command, because it was never confirmed.

        `passed_ms`: a time that never goes back, in ms.
        """
        self._passed_ms = passed_ms
        while self._unanswered and next(iter(self._unanswered.values())).sent_ms <= passed_ms - ANSWER_MS:
            self.not_answered(self._unanswered.pop(next(iter(self._unanswered))))
        is_time = passed_ms >= self._retry_ms
        if is_time:
            self._retry_ms = passed_ms + RETRY_MS
        for channel in channels:
            channel.room.pass_time(passed_ms)
            if is_time:
                channel.ask_aside()
            if channel.retracted:
                yield Asked(channel.subscription, channel.name, REMOVE, channel.retracted, [])
                channel.retracted = []

    def due(self, channels: Iterable[ChannelOfConnection], most: int, *, is_scarce: bool) -> Iterator[Sent]:
        """Yield the commands to send now, `most` at most. The channels take turns, also from call to call: there may
        be room for one command, and always a further change of each.

        What is removed comes first, because it makes room. But where commands are scarce, and the room is not, what is
        to be added waits for nothing else.
        """
        turns = deque(channels)
        names = [channel.name for channel in turns]
        turns.rotate(-1 - names.index(self._last) if self._last in names else 0)
        while most and turns:
            channel = turns.popleft()
            unanswered = sum(update.channel is channel for update in self._unanswered.values())
            if not channel.can_change or unanswered >= MOST_UNANSWERED:
                continue
            if (update := self._next(channel, unanswered, is_scarce)) is not None:
                self._last = channel.name
                self._unanswered[update.id] = update
                most -= 1
                turns.append(channel)
                yield self._sent(update)

    def _next(self, channel: ChannelOfConnection, unanswered: int, is_scarce: bool) -> Update | None:
        """Return the next command for a channel; None while it has to wait for an answer."""
        opens = channel.sid is None
        if channel.is_waiting:
            return None
        is_limited = channel.room.is_searched
        can_add = not ((unanswered and (opens or is_limited)) or (opens and channel.pending))
        for action in (ADD, REMOVE) if is_scarce and not is_limited else (REMOVE, ADD):
            portion = Portion((), 0)
            if action == ADD and can_add:
                portion = channel.take_additions()
            elif action == REMOVE and not opens:
                portion = channel.take_removals()
            if portion.markets:
                channel.is_asked |= opens
                return Update(self._ids.take(), channel, SUBSCRIBE if opens else action, portion, self._passed_ms)
        return None

    def _sent(self, update: Update) -> Sent:
        channel, markets = update.channel, update.portion.markets
        command = _command(update)
        asked = None
        if not update.portion.tries:
            asked = Asked(channel.subscription, channel.name, update.action, markets, [command])
        params = {**command["params"], "market_tickers": markets}
        encoded = json.dumps({**command, "params": params}, separators=(",", ":")).encode()
        return Sent(encoded, channel, asked, markets if update.action == REMOVE else ())

    def done(self, update: Update, listed: Sequence[str] | None) -> Sequence[str]:
        """Record that a command is confirmed; return the markets that are confirmed now. `listed`: all markets of the
        channel that the answer lists, None for none.
        """
        channel, markets = update.channel, update.portion.markets
        if update.action == REMOVE:
            channel.removed(markets)
            channel.room.removed(len(markets))
            return ()
        channel.room.added(len(markets))
        return channel.added(markets, listed)

    def not_answered(self, update: Update) -> None:
        """Record that a command has no answer: it may have been carried out, or not."""
        update.channel.not_answered(update.portion)
        if update.action == REMOVE:
            update.channel.room.removed(len(update.portion.markets))
        elif update.action == SUBSCRIBE:
            _answered(update)
            self._late[update.id] = update

    def not_done(self, update: Update) -> Sequence[str]:
        """Record that a command was not carried out, so that it is made again. Return the markets that it was to remove
        and that are wanted again by now, and surely confirmed.
        """
        if update.action == REMOVE:
            return update.channel.not_removed(update.portion)
        update.channel.not_added(update.portion)
        return ()

    def refused(self, update: Update, named: Sequence[str]) -> Sequence[str]:
        """Record that a command was refused, perhaps because of the markets that the error names; as not_done()."""
        markets, tries = update.portion
        wrong = {*named}.intersection(markets)
        if len(markets) > 1 and len(wrong) in (0, len(markets)):
            return self.not_done(update._replace(portion=Portion(markets, max(1, tries) + 1)))
        wrong = wrong or {*markets}
        if update.action == REMOVE:
            # What the exchange does not take for one of its markets, it does not send.
            update.channel.removed(wrong)
            return update.channel.not_removed(Portion([market for market in markets if market not in wrong], tries))
        update.channel.not_added(update.portion, wrong)
        return ()


def _answered(update: Update | None) -> Update | None:
    if update is not None and update.action == SUBSCRIBE:
        update.channel.is_asked = False
    return update


def _command(update: Update) -> dict[str, Any]:
    """Return a command as a JSON object without its list of markets."""
    channel = update.channel
    terse = {"skip_ticker_ack": True} if len(channel.markets or ()) > LONG_LIST else {}
    if update.action == SUBSCRIBE:
        return {"id": update.id, "cmd": "subscribe", "params": {**later_params(channel.section, channel.name), **terse}}
    params: dict[str, Any] = {"sids": [channel.sid], "action": f"{update.action}_markets", **terse}
    if update.action == REMOVE:
        params["action"] = "delete_markets"
    elif channel.section.get("send_initial_snapshot") and channel.name == "ticker":
        params["send_initial_snapshot"] = True
    return {"id": update.id, "cmd": "update_subscription", "params": params}
