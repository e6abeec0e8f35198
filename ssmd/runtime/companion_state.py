"""The state of a companion: written by what watches it, read by the probes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["CompanionState"]


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
    reported: float = 0.0
    """When it has reported last, by time.monotonic()."""
