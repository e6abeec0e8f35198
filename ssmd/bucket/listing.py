"""What a bucket has of a storage: complete days, and the segments of the others. Pure.

A day of a stem is complete when its manifest is there: that is put last. Until then its segments are the day, and an
object of its data that is there already counts only when there are no segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from ssmd.bucket.address import Segment, chain, live_prefix, read_segment
from ssmd.store.file_kinds import DAY_FILES, LEDGER, MANIFEST
from ssmd.store.layout import LIVE, day_of, feed_and_shard

__all__ = ["Listing", "LiveDay", "Object"]

_PARQUET = ".parquet"
_DEPTH = 4
"""How many parts the longest name has: of a segment, or of a part of a day in Parquet."""


class Object(Protocol):
    """An object of a listing: bucket.client.Found."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...


class LiveDay(NamedTuple):
    """A day that is not complete: its segments, in order, each line in one of them."""

    segments: tuple[Segment, ...]
    data: tuple[str, ...]
    """The names of the objects with its lines, in parallel to `segments`."""
    ledger: tuple[str, ...]
    """The names of those with its ledger."""
    lines: int
    """How many lines the segments have."""
    bytes: int
    """The size of the data, compressed."""
    without_ledger: tuple[str, ...] = ()
    """The names of objects with lines whose part of the ledger is not there."""


@dataclass
class _Stem:
    """What there is of one stem and one day."""

    files: dict[str, int] = field(default_factory=dict)
    """The sizes of its objects, by name."""
    segments: dict[Segment, int] = field(default_factory=dict)
    """The sizes of the lines."""
    ledgers: dict[Segment, int] = field(default_factory=dict)
    sealed: bool = False


class Listing:
    """The objects of a storage that are files of ssmd; what else the bucket has is left out."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._stems: dict[tuple[str, str], _Stem] = {}
        for found in objects:
            self._take(found.name, found.size)

    def _take(self, name: str, size: int) -> None:
        day, *rest = name.split("/")
        if day_of(Path(day)) != day or not rest or len(rest) >= _DEPTH or {"", ".", ".."} & {*rest}:
            return
        if rest[0] == LIVE:
            segment = read_segment(rest[2]) if len(rest) == 3 and feed_and_shard(rest[1]) is not None else None
            if segment is not None:
                stem = self._stems.setdefault((day, rest[1]), _Stem())
                (stem.ledgers if segment[1] else stem.segments)[segment[0]] = size
        elif (name_of_stem := _stem_of(rest)) is not None:
            stem = self._stems.setdefault((day, name_of_stem), _Stem())
            stem.files[name] = size
            stem.sealed = stem.sealed or rest == [f"{name_of_stem}{MANIFEST}"]

    def days(self) -> list[str]:
        """Return the days of which there is something, oldest first."""
        return sorted({day for day, _ in self._stems})

    def files(self) -> Iterator[tuple[str, int]]:
        """Yield the names of the objects that are files of days, as they are in a storage folder, with their sizes."""
        for stem in self._stems.values():
            if stem.sealed or not stem.segments:
                yield from stem.files.items()

    def live(self) -> Iterator[tuple[str, str, LiveDay]]:
        """Yield the days that are not complete and have segments, each with its stem."""
        for (day, name), stem in sorted(self._stems.items()):
            if stem.segments and not stem.sealed:
                yield day, name, _live_day(live_prefix(day, name), stem)


def _live_day(prefix: str, stem: _Stem) -> LiveDay:
    segments = chain(stem.segments)
    lines = segments[-1].last if segments else 0
    end = Segment(lines + 1, lines)
    return LiveDay(
        tuple(segments),
        tuple(prefix + segment.data for segment in segments),
        tuple(prefix + segment.ledger for segment in [*segments, end] if segment in stem.ledgers),
        lines,
        sum(stem.segments[segment] for segment in segments),
        tuple(prefix + segment.data for segment in segments if segment not in stem.ledgers),
    )


def _stem_of(rest: list[str]) -> str | None:
    """Return the stem of a file of a day; None for another object. `rest`: the parts of its name without the day."""
    if len(rest) == 3 and rest[0].endswith(_PARQUET) and rest[1].startswith("type=") and rest[2].endswith(_PARQUET):
        stem = rest[0].removesuffix(_PARQUET)
        return stem if feed_and_shard(stem) is not None else None
    if len(rest) != 1:
        return None
    suffixes = (kind.suffix for kind in DAY_FILES if kind.uploaded and rest[0].endswith(kind.suffix))
    suffix = max(suffixes, key=len, default=None)
    if suffix is None:
        return None
    stem = rest[0].removesuffix(suffix)
    return stem if feed_and_shard(stem) is not None and not stem.endswith(LEDGER.removesuffix(".jsonl")) else None
