"""What a collector says at /status, as far as it is shown elsewhere. docs/status.md has the fields.

A collector of another version may leave fields out, or say more. What is not known is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

__all__ = [
    "BAD",
    "CLOSED",
    "COLLECTING",
    "Channel",
    "Companion",
    "Copy",
    "Disk",
    "Following",
    "Messages",
    "Piece",
    "Queue",
    "Rates",
    "Runs",
    "Said",
    "Schedule",
    "Today",
    "Verdict",
    "read",
]

Time = Annotated[datetime, msgspec.Meta(tz=True)]

COLLECTING, CLOSED = "collecting", "closed"
"""The states in which nothing is wrong with what comes."""
BAD = "bad"
"""The grade of a verdict when data is being lost, or may be."""


class Verdict(msgspec.Struct):
    grade: str
    brief: str
    text: str


class Messages(msgspec.Struct):
    written: int
    gaps: int | None = None
    missed: int | None = None
    age_seconds: float | None = None
    last_byte_age_seconds: float | None = None


class Rates(msgspec.Struct):
    messages_per_second: float | None = None
    bytes_per_second: float | None = None


class Piece(msgspec.Struct):
    begin: Time = msgspec.field(name="from")
    end: Time = msgspec.field(name="to")
    state: str
    cause: str = ""


class Today(msgspec.Struct):
    day: str
    coverage_percent: float | None = None
    first_run: Time | None = None
    outages: int = 0
    gaps: int = 0
    pieces: Sequence[Piece] = ()


class Channel(msgspec.Struct):
    channel: str
    silent: bool = False
    age_seconds: float | None = None


class Following(msgspec.Struct):
    listed: int | None = None
    not_subscribed: int | None = None


class Queue(msgspec.Struct):
    messages: int
    bytes: int


class Disk(msgspec.Struct):
    free_bytes: int | None = None
    last_sync: Time | None = None
    full_in_days: float | None = None


class Schedule(msgspec.Struct):
    closed_until: Time | None = None


class Runs(msgspec.Struct):
    starts_today: int | None = None
    earlier_errors: Mapping[str, int] | None = None


class Companion(msgspec.Struct):
    name: str
    up: bool
    failures: int = 0


class Copy(msgspec.Struct):
    """How far a copy in an engine or a bucket is."""

    engine: str
    up: bool
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    day_overdue_seconds: float | None = None
    error: str | None = None


class Said(msgspec.Struct):
    """The answer of one collector. With `--page off` it has only the first fields, and `connected` is None."""

    state: str
    since: Time
    environment: str = ""
    feed: str = ""
    shard: str = ""
    version: str = ""
    connected: bool | None = None
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()
    verdict: Verdict | None = None
    messages: Messages | None = None
    rates: Rates | None = None
    today: Today | None = None
    channels: Sequence[Channel] | None = None
    following: Following | None = None
    queue: Queue | None = None
    disk: Disk | None = None
    schedule: Schedule | None = None
    expected_silence_until: Time | None = None
    runs: Runs | None = None
    companions: Sequence[Companion] = ()
    shipping: Copy | None = None
    uploading: Copy | None = None

    @property
    def is_well(self) -> bool:
        """Whether all comes that was asked for, or nothing is expected now."""
        graded_bad = self.verdict is not None and self.verdict.grade == BAD
        return self.state in (COLLECTING, CLOSED) and not graded_bad

    @property
    def copies(self) -> Sequence[tuple[str, Copy]]:
        """The copies that are made of what is recorded, each with the name of the companion that makes it."""
        return [(name, copy) for name, copy in (("ship", self.shipping), ("upload", self.uploading)) if copy]


_decode = msgspec.json.Decoder(Said).decode


def read(body: bytes) -> Said:
    """Return what an answer says. Raises ValueError for one that is no collector's."""
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
