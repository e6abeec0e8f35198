"""Where a copy begins, and whether the position at which it ends fits what is on the disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ssmd.contracts.sink import End, Position
from ssmd.errors import DataError, EngineMismatch, printable
from ssmd.reading.day_source import DaySource, open_day
from ssmd.reading.days import Days
from ssmd.reading.ledger_parts import LedgerParts
from ssmd.store.head import TS
from ssmd.store.layout import data_path, manifest_path
from ssmd.store.manifest_file import read_manifest

__all__ = ["DayMissing", "end_at", "first_position", "require_line", "require_position"]

class DayMissing(EngineMismatch):
    """The day in which a copy ends is not here."""


_REMEDY = "find out why, and choose where to go on with `ssmd ship --resume-at <day>/<offset>`"


def first_position(start: str, feed: Position, days: Days, storage: Path, stem: str) -> Position:
    """Return where a copy begins: at the beginning of `today`, of the `oldest` day or of a day, or behind all that
    there is `now`. `feed`: any position of the feed.
    """
    first = feed._replace(day=days.today(), offset=0, line=0)
    if start not in ("now", "oldest"):
        return first if start == "today" else first._replace(day=start)
    known = days.all()
    if known:
        first = first._replace(day=known[0 if start == "oldest" else -1])
    if start == "now" and (source := open_day(storage / first.day, stem)) is not None:
        with closing(source):
            end = source.end()
            return first._replace(offset=end, line=source.lines_before(end, (0, 0)) or 0)
    return first


def end_at(at: Position, source: DaySource) -> End:
    """Return a position with the line that ends there."""
    line = source.line_before(at.offset) if at.offset else b""
    return End.of(at, line, printable(line[TS])) if line else End(at)


def require_position(at: Position, source: DaySource | None, parts: LedgerParts, folder: Path, stem: str) -> None:
    """Raise EngineMismatch unless a position lies at the end of a line, or at the beginning of a day.

    `source`: the lines of its day, whose folder is `folder`; None when they are not here. That is no matter if the
    engine has the whole day, as its manifest shows.
    """
    if source is None:
        if at.offset and not _is_end_of_day(at, manifest_path(folder, stem)):
            raise DayMissing(
                f"{data_path(folder, stem)}: is not here, and the engine's copy ends in it, after byte {at.offset:,}; "
                f"{_REMEDY}"
            )
        return
    lines = source.lines_before(at.offset, parts.place_before(at.offset))
    if lines not in (None, at.line):  # A damaged ledger may have a wrong place.
        lines = source.lines_before(at.offset, (0, 0))
    if lines is None:
        raise EngineMismatch(
            f"{source.path}: no line ends at byte {at.offset:,}, where the engine's copy ends; it was made of another "
            f"file, or this one has lost its end: {_REMEDY}"
        )
    if lines != at.line:
        raise EngineMismatch(
            f"{source.path}: has {lines:,} lines before byte {at.offset:,}, where the engine's copy ends after "
            f"{at.line:,}; it was made of another file: {_REMEDY}"
        )


def require_line(end: End, source: DaySource | None) -> None:
    """Raise EngineMismatch when the line that ends where a copy ends is not the one with which it ends: in a file that
    was put back from an older copy, and has grown since, a line may end there too.

    `source`: the lines of its day, None when they are not here. require_position() must have found that a line ends
    there.
    """
    at = end.position
    if source is None or not at.offset or not (end.ts or end.checksum):
        return
    line = source.line_before(at.offset)
    ts = printable(line[TS])
    found = End.of(at, line, ts)
    if end.ts and end.ts != ts:
        what = f"was received at {ts}, and the engine's copy ends there with one that was received at {end.ts}"
    elif end.checksum and end.checksum != found.checksum:
        what = f"is not the one with which the engine's copy ends there, although both were received at {ts}"
    else:
        return
    raise EngineMismatch(
        f"{source.path}: the line that ends at byte {at.offset:,} {printable(what)}; it was made of another file: "
        f"{_REMEDY}"
    )


def _is_end_of_day(at: Position, manifest: Path) -> bool:
    """Return whether a day that is moved away ended at a position."""
    try:
        found = read_manifest(manifest)
    except DataError:
        return False
    return found is not None and (found.bytes, found.lines) == (at.offset, at.line)
