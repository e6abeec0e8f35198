"""What a run knows about itself: written by its parts, read by the probes, the metrics and people."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["STUCK_SECONDS", "Status"]

STUCK_SECONDS = 10.0
"""A write or a sync that takes longer makes /health an error. A slow disk takes tenths, a dead one for ever."""


@dataclass
class Status:
    """Facts of the moment; everything is plain data, so that a probe never waits for anything."""

    connected: bool = False
    last_received_ns: int = 0
    messages: int = 0
    """Messages written."""
    received_bytes: int = 0
    written_bytes: int = 0
    gaps: int = 0
    missed: int = 0
    not_json: int = 0
    """Messages that are not valid JSON and were kept as a string."""
    unacknowledged: int = 0
    location: str = ""
    """Where the writer is writing, for people."""
    ending: str | None = None
    """Why the run is ending, when it ends with an error."""
    write_began: float | None = None
    """time.monotonic() at which the write now under way began."""
    sync_began: float | None = None
    """The same of the sync under way."""
    queue_messages: Callable[[], float] = lambda: 0.0
    queue_bytes: Callable[[], float] = lambda: 0.0

    def trouble(self) -> str | None:
        """Why the process is not healthy, or None when it is."""
        if self.ending is not None:
            return self.ending
        for what, began in (("write", self.write_began), ("sync", self.sync_began)):
            if began is not None and (stuck := time.monotonic() - began) > STUCK_SECONDS:
                return f"a {what} to {self.location} has been stuck for {stuck:.0f} s"
        return None

    def ready(self) -> bool:
        """Connected, and not on the way out."""
        return self.connected and self.ending is None
