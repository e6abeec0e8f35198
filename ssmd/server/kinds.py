"""What a verdict on a run can be: its kinds and grades. Plain data."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ATTENTION",
    "BAD",
    "BEHIND",
    "CLOSED_NOW",
    "COLLECTING",
    "CONNECTING",
    "COPY_BEHIND",
    "COPY_DOWN",
    "DISK_SILENT",
    "ENDING",
    "FAILED",
    "FILLING",
    "FIRST_LOSS",
    "GOOD",
    "GRADES",
    "INCOMPLETE",
    "KINDS",
    "LAST_MESSAGE",
    "LOST",
    "MOMENTS",
    "NOT_CONNECTED",
    "OLDEST_NOT_COPIED",
    "QUIET",
    "RUN_BEGAN",
    "SILENCE_EXPECTED",
    "STATE_BEGAN",
    "WAITING",
    "Verdict",
]

GOOD, ATTENTION, BAD, WAITING = GRADES = ("good", "attention", "bad", "waiting")
"""BAD: data is being lost, or may be, or was within the last 10 minutes. ATTENTION: nothing is lost yet. WAITING:
nothing is expected now.
"""

ENDING, DISK_SILENT, CONNECTING, NOT_CONNECTED = "ending", "disk_silent", "connecting", "not_connected"
INCOMPLETE, LOST, BEHIND, QUIET = "incomplete", "lost", "disk_behind", "quiet"
COPY_DOWN, COPY_BEHIND, FILLING, FAILED = "copy_down", "copy_behind", "disk_fills_up", "companion_failed"
CLOSED_NOW, SILENCE_EXPECTED, COLLECTING = "closed", "silence_expected", "collecting"
KINDS = (
    *(ENDING, DISK_SILENT, CONNECTING, NOT_CONNECTED, INCOMPLETE, LOST, BEHIND, QUIET),
    *(COPY_DOWN, COPY_BEHIND, FILLING, FAILED, CLOSED_NOW, SILENCE_EXPECTED, COLLECTING),
)
"""What a verdict can say; docs/status.md has the meaning of each."""

STATE_BEGAN, RUN_BEGAN, LAST_MESSAGE, FIRST_LOSS, OLDEST_NOT_COPIED = MOMENTS = (
    *("state_began", "run_began", "last_message", "first_loss", "oldest_not_copied"),
)
"""What happened at the time since when it is so."""


class Verdict(NamedTuple):
    """What an operator wants to know first."""

    kind: str
    """One of KINDS."""
    grade: str
    brief: str
    """In a few words, without figures: it changes only when the state does."""
    text: str
    """One sentence."""
    since: int | None = None
    """Since when it is so, ns since the epoch; None when that is not known."""
    since_is: str = STATE_BEGAN
    """What happened then: one of MOMENTS."""
    says_since: bool = False
    """The sentence has that time, so that nobody need say it again."""
    says_how_long: bool = False
    """The sentence says for how long it has been so, or how long does not matter."""
