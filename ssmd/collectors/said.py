"""What a collector says at /status, as far as it is shown elsewhere. docs/status.md has the fields.

A collector of another version may leave fields out, or say more. What is not known is None. Another program may answer
too, and with anything. So every number, text, time and list has a limit, far beyond what a collector says. Who shows
an answer need not be prepared for more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

__all__ = [
    "BAD",
    "CLOSED",
    "COLLECTING",
    "CONNECTING",
    "Channel",
    "Companion",
    "Copy",
    "Disk",
    "Following",
    "LastEnd",
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
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Number = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]
_Text = Annotated[str, msgspec.Meta(max_length=10_000)]
_MOST = msgspec.Meta(max_length=2000)
"""How many items a list has at most."""
_FIRST_YEAR, _LAST_YEAR = 1970, 2200

COLLECTING, CLOSED = "collecting", "closed"
"""The states in which nothing is wrong with what comes."""
CONNECTING = "connecting"
BAD = "bad"
"""The grade of a verdict when data is being lost, or may be."""


class _Part(msgspec.Struct):
    def __post_init__(self) -> None:
        """Refuse times that no clock shows, with which nobody can calculate."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime) and not _FIRST_YEAR <= value.year < _LAST_YEAR:
                raise ValueError(f"`{name}` is no time of today")


class Verdict(_Part):
    grade: _Text
    brief: _Text
    text: _Text
    since: Time | None = None


class Messages(_Part):
    written: _Count
    gaps: _Count | None = None
    missed: _Count | None = None
    age_seconds: _Number | None = None
    last_byte_age_seconds: _Number | None = None


class Rates(_Part):
    messages_per_second: _Number | None = None
    bytes_per_second: _Number | None = None


class Piece(_Part):
    begin: Time = msgspec.field(name="from")
    end: Time = msgspec.field(name="to")
    state: _Text
    cause: _Text = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end < self.begin:
            raise ValueError("ends before it begins")


class Today(_Part):
    day: _Text
    coverage_percent: _Number | None = None
    coverage_since_first_run_percent: _Number | None = None
    first_run: Time | None = None
    outages: _Count = 0
    gaps: _Count = 0
    pieces: Annotated[Sequence[Piece], _MOST] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.day.startswith(("19", "20", "21")):
            raise ValueError("is no day of today")
        begin = datetime.fromisoformat(f"{self.day}T00:00:00+00:00")
        if any(piece.begin < begin or piece.end > begin + timedelta(1) for piece in self.pieces):
            raise ValueError("has a piece of another day")

    @property
    def listened_percent(self) -> float | None:
        """The part of the day that was listened to, without the time before the first run of all."""
        if self.first_run is None:
            return self.coverage_percent
        return self.coverage_since_first_run_percent  # None from an earlier version.


class Channel(_Part):
    channel: _Text
    confirmed: bool | None = None
    silent: bool = False
    age_seconds: _Number | None = None


class Following(_Part):
    listed: _Count | None = None
    not_subscribed: _Count | None = None


class Queue(_Part):
    messages: _Count
    bytes: _Count


class Disk(_Part):
    free_bytes: _Count | None = None
    last_sync: Time | None = None
    full_in_days: _Number | None = None


class Schedule(_Part):
    closed_until: Time | None = None


class LastEnd(_Part):
    time: Time
    killed: bool = False
    reason: _Text | None = None


class Runs(_Part):
    starts_today: _Count | None = None
    earlier_errors: Annotated[Mapping[_Text, _Count], _MOST] | None = None
    last_end: LastEnd | None = None


class Companion(_Part):
    name: _Text
    up: bool
    failures: _Count = 0


class Copy(_Part):
    """How far a copy in an engine or a bucket is."""

    engine: _Text
    up: bool
    lag_bytes: _Count | None = None
    lag_seconds: _Number | None = None
    day_overdue_seconds: _Number | None = None
    error: _Text | None = None


class Said(_Part):
    """The answer of one collector. With `--page off` it has only the first fields, and `connected` is None."""

    state: _Text
    since: Time
    started: Time | None = None
    environment: _Text = ""
    feed: _Text = ""
    shard: _Text = ""
    version: _Text = ""
    connected: bool | None = None
    missing: Annotated[Sequence[_Text], _MOST] = ()
    notes: Annotated[Sequence[_Text], _MOST] = ()
    verdict: Verdict | None = None
    messages: Messages | None = None
    rates: Rates | None = None
    today: Today | None = None
    channels: Annotated[Sequence[Channel], _MOST] | None = None
    following: Following | None = None
    queue: Queue | None = None
    disk: Disk | None = None
    schedule: Schedule | None = None
    expected_silence_until: Time | None = None
    runs: Runs | None = None
    companions: Annotated[Sequence[Companion], _MOST] = ()
    shipping: Copy | None = None
    uploading: Copy | None = None

    @property
    def is_well(self) -> bool:
        """Whether everything that was asked for is coming, or nothing is expected now."""
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
