"""What a dialect reports about a connection: what it asked for, what the exchange answers, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = [
    "Acknowledged",
    "Asked",
    "ChannelState",
    "Event",
    "Followed",
    "Gap",
    "NotAsked",
    "Refused",
    "Response",
    "SnapshotsReceived",
    "SnapshotsRequested",
    "Times",
    "Unfollowed",
]


class Asked(NamedTuple):
    """The dialect asks for the messages of a channel, or stops asking for them, with commands that are sent now."""

    subscription: int
    """Its place in the environment's `subscribe` list, from 1."""
    channel: str
    action: str
    """subscribe, add or remove."""
    markets: Sequence[str] | None
    """The markets that the action is about; None for all."""
    commands: Sequence[Any]
    """The commands, as JSON, before keys are filled in."""


class Acknowledged(NamedTuple):
    """The exchange has confirmed a subscription."""

    channel: str
    sid: int | None
    place: int = 0
    """The index of the payload that says so."""
    tickers: Sequence[str] = ()
    """The markets that were asked for; empty when all were."""
    acknowledged: int | None = None
    """How many of them the answer repeats; None when it repeats none."""
    is_change: bool = False
    """Whether the markets were added to a subscription that was confirmed before: there may be thousands a day."""
    unconfirmed: Sequence[str] = ()
    """The markets that are not confirmed, although they were asked for or had been confirmed before."""


Times = tuple[int | None, int | None]
"""When a market opens and when it closes, Unix seconds; None for what is not known."""


class Followed(NamedTuple):
    """Markets are to be collected from now on, because they are followed; or the times of such markets have changed."""

    channels: Sequence[str]
    """On which channels they are to be collected."""
    markets: Mapping[str, Times]


class Unfollowed(NamedTuple):
    """Followed markets are not to be collected any more, on any channel."""

    markets: Sequence[str] | None
    """None for all."""


class Gap(NamedTuple):
    """A number of a subscription's sequence did not follow the one before it."""

    sid: int
    expected: int
    got: int
    place: int = 0
    """The index of the payload that has `got`."""
    books: str = ""
    """The channel whose order books are not known any more because of it; empty when no order books are concerned."""
    name: str = ""
    """What the numbers count, for people, such as a market; empty when the `sid` alone says it."""
    counted: bool = True
    """Whether the numbers say how many messages were lost."""

    @property
    def missing(self) -> int | None:
        """How many messages were lost; 0 when the sequence went backwards, None when that is not known."""
        return max(0, self.got - self.expected) if self.counted else None


class Refused(NamedTuple):
    """The exchange has refused a part of what was asked for; the run goes on with the rest."""

    channel: str
    code: int | None
    text: str
    """What the exchange said, how many markets are missing, and what to do."""
    place: int = 0
    """The index of the payload that says so."""
    for_now: bool = False
    """Whether ssmd asks for it again, so that it may still come."""


class SnapshotsRequested(NamedTuple):
    """The dialect asks for fresh order books; the command is sent now."""

    sid: int
    channel: str
    markets: Sequence[str]
    why: str
    """gap, day, or start: the first snapshot has not come."""


class SnapshotsReceived(NamedTuple):
    """The order books of a subscription are known again: from here on, the day's file alone gives all of them."""

    sid: int
    channel: str
    markets: int
    """How many books are known."""
    place: int = 0
    """One more than the index of the payload that holds the last snapshot."""
    missing: Sequence[str] = ()
    """The markets whose book is missing: the exchange was asked several times, and has sent no snapshot."""


class NotAsked(NamedTuple):
    """Messages come of a channel that was not asked for, by what the description says. Only the log has it."""

    channel: str
    remedy: str


class Response(NamedTuple):
    """A message is the body of an answer over HTTP: what was asked, and how it was answered."""

    url: str
    """Without secrets."""
    status: int
    etag: str | None
    seconds: float
    """From the beginning of the request to the end of the answer."""
    place: int = 0
    """The index of the payload that is the body."""


Event = (
    Asked
    | Acknowledged
    | Followed
    | Unfollowed
    | Gap
    | Refused
    | SnapshotsRequested
    | SnapshotsReceived
    | NotAsked
    | Response
)
"""What a dialect reports about a connection. One with a `place` belongs there, any other before all payloads."""


class ChannelState(NamedTuple):
    """What was asked for on one channel, and how much of it is confirmed and heard from."""

    channel: str
    subscription: int
    """Its place in the environment's `subscribe` list, from 1."""
    asked: int | None
    """How many markets were asked for; None when all were."""
    confirmed: int | None
    """How many of them the exchange has confirmed; None when all were asked for, or when its answers are not known."""
    heard: int | None
    """From how many of them a message has come; None when all were asked for, or when that is not known."""
    pending: bool | None
    """Whether the exchange has still to answer a command about it; None when its answers are not known."""
    activity: int
    """A number that changes when a message of the channel comes; 0 before the first."""
    books_pending: int | None = None
    """How many order books are not known, while their snapshots are still to come; None without order books."""
    books_missing: int | None = None
    """How many order books the exchange does not send, although it was asked several times; None as above."""
    may_be_silent: bool = False
    """Whether it may have nothing to send for days, as a channel that is private to an account."""
    unsent: bool = False
    """Whether a part of what asks for it is still to be sent, at the pace of the feed, or is not known yet."""
    changing: int = 0
    """How many of the markets that are not confirmed were asked for only just now, or will be at once."""
    numbered: int | None = None
    """A number that grows by one with each message of the channel, and by those that are missing; None when its
    messages have no numbers, or when none has come."""
