"""What a run knows about itself: written by its parts, read by the probes, the metrics and people."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["STUCK_SECONDS", "CompanionState", "Status"]

STUCK_SECONDS = 10.0
"""A write or a sync that takes longer makes /health an error. A slow disk takes tenths of a second, a dead one never
answers."""


@dataclass
class CompanionState:
    """The state of a companion."""

    up: bool = False
    """Its process is running."""
    starts: int = 0
    failures: int = 0
    error: str | None = None
    """Why it failed the last time; None when it never did."""
    report: dict[str, Any] = field(default_factory=dict)
    """What it has reported of itself, the newest value of each key."""


@dataclass
class Status:
    """Facts of the moment. All is plain data, so that a probe never waits for anything."""

    connected: bool = False
    last_received_ns: int = 0
    """When the last message was received, ns since the epoch; 0 before the first."""
    messages: int = 0
    """Messages written."""
    received_bytes: int = 0
    written_bytes: int = 0
    gaps: int = 0
    missed: int = 0
    """Messages missing in the gaps."""
    not_json: int = 0
    """Messages that are not valid JSON and were kept as a string."""
    unacknowledged: int = 0
    """Subscriptions that the exchange has not confirmed."""
    location: str = ""
    """Where the writer is writing, for people."""
    day: str = ""
    """The UTC day that is being written, YYYY-MM-DD; empty before the writer is open."""
    ending: str | None = None
    """Why the run is ending, when it ends with an error."""
    write_began: float | None = None
    """time.monotonic() at which the present write began; None while there is none."""
    sync_began: float | None = None
    """The same for the present sync."""
    queue_messages: Callable[[], float] = lambda: 0.0
    queue_bytes: Callable[[], float] = lambda: 0.0
    companions: dict[str, CompanionState] = field(default_factory=dict)
    """By name."""

    def trouble(self) -> str | None:
        """Return why the process is not healthy, None when it is."""
        if self.ending is not None:
            return self.ending
        for what, began in (("write", self.write_began), ("sync", self.sync_began)):
            if began is not None and (stuck := time.monotonic() - began) > STUCK_SECONDS:
                return f"a {what} to {self.location} has been stuck for {stuck:.0f} s"
        return None

    def ready(self) -> bool:
        """Return whether the run is connected, and not ending."""
        return self.connected and self.ending is None
