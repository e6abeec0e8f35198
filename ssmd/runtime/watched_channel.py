"""What is known of one channel from second to second: how long it has been quiet, and what has been reported of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssmd.contracts.events import ChannelState

__all__ = ["WatchedChannel", "is_confirmed"]


class WatchedChannel:
    """One channel. All its times are in seconds in which ssmd listened."""

    def __init__(self, activity: Sequence[int]) -> None:
        self.activity = activity
        self.last_ns: int | None = None
        self.quiet = self.unconfirmed = self.books = self.listened = 0.0
        self.foreign = 0.0
        """For how long messages have come while none was of a market that is asked for."""
        self.noted = False
        """Whether it is silent by the newest entry in the ledger."""
        self.since_note = math.inf
        """Since the newest entry `silent`."""
        self.books_warned = self.foreign_warned = False
        self.unheard: frozenset[str] = frozenset()
        self.since_unheard = math.inf

    def update(self, states: Sequence[ChannelState], seconds: float, last_ns: int | None) -> None:
        """Compare with the states of the tick before; `last_ns`: when the last message of all channels came."""
        is_asked = not any(state.unsent for state in states)
        self.listened += seconds if is_asked else 0.0
        self.since_note += seconds
        self.since_unheard += seconds
        activity = [state.activity for state in states]
        if activity == self.activity:
            self.quiet += seconds if is_asked else 0.0
        else:
            self.activity, self.quiet, self.last_ns = activity, 0.0, last_ns
            self.foreign += seconds
        if any(state.heard for state in states):
            self.foreign = 0.0
        waits = is_asked and not all(map(is_confirmed, states))
        self.unconfirmed = self.unconfirmed + seconds if waits else 0.0
        self.books = self.books + seconds if any(state.books_pending for state in states) else 0.0


def is_confirmed(state: ChannelState) -> bool:
    """Return whether the exchange has confirmed all that was asked for on a channel."""
    missing = 0 if state.asked is None or state.confirmed is None else state.asked - state.confirmed - state.changing
    return not state.pending and missing <= 0
