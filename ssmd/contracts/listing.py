"""The contract of a listing: how a dialect finds out, over HTTP, which markets there are to follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ssmd.contracts.http import HttpAnswer, HttpRequest

__all__ = ["Listing", "ListingState"]


class ListingState(NamedTuple):
    """How far the following of markets is."""

    listed: int | None
    """How many markets the exchange lists that are to be collected; None before the first whole listing."""
    subscribed: int
    """How many of them are subscribed to and confirmed."""
    not_subscribed: int
    """How many markets are known that are to be collected, and not confirmed yet."""
    over_limit: int
    """How many of these are left out, because of a limit of the exchange or of the feed."""
    last_listed_ms: int | None
    """When the last whole listing ended, Unix milliseconds; None before the first."""
    error: str | None
    """Why the last request had no usable answer; None when it had one."""
    pause_seconds: int = 0
    """How long the pause is that the listing makes after a refusal or a failure; 0 when it makes none."""
    responses: Mapping[int, int] = MappingProxyType({})
    """How many requests had an answer of each status; 0 stands for none."""
    waiting_since_ms: int | None = None
    """When the oldest unconfirmed market was asked for, Unix milliseconds; None when none waits."""
    unlisted: Sequence[str] = ()
    """The names of what is followed of which the last whole listing has no market, each with what it is."""

    is_over: bool = False
    """Whether no market is followed any more, since the configuration was changed."""

    @property
    def note(self) -> str:
        """What people should know although nothing is wrong, a sentence; empty when there is nothing."""
        count = len(self.unlisted)
        return f"names in `follow` of which the exchange lists no market: {count}" if count else ""


class Listing(Protocol):
    """The requests of one connection, which a greenlet performs one after the other. No sockets, no clock reads.

    What it finds out reaches the exchange with the commands of Exchange.tick().
    """

    def next(self, now_ms: int) -> HttpRequest | float:
        """Return the request to make now, or in how many seconds to ask again: the pace, and pauses after refusals, are
        kept here. It is called again soon after each answer, and at the latest once a second.
        """

    def answered(self, answer: HttpAnswer, now_ms: int) -> bool:
        """Take the answer to the last request, whatever its status. Returns whether its body is used, so that it is
        kept.
        """

    def failed(self, reason: str, now_ms: int) -> None:
        """Record that the last request has no answer, and why."""

    def state(self) -> ListingState: ...
