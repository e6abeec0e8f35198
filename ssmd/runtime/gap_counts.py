"""The gaps of a run: when they were, and how many messages are missing in each subscription."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["LOSS_SECONDS", "MOST_COUNTED", "GapCount", "GapCounts"]

LOSS_SECONDS = 600.0
"""So long after a gap messages count as being lost, as for the alert SsmdSequenceGaps."""
MOST_COUNTED = 1000
"""So many subscriptions are counted by themselves; a feed may count each market by itself."""


class GapCount(NamedTuple):
    """The gaps of one subscription."""

    gaps: int
    missed: int | None
    """The messages missing in them; None when the numbers do not say it."""


class GapCounts:
    """Counts gaps by what their numbers count."""

    def __init__(self) -> None:
        self.last_ns: int | None = None
        """When the newest gap was found, ns since the epoch; None when there was none."""
        self.lost_since_ns: int | None = None
        """When the first of the gaps was found that lie less than LOSS_SECONDS apart, the newest among them."""
        self._counts: dict[str, GapCount] = {}
        self._channels: dict[int, str] = {}
        """By sid, the newest last."""

    @property
    def counts(self) -> Mapping[str, GapCount]:
        """By subscription, in the words of people, such as `trade (sid 2)`. Without those beyond MOST_COUNTED."""
        return self._counts

    def subscribed(self, sid: int | None, channel: str) -> None:
        """Note which channel a subscription is of. That is kept for the newest MOST_COUNTED subscriptions: each
        connection may bring new ones, with the same numbers or others.
        """
        if sid is None:
            return
        self._channels.pop(sid, None)
        if len(self._channels) >= MOST_COUNTED:
            del self._channels[next(iter(self._channels))]
        self._channels[sid] = channel

    def add(self, sid: int, name: str, missed: int | None, ts_ns: int) -> None:
        """Count a gap. `name`: what the numbers count; empty when the sid alone says it."""
        if self.last_ns is None or ts_ns - self.last_ns >= LOSS_SECONDS * 1e9:
            self.lost_since_ns = ts_ns
        self.last_ns = ts_ns
        name = name or (f"{self._channels[sid]} (sid {sid})" if sid in self._channels else f"sid {sid}")
        before = self._counts.get(name)
        if before is None and len(self._counts) >= MOST_COUNTED:
            return
        gaps, sum_before = before or GapCount(0, 0)
        self._counts[name] = GapCount(gaps + 1, None if missed is None or sum_before is None else sum_before + missed)
