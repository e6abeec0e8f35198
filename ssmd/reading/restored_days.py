"""Where a copy goes on in a day into which lines were restored, as from a bucket, after it was handed out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from ssmd.contracts.sink import End, Position
from ssmd.errors import EngineMismatch
from ssmd.store.restored import read_restored

__all__ = ["MISSED", "end_of_copy"]

MISSED = (
    "lines were restored into a day before the end of what was handed out; they are not handed out, because "
    "what follows them was; to have them too, ship the days again to another stream or topic"
)

_log = logging.getLogger("ssmd.follow")


def end_of_copy(end: End, go_to: Callable[[End], None], storage: Path, stem: str) -> Position:
    """Go to the line with which a copy ends, and return its place, which is another one when lines were restored before
    it; that is logged.

    `go_to` raises EngineMismatch where the line is not. Raises that when it is nowhere, and DataError.
    """
    try:
        go_to(end)
        return end.position
    except EngineMismatch:
        was = end.position
        for moved in _moved(end, storage, stem):
            with contextlib.suppress(EngineMismatch):
                go_to(moved)
                now = moved.position
                extra = {"day": now.day, "lines": now.line - was.line, "was": was.place, "offset": now.offset}
                _log.warning(MISSED, extra=extra)
                return now
        raise


def _moved(end: End, storage: Path, stem: str) -> Iterator[End]:
    """Yield the places where a line may be now, the likeliest first."""
    at = end.position
    notes = read_restored(storage, stem, at.day)
    for first in range(len(notes) - 1, -1, -1):
        moved = at
        for note in notes[first:]:
            if moved.offset > note.offset:
                moved = moved._replace(offset=moved.offset + note.bytes, line=moved.line + note.lines)
        if moved != at:
            yield end._replace(position=moved)
