"""What a relay is to do, and what it, or an uploader to a bucket, knows of itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from ssmd.contracts.sink import Position

__all__ = ["DAY", "LIVE", "PAUSE_SECONDS", "STALL_SECONDS", "Plan", "RelayState"]

PAUSE_SECONDS = (1.0, 60.0)
"""How long after a failure of the engine the next attempt is made: at first, and at most. The pause doubles each time,
until something has been acknowledged."""

DAY = "day"
LIVE = "live"
"""What an uploader has to do: days that are over, and lines of today."""

STALL_SECONDS = 5.0
"""An engine that has not acknowledged a block for longer does not work, although the connection is there."""


class Plan(NamedTuple):
    """What a relay is to do."""

    start: str
    """Where to begin when the engine has nothing: see Follower.begin(). It is the place when the relay is started
    first, so that nothing is left out when the engine takes the first block only later."""
    resume_at: Position | None = None
    """Where to go on instead of the end of the engine's copy, chosen by a person; once."""
    once: bool = False
    """End when all is shipped that was there at the beginning, and with the first failure of the engine."""
    pause_seconds: tuple[float, float] = PAUSE_SECONDS
    has_bucket: bool = False
    """The storage has a bucket too, from which days that are not here may be restored."""


@dataclass
class RelayState:
    """What a relay knows of itself. None is unknown."""

    up: bool = False
    """It is connected to the engine, and knows where its copy ends."""
    messages: int = 0
    """Messages that the engine has acknowledged to this process."""
    failures: int = 0
    """Times that the engine failed."""
    error: str | None = None
    """Why it is not connected; None while it is."""
    position: Position | None = None
    """Where the engine's copy ends, as far as it has acknowledged."""
    last: str | None = None
    """The time of the last line that this process has shipped, as in the line."""
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    """As at `measured`."""
    measured: float = 0.0
    """When the lag was measured, by time.monotonic()."""
    part: str = ""
    """Of an uploader, whether this is about DAY or LIVE; otherwise empty."""
    overdue_seconds: float | None = None
    """Of an uploader, for how long something that should be there has not been; 0 when there is nothing of the kind."""
    sending: float | None = None
    """Since when the engine has been asked to acknowledge a block, by time.monotonic(); None while it is not asked."""

    def stalled(self) -> float:
        """Return for how long the engine has not answered, in seconds; 0 while that is not longer than usual."""
        began = self.sending
        seconds = 0.0 if began is None else time.monotonic() - began
        return seconds if seconds > STALL_SECONDS else 0.0

    def lag(self) -> tuple[int | None, float | None]:
        """Return bytes and seconds of the lag by now: what could not be measured again has become older."""
        if not self.lag_bytes or self.lag_seconds is None:
            return self.lag_bytes, self.lag_seconds
        return self.lag_bytes, self.lag_seconds + time.monotonic() - self.measured
