"""One connection to Kalshi: what it asks for, and how far that has come. What the replies mean is in replies.py.

Protocol facts are from https://docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ssmd.contracts.events import Asked, ChannelState, Event, Followed, Gap, Unfollowed
from ssmd.contracts.exchange import Inspection, SnapshotPolicy
from ssmd.contracts.listing import Listing
from ssmd.errors import SsmdError, printable
from ssmd.exchange.kalshi.channels import BOOKS, channel_named
from ssmd.exchange.kalshi.follow.answers import LIFE_CYCLE_TYPES
from ssmd.exchange.kalshi.follow.following import Following
from ssmd.exchange.kalshi.inspector import SNAPSHOT, KalshiInspector, MessageHead
from ssmd.exchange.kalshi.replies import Replies
from ssmd.exchange.kalshi.sending import Sending
from ssmd.exchange.kalshi.snapshots import Snapshots
from ssmd.exchange.kalshi.subscriptions import Subscriptions

__all__ = ["CHANGING_SECONDS", "KalshiConnection"]

_ENDINGS = ("error", "unsubscribed")
"""Messages without an id that are not data."""

CHANGING_SECONDS = 0.25
"""The longest time between two ticks while the markets of a channel are being changed."""


class KalshiConnection(KalshiInspector):
    """Follows one connection, live.

    `subscribe`: the environment's section. `per_second`: the most commands that are sent in a second; None: no limit.
    """

    loss_note = ""

    def __init__(self, subscribe: Any, policy: SnapshotPolicy, per_second: float | None = None) -> None:
        super().__init__()
        self.subscriptions = Subscriptions(subscribe)
        self.heads.decode = self.subscriptions.hearing.decoding(self.heads.decode)
        self._policy = policy
        self._snapshots: Snapshots | None = None
        self._special: Sequence[str] = _ENDINGS
        self._sending = Sending(self.subscriptions.commands, per_second)
        self._is_due = False
        """Whether tick() is to be called at once."""
        self._in_turn = [self._ask_changes, self._ask_books]
        self._following: Following | None = None
        self._is_new_section = False
        """Whether another section is in force since the last tick."""
        self._replies = Replies(
            self.subscriptions, self._snapshots, self._sending, self._shown, self._expect
        )
        self._follow_books()

    def _follow_books(self) -> None:
        """Follow the order books of the channel that has them, if there is one."""
        books = self.subscriptions.channels.get(BOOKS)
        if books is None:
            self._snapshots = None
        elif self._snapshots is None or not self._snapshots.are_of(books):
            self._snapshots = Snapshots(books, self.subscriptions.ids, self._policy)
        self._replies.snapshots = self._snapshots
        special = _ENDINGS if books is None else (*_ENDINGS, SNAPSHOT)
        self._special = special if self._following is None else (*special, *LIFE_CYCLE_TYPES)

    def reconfigure(self, subscribe: Any) -> None:
        """Take another section on the open connection; the commands come with the next ticks."""
        self.subscriptions.reconfigure(subscribe)
        self._is_new_section = True
        self._follow_books()

    @property
    def tick_seconds(self) -> float | None:
        seconds = self._sending.tick_seconds
        # An answer of the listing may bring changes at any time.
        may_change = self._following is not None or self.subscriptions.is_changing
        return min(seconds, CHANGING_SECONDS) if may_change else seconds

    @property
    def listing(self) -> Listing | None:
        return self._following

    def follow(self, following: Following) -> None:
        """Follow markets; call it before the connection is opened."""
        self._following = following
        self._follow_books()

    def begin(self, now_ms: int) -> None:
        """Note when the connection is opened (Unix ms)."""
        if self._snapshots is not None:
            self._snapshots.begin(now_ms)

    def commands(self) -> Sequence[bytes]:
        return self._sending.first()

    def unsent(self) -> int:
        return len(self._sending.unsent)

    def asked(self) -> Sequence[Asked]:
        return list(self.subscriptions.asked())

    def unacknowledged(self) -> Sequence[str]:
        return [f"{channel} (command {command_id})" for channel, command_id in self.subscriptions.unanswered()]

    def unheard(self, channel: str) -> Sequence[str]:
        asked = self.subscriptions.channels.get(channel)
        return [] if asked is None else [market for market in asked.markets or () if market in asked.unheard]

    def unconfirmed(self, channel: str) -> Sequence[str]:
        asked = self.subscriptions.channels.get(channel)
        return [] if asked is None else [market for market in asked.markets or () if market in asked.unconfirmed]

    def channels(self) -> Sequence[ChannelState]:
        return list(self._states())

    def _states(self) -> Iterator[ChannelState]:
        for channel in self.subscriptions.channels.values():
            asked = None if channel.markets is None else len(channel.markets)
            sid = channel.sid or -1
            snapshots = self._snapshots if channel.name == BOOKS else None
            yield ChannelState(
                channel.name,
                channel.subscription,
                asked,
                None if asked is None else asked - len(channel.unconfirmed),
                None if asked is None else asked - len(channel.unheard),
                pending=bool(channel.pending) or channel.is_unopened,
                # One of the two changes with each message of the channel, whether it has a number or none.
                activity=self._next_seq.get(sid, 0) + self._last_batch.get(sid, 0),
                books_pending=snapshots.pending if snapshots else None,
                books_missing=snapshots.missing if snapshots else None,
                may_be_silent=channel_named(channel.name).may_be_silent,
                unsent=channel.has_nothing or not channel.pending.isdisjoint(self._sending.unsent),
                changing=self.subscriptions.updates.changing(channel),
                numbered=self._next_seq.get(sid),
            )

    def tick(self, now_ms: int) -> Inspection:
        # The time is only used when the clock stands still. This tick may have come at once.
        self._sending.tick(now_ms, 0 if self._is_due else int(1000 * (self.tick_seconds or 0)))
        self._is_due = False
        commands = list(self._sending.due(self.subscriptions.waiting_for))
        events: list[Event] = []
        if self._following is not None:
            for change in self._following.tick(now_ms):
                self.subscriptions.change(*change)
            events += self._news_of(self._following)
        events += self.subscriptions.tick(self._sending.passed_ms)
        if self._snapshots is not None and self._snapshots.notice_day(now_ms):
            self.begin_file()
        # They take turns in being the first: there may be room for one command, and always a change.
        for ask in self._in_turn:
            requests, found = ask()
            commands += requests
            events += found
        self._in_turn.reverse()
        if self._snapshots is not None:
            events += self._snapshots.report(0)
        return Inspection(True, events, commands=commands)

    def _news_of(self, following: Following) -> Iterator[Event]:
        """Yield which markets are followed, and which are not any more."""
        if self._is_new_section:
            self._is_new_section = False
            yield Unfollowed(None)
        gone, followed = following.news()
        if gone:
            yield Unfollowed(gone)
        for numbers, markets in followed:
            channels = [channel for number in numbers for channel in self.subscriptions.channels_with_markets(number)]
            yield Followed(channels, markets)

    def _ask_changes(self) -> tuple[Sequence[bytes], Sequence[Event]]:
        """Return the commands that change what is subscribed to, and what they ask for."""
        commands, events = [], []
        for sent in self.subscriptions.due(self._sending.room(), is_scarce=self._sending.is_limited):
            self._sending.sent(1)
            commands.append(sent.command)
            if sent.asked is not None:
                events.append(sent.asked)
            if self._snapshots is not None and self._snapshots.are_of(sent.channel):
                self._snapshots.confirmed((), sent.removed)
        return commands, events

    def _ask_books(self) -> tuple[Sequence[bytes], Sequence[Event]]:
        """Return the requests for order books, and which they are."""
        room = self._sending.room()
        if self._snapshots is None or not room:
            return (), ()
        requests, found = self._snapshots.ask(self._sending.passed_ms, room)
        self._sending.sent(len(requests))
        return requests, found

    def inspect(self, payloads: list[bytes]) -> Inspection:
        inspection = super().inspect(payloads)
        hearing = self.subscriptions.hearing
        if hearing.listening or hearing.opening:
            hearing.hear(inspection.heads, payloads)
        return inspection._replace(due=True) if self._is_due else inspection

    def _books_of(self, sid: int) -> str:
        return BOOKS if self._snapshots is not None and self._snapshots.sid == sid else ""

    def _read_gap(self, gap: Gap) -> SsmdError | None:
        return None if self._snapshots is None else self._snapshots.lost(gap)

    def _read_special(self, head: MessageHead, payload: bytes, index: int, events: list[Event]) -> SsmdError | None:
        seq = head.seq or 0
        failure = super()._read_special(head, payload, index, events)
        if self._following is not None and head.type in LIFE_CYCLE_TYPES:
            self._following.receive(payload)
            self._is_due = True
            return failure
        if head.type != SNAPSHOT:
            ending = self._replies.read(head, payload, index, events)
            self._is_due |= self.subscriptions.can_change
            return failure or ending
        if self._snapshots is not None:
            self._snapshots.receive(head.sid, payload, head.id, self._is_in_place(head, seq))
            events += self._snapshots.report(index + 1)
        return failure

    def _expect(self, sid: int) -> None:
        """Count the messages of a sid that have no numbers."""
        self._last_batch.setdefault(sid, 0)

    def _is_in_place(self, answer: MessageHead, seq: int) -> bool:
        """Return whether the number of an answer, which was left out of the sequence, belongs to its place there."""
        expected = self._next_seq.get(answer.sid)
        before, count, _ = self._answers.get(answer.sid, (0, 0, 0))
        return expected is not None and expected - 1 <= seq < expected + (count if before == expected else 0)

    def _shown(self, value: object) -> str:
        """Return a value that Kalshi has sent as text for a log."""
        return printable(str(value))
