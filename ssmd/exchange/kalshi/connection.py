"""One connection to Kalshi: what it asks for, and what Kalshi's replies mean.

Protocol facts are from https://docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ssmd.contracts.events import Asked, ChannelState, Event, Gap, Refused
from ssmd.contracts.exchange import Inspection, SnapshotPolicy
from ssmd.errors import Disconnected, SsmdError, SubscriptionRefused, printable
from ssmd.exchange.kalshi.channels import BOOKS, channel_named
from ssmd.exchange.kalshi.errors import KalshiError, read_error
from ssmd.exchange.kalshi.inspector import SNAPSHOT, KalshiInspector, MessageHead, content, mapping
from ssmd.exchange.kalshi.sending import Sending
from ssmd.exchange.kalshi.snapshots import Snapshots
from ssmd.exchange.kalshi.subscriptions import Subscriptions

__all__ = ["KalshiConnection"]

_ENDINGS = ("error", "unsubscribed")
"""Messages without an id that are not data."""


class KalshiConnection(KalshiInspector):
    """Follows one connection, live.

    `subscribe`: the environment's section. `per_second`: the most commands that are sent in a second; None: no limit.
    """

    def __init__(self, subscribe: Any, policy: SnapshotPolicy, per_second: float | None = None) -> None:
        super().__init__()
        self._subscriptions = Subscriptions(subscribe)
        self._snapshots: Snapshots | None = None
        self._special = _ENDINGS
        books = self._subscriptions.channels.get(BOOKS)
        if books is not None:
            self._snapshots = Snapshots(books, len(self._subscriptions.commands) + 1, policy)
            self._special = (*_ENDINGS, SNAPSHOT)
        self._sending = Sending(self._subscriptions.commands, per_second)

    @property
    def tick_seconds(self) -> float | None:
        return self._sending.tick_seconds

    def begin(self, now_ms: int) -> None:
        """Note when the connection is opened (Unix ms)."""
        if self._snapshots is not None:
            self._snapshots.begin(now_ms)

    def commands(self) -> Sequence[bytes]:
        return self._sending.first()

    def unsent(self) -> int:
        return len(self._sending.unsent)

    def asked(self) -> Sequence[Asked]:
        return list(self._subscriptions.asked())

    def unacknowledged(self) -> Sequence[str]:
        return [f"{channel} (command {command_id})" for channel, command_id in self._subscriptions.unanswered()]

    def unheard(self, channel: str) -> Sequence[str]:
        asked = self._subscriptions.channels[channel]
        return [market for market in asked.markets or () if market in asked.unheard]

    def unconfirmed(self, channel: str) -> Sequence[str]:
        asked = self._subscriptions.channels[channel]
        return [market for market in asked.markets or () if market in asked.unconfirmed]

    def channels(self) -> Sequence[ChannelState]:
        return list(self._states())

    def _states(self) -> Iterator[ChannelState]:
        for channel in self._subscriptions.channels.values():
            asked = None if channel.markets is None else len(channel.markets)
            sid = channel.sid or -1
            snapshots = self._snapshots if channel.name == BOOKS else None
            yield ChannelState(
                channel.name,
                channel.subscription,
                asked,
                None if asked is None else asked - len(channel.unconfirmed),
                None if asked is None else asked - len(channel.unheard),
                pending=bool(channel.pending),
                # One of the two changes with each message of the channel, whether it has a number or none.
                activity=self._next_seq.get(sid, 0) + self._last_batch.get(sid, 0),
                books_pending=snapshots.pending if snapshots else None,
                books_missing=snapshots.missing if snapshots else None,
                may_be_silent=channel_named(channel.name).may_be_silent,
                unsent=not channel.pending.isdisjoint(self._sending.unsent),
            )

    def tick(self, now_ms: int) -> Inspection:
        events: list[Event] = []
        self._sending.tick(now_ms)
        commands = list(self._sending.due(self._subscriptions.waiting_for))
        if self._snapshots is not None:
            if self._snapshots.notice_day(now_ms):
                self.begin_file()
            if room := self._sending.room():
                requests, found = self._snapshots.ask(self._sending.passed_ms, room)
                self._sending.sent(len(requests))
                commands += requests
                events += found
            events += self._snapshots.report(0)
        return Inspection(True, events, commands=commands)

    def inspect(self, payloads: list[bytes]) -> Inspection:
        inspection = super().inspect(payloads)
        if self._subscriptions.listening or self._subscriptions.opening:
            self._subscriptions.hear(inspection.heads, payloads)
        return inspection

    def _books_of(self, sid: int) -> str:
        return BOOKS if self._snapshots is not None and self._snapshots.sid == sid else ""

    def _read_gap(self, gap: Gap) -> SsmdError | None:
        return None if self._snapshots is None else self._snapshots.lost(gap)

    def _read_special(self, head: MessageHead, payload: bytes, index: int, events: list[Event]) -> SsmdError | None:
        seq = head.seq or 0
        failure = super()._read_special(head, payload, index, events)
        if head.type != SNAPSHOT:
            ending = self._read_reply(head, payload, index, events)
            return failure or ending
        if self._snapshots is not None:
            self._snapshots.receive(head.sid, payload, head.id, self._is_in_place(head, seq))
            events += self._snapshots.report(index + 1)
        return failure

    def _read_reply(self, head: MessageHead, payload: bytes, index: int, events: list[Event]) -> SsmdError | None:
        """Match a reply to its command, and add what it means to `events`; return the error that ends the run, if it
        is one.
        """
        message = content(payload)
        body = mapping(message.get("msg"))
        if head.type == "error":
            return self._read_error(head, read_error(body, self._where(head.sid), self._shown), index, events)
        if head.type == "unsubscribed":
            # ssmd never unsubscribes, so the messages are over.
            return Disconnected(f"Kalshi has ended the subscription{self._where(head.sid)}")
        found = []
        if head.type == "subscribed":
            found = list(self._subscriptions.subscribed(head.id, body))
        elif head.type == "ok":
            # Until February 2026 the lists were at the top level.
            found = list(self._subscriptions.ok(head.id, head.sid, {**message, **body}))
        for acknowledged in found:
            events.append(acknowledged._replace(place=index))
            if acknowledged.sid is not None:
                self._last_batch.setdefault(acknowledged.sid, 0)
            if acknowledged.channel == BOOKS and self._snapshots is not None:
                self._snapshots.confirmed()
                events += self._snapshots.report(index + 1)
        return None

    def _read_error(self, head: MessageHead, error: KalshiError, index: int, events: list[Event]) -> SsmdError | None:
        if error.is_too_many_commands:
            self._send_again(head, error, index, events)
        if error.is_over:
            return Disconnected(f"{error.text}; {error.remedy}")
        if self._snapshots is not None and self._snapshots.has_asked(head.id):
            found = self._snapshots.refused(head.id, error, index)
            if isinstance(found, SsmdError):
                return found
            if found is not None:
                _add(events, found)
            return None
        if error.is_too_many_commands:
            return None
        if error.is_timeout:
            return Disconnected(f"{error.text}; {error.remedy}")
        if error.is_too_many_markets:
            return self._too_many_markets(head, error, index, events)
        text = error.refusal(self._channels_about(head))
        for name in self._channels_about(head):
            _add(events, Refused(name, error.code, text, index))
        return SubscriptionRefused(text)

    def _send_again(self, head: MessageHead, error: KalshiError, index: int, events: list[Event]) -> None:
        """Send a command again after a pause: Kalshi says that there are too many at once."""
        again = [head.id] if self._subscriptions.waiting_for(head.id) else []
        if not head.id:
            again = [command_id for _, command_id in self._subscriptions.unanswered()]
        if self._sending.refused(again):
            text = f"{error.text}; the command is sent again, after a pause of {self._sending.pause_seconds} s"
            for name in self._channels_about(head):
                _add(events, Refused(name, error.code, text, index, for_now=True))

    def _too_many_markets(
        self, head: MessageHead, error: KalshiError, index: int, events: list[Event]
    ) -> SubscriptionRefused | None:
        """Go on with the markets that are confirmed; when nothing is subscribed, end the run."""
        remedy = error.remedy
        refused = list(self._subscriptions.refused(head.id, head.sid))
        for channel, missing in refused:
            asked = len(channel.markets or ())
            count = f"{missing:,} of {asked:,} markets of {channel.name} are" if asked else f"{channel.name} is"
            _add(events, Refused(channel.name, error.code, f"{error.text}; {count} not collected: {remedy}", index))
        if not refused:
            for name in self._channels_about(head):
                _add(events, Refused(name, error.code, f"{error.text}; {remedy}", index))
        if self._snapshots is not None:
            events += self._snapshots.report(index + 1)
        channels = self._subscriptions.channels.values()
        if any(channel.sid is not None or channel.pending for channel in channels):
            return None
        return SubscriptionRefused(f"{error.text}; nothing is subscribed: {remedy}")

    def _channels_about(self, head: MessageHead) -> Sequence[str]:
        """Return the channels that an error is about, as far as that is known; an empty name when it is not."""
        channel = self._subscriptions.channel_of(head.sid)
        if channel is not None:
            return [channel.name]
        if self._snapshots is not None and self._snapshots.has_asked(head.id):
            return [BOOKS]
        return self._subscriptions.waiting_for(head.id) or [""]

    def _is_in_place(self, answer: MessageHead, seq: int) -> bool:
        """Return whether the number of an answer, which was left out of the sequence, belongs to its place there."""
        expected = self._next_seq.get(answer.sid)
        before, count, _ = self._answers.get(answer.sid, (0, 0, 0))
        return expected is not None and expected - 1 <= seq < expected + (count if before == expected else 0)

    def _where(self, sid: int) -> str:
        channel = self._subscriptions.channel_of(sid)
        return f" on {channel.name if channel else 'a subscription'} (sid {sid})" if sid else ""

    def _shown(self, value: object) -> str:
        """Return a value that Kalshi has sent as text for a log."""
        return printable(str(value))


def _add(events: list[Event], refused: Refused) -> None:
    """Add a refusal in place of an earlier one of the same channel and code, which counts fewer markets."""
    for index, event in enumerate(events):
        if isinstance(event, Refused) and (event.channel, event.code) == (refused.channel, refused.code):
            del events[index]  # Its place is before those of later events, so it cannot just be changed.
            break
    events.append(refused)
