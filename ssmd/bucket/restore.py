"""Restores what a storage folder has lost of a day that is not complete in the bucket.

Usually the bucket's segments and the file here have the same lines, up to where one of them ends. Where the file ends
earlier, the rest is added to it, and its ledger becomes that of the bucket. A run that could not ask the bucket, and
began without these lines, has written an entry `apart`: then its lines are put after those of the bucket. In any other
case the two differ, and a person has to decide.

No other process may write the files meanwhile. After a kill at any moment, the next call completes the work.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from ssmd.bucket.listing import Listing, LiveDay
from ssmd.bucket.local_day import LocalDay, same_bytes
from ssmd.bucket.segments import lines_in_segment
from ssmd.errors import DataError, OutputError, WriteError
from ssmd.store.durable import explain, make_directory, sync_directory, write_durably
from ssmd.store.joining import commit_join, finish_join, joined_path, merged_ledger
from ssmd.store.layout import data_path, forms_of, ledger_path, manifest_path, temporary
from ssmd.store.ledger import APART
from ssmd.store.repair import repair
from ssmd.store.restored import RestoredLines, note_restored

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["Restored", "restore", "unfinished_days", "unfinished_stems"]

_CHUNK = 1024 * 1024


class Restored(NamedTuple):
    """What was done to a day. The defaults mean that nothing was to be done."""

    lines: int = 0
    """How many lines the bucket had that were not here."""
    joined: bool = False
    """The lines that were recorded apart follow them now."""


class _Differ(Exception):
    """A line here differs from that of the bucket."""


def unfinished_days(bucket: Bucket, stem: str, only: str | None = None) -> list[str]:
    """Return the days of a stem that are not complete in the bucket and have segments, oldest first.

    `only`: look at this day alone.
    """
    return [day for day, name, _ in Listing(bucket.list(f"{only}/" if only else "")).live() if name == stem]


def unfinished_stems(bucket: Bucket) -> list[str]:
    """Return the stems that have such days."""
    return sorted({name for _, name, _ in Listing(bucket.list()).live()})


def restore(bucket: Bucket, folder: Path, stem: str, now_ns: int) -> Restored:
    """Add to the file of a day the lines that only the bucket has. `folder`: the day's, which need not be there.

    Raises OutputError when the two differ, DataError for segments that cannot be read, WriteError, and what the bucket
    raises.
    """
    path = data_path(folder, stem)
    try:
        finish_join(folder, stem)
        live = _live(bucket, folder.name, stem)
        if live is None or any(other.exists() for other in forms_of(folder, stem) if other != path):
            return Restored()
        if path.exists():
            repair(path, stem, now_ns)
        with LocalDay(path, ledger_path(folder, stem)) as local:
            return _compare(bucket, live, local, stem)
    except OSError as error:
        raise WriteError(f"{error.filename or path}: {explain(error)}") from None


def _live(bucket: Bucket, day: str, stem: str) -> LiveDay | None:
    found = {name: live for _, name, live in Listing(bucket.list(f"{day}/")).live()}.get(stem)
    if found is not None and found.without_ledger:
        name = found.without_ledger[0]
        raise DataError(f"{bucket.address}/{name}: the part of the ledger for these lines is not there")
    return found


def _compare(bucket: Bucket, live: LiveDay, local: LocalDay, stem: str) -> Restored:
    """Compare the segment that has the last line here, and add what follows that line.

    The segments before it need no comparison: a file that has lines of one segment has those of all earlier ones. The
    segment with the next line is read too, so that nothing is changed when it is damaged.
    """
    segments = live.segments
    if not segments:
        return Restored()
    last = len(segments) - 1
    place = next((at for at, segment in enumerate(segments) if segment.last >= local.lines), last)
    following = next((at for at, segment in enumerate(segments) if segment.last > local.lines), last)
    start, end = local.offset_of(segments[place].first - 1), local.offset_of(segments[following].last)
    try:
        read = start
        for at, piece in _from(start, _pieces(bucket, live.data[place : following + 1])):
            here = local.read(at, len(piece))
            read += len(here)
            if here != piece[: len(here)]:
                raise _Differ
        if read != end:
            raise _Differ
        if local.lines >= live.lines:
            return Restored()
        return _extend(bucket, live, local, stem, place, start)
    except _Differ:
        return _join(bucket, live, local, stem)


def _extend(bucket: Bucket, live: LiveDay, local: LocalDay, stem: str, place: int, start: int) -> Restored:
    """Add the lines that follow those here; `place`: of the segment that has the last one here, and begins at `start`.

    The manifest goes first: it would not be true any longer.
    """
    missing = live.lines - local.lines
    described = _described(live, local)
    there = _ledger(bucket, live)
    rest = (piece[max(0, local.size - at) :] for at, piece in _from(start, _pieces(bucket, live.data[place:])))
    manifest_path(local.path.parent, stem).unlink(missing_ok=True)
    if local.exists:
        # First the ledger: entries without their lines do no harm, lines without their entries do.
        end = _End(local.size, local.lines)
        final = end if there.startswith(local.ledger) else _end_of(bucket, live)
        note = RestoredLines(local.path.parent.name, *end, 0, missing, None)
        note_restored(local.path.parent.parent, stem, note)
        write_durably(local.ledger_path, merged_ledger(there, local.ledger, (end.offset, end.line), final, local.path))
        _append(local.path, rest, missing)
        size = local.path.stat().st_size
        note_restored(local.path.parent.parent, stem, structs.replace(note, bytes=size - local.size, size=size))
    else:
        new = temporary(local.path)
        make_directory(local.path.parent)
        new.unlink(missing_ok=True)
        _append(new, rest, missing)
        end = _End(new.stat().st_size, live.lines)
        # Entries of a run that wrote no line come after all lines; the others are about lines that are there again.
        begin = end if described else _End(0, 0)
        write_durably(local.ledger_path, merged_ledger(there, local.ledger, begin, end, local.path))
        os.rename(new, local.path)
        sync_directory(local.path.parent)
    return Restored(missing)


def _described(live: LiveDay, local: LocalDay) -> int:
    """Return how many lines the ledger here is about when the data is not here. Raises OutputError when the bucket has
    fewer: the others may still be somewhere.
    """
    lines = 0 if local.exists else max((entry.line for entry in local.entries()), default=0)
    if lines > live.lines:
        raise OutputError(
            f"{local.path}: is not here, although its ledger is about {lines:,} lines, and the bucket has "
            f"{live.lines:,} of them: somebody has removed it; put it back, or move {local.ledger_path.name} away too, "
            "so that what the bucket has is restored"
        )
    return lines


class _End(NamedTuple):
    """A place in the data."""

    offset: int
    line: int


def _end_of(bucket: Bucket, live: LiveDay) -> _End:
    return _End(sum(map(len, _pieces(bucket, live.data))), live.lines)


def _join(bucket: Bucket, live: LiveDay, local: LocalDay, stem: str) -> Restored:
    """Put the lines of the bucket before those that a run has recorded apart. Raises OutputError."""
    same = _common(bucket, live, local)
    if not any(entry.event == APART and entry.line == same.line for entry in local.entries()):
        raise OutputError(
            f"{local.path}: line {same.line + 1} is not the one that {bucket.address} has: another collector uploads "
            "to the same place, or the file was replaced; give each collector a prefix of its own, or move this file "
            "and its ledger away, so that the next start restores what the bucket has"
        )
    folder = local.path.parent
    new = joined_path(local.path)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    _append(new, _pieces(bucket, live.data), live.lines)
    end = _End(new.stat().st_size, live.lines)
    ledger = merged_ledger(_ledger(bucket, live), local.ledger, same, end, local.path)
    _append(new, local.pieces(same.offset), local.lines - same.line)
    added = RestoredLines(folder.name, *same, end.offset - same.offset, end.line - same.line, new.stat().st_size)
    note_restored(folder.parent, stem, added)
    commit_join(folder, stem, ledger)
    return Restored(live.lines - same.line, joined=True)


def _common(bucket: Bucket, live: LiveDay, local: LocalDay) -> _End:
    """Return the end of the lines at the beginning that are the same here and in the bucket."""
    line = 0
    for at, piece in _from(0, _pieces(bucket, live.data)):
        here = local.read(at, len(piece))
        if here != piece:
            line += piece[: same_bytes(here, piece)].count(b"\n")
            break
        line += piece.count(b"\n")
    return _End(local.offset_of(line), line)


def _ledger(bucket: Bucket, live: LiveDay) -> bytes:
    return b"".join(map(bucket.get, live.ledger))


def _from(start: int, pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each piece with its place in the data, of which the first one begins at `start`."""
    for piece in pieces:
        yield start, piece
        start += len(piece)


def _pieces(bucket: Bucket, names: Sequence[str]) -> Iterator[bytes]:
    """Yield the lines of segments, in pieces that end anywhere. Raises DataError."""
    for name in names:
        yield from lines_in_segment(bucket, name)


def _append(path: Path, pieces: Iterator[bytes], lines: int) -> None:
    """Append so many lines to a file, durably. Raises DataError when they are fewer or more."""
    with open(path, "ab") as file:
        for piece in pieces:
            file.write(piece)
            lines -= piece.count(b"\n")
        file.flush()
        os.fsync(file.fileno())
    if lines:
        amount = f"{abs(lines):,} lines {'less' if lines > 0 else 'more'}"
        raise DataError(f"{path}: the segments in the bucket have {amount} than their names say")
