"""What a relay is to do, and what it knows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ssmd.contracts.sink import Position

__all__ = ["PAUSE_SECONDS", "Plan", "RelayState"]

PAUSE_SECONDS = (1.0, 60.0)
"""How long after a failure of the engine the next attempt is made: at first, and at most. The pause doubles each time,
until a block has been acknowledged."""


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
