"""One connection: what is sent to the exchange, and what its messages mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ssmd.contracts.events import Asked, ChannelState, Event, Refused
from ssmd.contracts.exchange import LOSS_NOT_DETECTED, Inspection, Opening
from ssmd.contracts.http import HttpRequest
from ssmd.contracts.listing import Listing
from ssmd.errors import ConfigError, ConnectError, Disconnected, SsmdError, SubscriptionRefused
from ssmd.exchange.generic.asking import decoded, value_in
from ssmd.exchange.generic.description import Description
from ssmd.exchange.generic.endings import Endings
from ssmd.exchange.generic.fields import NOTHING, are_json
from ssmd.exchange.generic.handshake import Handshake
from ssmd.exchange.generic.hearing import Hearing, subscriptions_of
from ssmd.exchange.generic.inspector import GenericInspector
from ssmd.exchange.generic.keep_alives import KeepAlives
from ssmd.exchange.generic.match import Found, Matcher
from ssmd.exchange.generic.outbox import Letter, Outbox
from ssmd.exchange.generic.replies import Replies
from ssmd.exchange.generic.template import NoValueError, TemplateError, fill, sent
from ssmd.exchange.generic.uses import key_fields
from ssmd.exchange.passed_time import PassedTime

__all__ = ["GenericConnection"]

LONGEST_TICK_MS = 1000.0
SHORTEST_TICK_MS = 20.0
FIRST_TICK_MS = 50.0
"""Soon after the opening, whose time is not known before."""


class GenericConnection(GenericInspector):
    """Follows one connection, live.

    `keys`: the values of the key fields by name. `subscribe`: the environment's section.
    """

    heads = None
    loss_note = LOSS_NOT_DETECTED

    def __init__(
        self, description: Description, keys: Mapping[str, str], subscribe: Any, commands_per_second: float | None
    ) -> None:
        replies, endings = description.replies, description.end_when
        confirmation = description.confirmed
        # _act() finds out by this order what a match is for.
        matches = [*(each.when for each in replies), *(each.when for each in endings)]
        self._first_ending, self._confirms = len(replies), len(matches)
        matches += [confirmation.when if confirmation else (), description.ignore]
        super().__init__(description, live=True)
        for name, place in key_fields(description, "", subscribe).items():
            if name not in keys:
                raise ConfigError(f"there is no key with the field `{name}`, which {place} uses as ${{key.{name}}}")
        self._matcher = Matcher(matches, self.fields) if any(matches) else None
        self._asking = description.asked
        self._messages: Sequence[Any] = subscribe.get("messages", [])
        opening = [
            Letter(message, place=place, name=f"subscribe.messages[{place}]")
            for place, message in enumerate(self._messages)
        ]
        self._outbox = Outbox(opening, commands_per_second)
        self._handshake = Handshake(description, keys)
        self._replies = Replies(replies, self._outbox.replies)
        self._endings = Endings(endings)
        self._keep_alive = description.keep_alive
        self._keep_alives = KeepAlives(description.keep_alive)
        self._subscriptions = subscriptions_of(description, self._messages)
        self._hearing = Hearing(self._subscriptions, description, self) if self._subscriptions.channels else None
        self._reads_nothing = not (self._matcher or self._hearing or self._numbers or self._times)
        self._always_ticks = bool(replies or description.keep_alive)
        self._time = PassedTime()
        self._tick_ms = FIRST_TICK_MS
        self._heard = self._due = False

    # How it is opened.

    def prepare(self, now_ms: int) -> HttpRequest | None:
        return self._handshake.prepare(now_ms)

    def prepared(self, answer: bytes) -> None:
        self._handshake.prepared(answer)

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return self._handshake.opening(endpoint, now_ms)

    @property
    def idle(self) -> str:
        return ""

    @property
    def listing(self) -> Listing | None:
        return None

    def reconfigure(self, subscribe: Any) -> None:
        raise ConfigError("the dialect `generic` cannot change `subscribe` on an open connection; restart the run")

    # What is sent.

    def commands(self) -> Sequence[bytes]:
        try:
            return [self._filled(letter, self._handshake.now_ms) for letter in self._outbox.first]
        except Disconnected as error:
            raise ConnectError(str(error)) from None

    def unsent(self) -> int:
        return len(self._outbox)

    @property
    def tick_seconds(self) -> float | None:
        return self._tick_ms / 1000 if self._always_ticks or self._outbox else None

    def tick(self, now_ms: int) -> Inspection:
        passed_ms = self._time.tick(now_ms, 0 if self._due else int(self._tick_ms))
        self._due = False
        if self._heard:
            self._heard = False
            self._keep_alives.heard(passed_ms)
        for index in self._keep_alives.due(passed_ms):
            letter = Letter(self._keep_alive[index].send, name=f"keep_alive[{index}].send")
            if letter not in self._outbox.keep_alives:  # The one before may still wait for its turn.
                self._outbox.keep_alives.append(letter)
        failure: SsmdError | None = self._replies.ended_by(passed_ms)
        commands = []
        if failure is None:
            try:
                for letter in self._outbox.take(passed_ms):
                    commands.append(self._filled(letter, now_ms))
            except (ConfigError, Disconnected) as error:
                failure = error
        self._choose_tick(passed_ms)
        return Inspection(True, commands=commands, failure=failure)

    def _choose_tick(self, passed_ms: int) -> None:
        waits = [self._keep_alives.wait_ms(passed_ms), self._outbox.wait_ms(passed_ms), LONGEST_TICK_MS]
        self._tick_ms = max(SHORTEST_TICK_MS, min(wait for wait in waits if wait is not None))

    def _filled(self, letter: Letter, now_ms: int) -> bytes:
        """Return a message with its placeholders filled in.

        Raises Disconnected when that is not possible, ConfigError when what came lacks a field of its reply.
        """
        try:
            message = fill(letter.send, self._handshake.values(now_ms, decoded(letter.answers or b"")))
            if letter.place is not None and self._asking is not None and self._asking.id is not None:
                self._subscriptions.sent(letter.place, value_in(message, self._asking.id))
            return sent(message)
        except NoValueError as error:  # The next message of this kind lacks it, too: a restart does not help.
            remedy = "correct this path in the feed's `dialect`, or make `when` match only messages that have it"
            raise ConfigError(f"`{letter.name}` cannot be sent: {error}; {remedy}") from None
        except ValueError as error:
            # The text of any other error could show a part of the message.
            reason = str(error) if isinstance(error, TemplateError) else "half of a surrogate pair is no character"
            raise Disconnected(f"`{letter.name}` cannot be sent: {reason}") from None

    # What comes.

    def inspect(self, payloads: list[bytes]) -> Inspection:
        self._heard = True
        if self._reads_nothing:
            return Inspection(are_json(payloads))
        inspection = super().inspect(payloads)
        found = self._matcher.find(self.batch) if self._matcher is not None else ()
        others: Collection[int] = ()
        if found:
            inspection, others = self._act(inspection, payloads, found)
        if self._hearing is not None:
            not_asked = self._hearing.hear(self.batch, others)
            if not_asked:
                inspection = inspection._replace(events=[*inspection.events, *not_asked])
        self.batch = NOTHING  # Not kept while the next message is received: each may have 16 MiB.
        return inspection

    def _act(
        self, inspection: Inspection, payloads: list[bytes], found: Sequence[Found]
    ) -> tuple[Inspection, Collection[int]]:
        """Act on the messages that a match is about. Return the places of those that are not heard from a channel."""
        events: list[Event] = []
        failure: SsmdError | None = None
        ignored, others = set(), set()
        for place, which in found:
            is_data = False
            if which < self._first_ending:
                self._replies.answer(which, payloads[place])
                self._due = True
            elif which < self._confirms:
                if failure is None:
                    failure = self._end(which - self._first_ending, payloads[place], place, events)
            elif which == self._confirms:
                acknowledged = self._subscriptions.confirm(payloads[place], place)
                events += acknowledged or ()
                is_data = acknowledged is None
            else:
                ignored.add(place)
            if not is_data:
                others.add(place)
        if events:
            events = sorted([*inspection.events, *events], key=lambda event: getattr(event, "place", 0))
        inspection = inspection._replace(
            events=events or inspection.events,
            failure=inspection.failure or failure,
            data=len(ignored) < len(payloads),
            due=self._due,
        )
        return inspection, others

    def _end(self, which: int, payload: bytes, place: int, events: list[Event]) -> SsmdError:
        error = self._endings.by_message(which, payload, self._handshake.hidden())
        if isinstance(error, SubscriptionRefused):
            events.append(Refused(self._channel_of(payload), None, str(error), place))
        return error

    def _channel_of(self, payload: bytes) -> str:
        """Return the channel that a refusal is about; empty when that is not known."""
        path = self._asking.id if self._asking is not None else None
        answer = decoded(payload)
        return self._subscriptions.channel_of(answer, None if path is None else value_in(answer, path))

    def expects_text(self, payload: bytes) -> bool:
        if self._matcher is None:
            return False
        # Its own Batch, because this is called in another thread.
        return bool(self._matcher.find(self.fields.read([payload])))

    def hidden(self) -> Collection[str]:
        return self._handshake.hidden()

    def closed(self, code: int | None, reason: str) -> SsmdError | None:
        return self._endings.by_code(code, reason)

    # What was asked for.

    def asked(self) -> Sequence[Asked]:
        return list(self._subscriptions.asked())

    def unacknowledged(self) -> Sequence[str]:
        return list(self._subscriptions.unacknowledged())

    def channels(self) -> Sequence[ChannelState]:
        return list(self._subscriptions.states(self._outbox.unsent))

    def unheard(self, channel: str) -> Sequence[str]:
        return self._subscriptions.unheard(channel)

    def unconfirmed(self, channel: str) -> Sequence[str]:
        return self._subscriptions.unconfirmed(channel)
