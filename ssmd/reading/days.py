"""Which days a storage folder has of one feed or shard, asked again and again while it is recorded."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ssmd.errors import DataError
from ssmd.reading.packed_day import lines_bytes
from ssmd.reading.restored_days import MISSED
from ssmd.store.inventory import bytes_on_disk, day_folders, looking
from ssmd.store.layout import data_path, forms_of, ledger_path, manifest_path
from ssmd.store.ledger import CLOSED, CONNECTED, CONTINUED, OUTAGE, Entry, decode_entry, time_in
from ssmd.store.mounts import network_file_system
from ssmd.store.pruned import read_pruned
from ssmd.store.restored import read_restored
from ssmd.store.timestamps import day_of_ns, timestamp
from ssmd.store.unfinished import is_unfinished_import

__all__ = ["Days", "note_network"]

_LOOK_SECONDS = 1.0
"""How often the whole folder is listed. The day that begins now is looked for by its name, each time."""

_log = logging.getLogger("ssmd.follow")


@functools.cache
def note_network(storage: Path) -> None:
    """Log once that a sync on this host says nothing of what another host writes."""
    kind = network_file_system(storage)
    if kind is not None:
        _log.warning(
            "the storage is on a network file system: what another host writes there is handed out when it can be read "
            "here, which need not be on a disk",
            extra={"folder": str(storage), "file_system": kind},
        )


class Days:
    """The days of one stem. All methods raise DataError when the folder cannot be read."""

    def __init__(self, storage: Path, stem: str, clock: Callable[[], int]) -> None:
        self._storage = storage
        self._stem = stem
        self._clock = clock
        self._next_look = 0.0
        self._left: tuple[Path, int] | None = None

    def today(self) -> str:
        """Return the UTC day that it is now."""
        return day_of_ns(self._clock())

    def all(self) -> list[str]:
        """Return the days that have data, in any form, oldest first."""
        return list(self._after(""))

    def sizes_after(self, day: str) -> Iterator[tuple[str, int]]:
        """Yield the days after a day that have data, each with the bytes of its lines; of a compressed day without a
        manifest, those of its file.
        """
        for name in self._after(day):
            path = next((path for path in forms_of(self._storage / name, self._stem) if path.exists()), None)
            if path is not None:
                with looking(path):
                    yield name, lines_bytes(path, self._stem) or bytes_on_disk(path)

    def _after(self, day: str) -> Iterator[str]:
        with looking(self._storage):
            folders = day_folders(self._storage)
        for folder in folders:
            if folder.name > day and any(path.exists() for path in forms_of(folder, self._stem)):
                yield folder.name

    def next(self, day: str) -> str | None:
        """Return the first day after a day that has data, None when there is none so far; days may be found late by a
        second.
        """
        today = self.today()
        now = time.monotonic()
        if now < self._next_look and not (today > day and data_path(self._storage / today, self._stem).exists()):
            return None
        self._require_left()
        found = next(self._after(day), None)
        if found is None:
            self.postpone()
        return found

    def postpone(self) -> None:
        """List the folder again only after a second."""
        self._next_look = time.monotonic() + _LOOK_SECONDS

    def leave(self, day: str, size: int) -> None:
        """Note the last day that was read to its end, and how many bytes of lines it has: none may be added to it."""
        path = data_path(self._storage / day, self._stem)
        with contextlib.suppress(OSError):
            size = max(size, path.stat().st_size)  # Part of a line may be at its end.
        self._left = path, size

    def _require_left(self) -> None:
        if self._left is None:
            return
        path, size = self._left
        try:
            found = path.stat().st_size
        except OSError:
            return  # It was compressed, or moved away.
        if found > size and not self._is_restored(path, found):
            raise DataError(
                f"{path}: has grown after a later day was begun, so the clock was set back: its new lines are behind "
                "what was handed out already. Move the later day away if its lines have the wrong date, and choose "
                "where to go on with `ssmd ship --resume-at <day>/<offset>`"
            )

    def _is_restored(self, path: Path, size: int) -> bool:
        """Return whether a day that was left has grown because lines of it are being restored; log it at the end."""
        for note in read_restored(self._storage, self._stem, path.parent.name)[-1:]:
            if note.size == size:
                self._left = path, size
                _log.warning(MISSED, extra={"day": note.day, "lines": note.lines})
            return note.size in (None, size)
        return False

    def require_nothing_between(self, day: str, later: str, end_ns: int | None, *, was_read: bool) -> None:
        """Raise DataError when something was recorded between two days, or on the first of them unless it `was_read`,
        and is gone.

        `end_ns`: the time of the last entry in the ledger of `day`; None when that is not known.
        """
        with looking(self._storage):
            folders = day_folders(self._storage)
        for folder in folders:
            if day < folder.name < later or (folder.name == day and not was_read):
                self._require_data(folder)
        opening = _opening(ledger_path(self._storage / later, self._stem))
        if opening is None:
            return
        if opening.event == CONTINUED:
            last, why = str(opening.fields.get("from")), f"the ledger of {later} mentions it"
        else:
            since_ns = time_in(opening, "from")
            if end_ns is None or since_ns <= end_ns:
                return
            last = day_of_ns(since_ns)
            why = f"the ledger of {later} says that a connection was open until {timestamp(since_ns)}"
        if day < last < later or (last == day and not was_read):
            raise _gone(data_path(self._storage / last, self._stem), why)

    def _require_data(self, folder: Path) -> None:
        """Raise DataError when a day has a ledger or a manifest, but no data."""
        # A collector makes the data of a day before it writes to the ledger, so the ledger is looked at first.
        ledger, manifest = ledger_path(folder, self._stem), manifest_path(folder, self._stem)
        beside = [path for path in (ledger, manifest) if path.exists() and path.stat().st_size]
        here = any(path.exists() for path in forms_of(folder, self._stem))
        if beside and not here and not is_unfinished_import(folder, self._stem):
            note = read_pruned(folder, self._stem)
            removed = f"`ssmd prune` has removed it: {note.copy} has it" if note is not None else ""
            why = removed or f"{beside[0].name} describes it"
            raise _gone(data_path(folder, self._stem), why)


def _opening(ledger: Path) -> Entry | None:
    """Return the entry with which a day begins, that says what was before it; None without one."""
    with contextlib.suppress(OSError, ValueError), open(ledger, "rb") as file:
        for entry in map(decode_entry, file):
            if entry.event in (CONTINUED, OUTAGE, CLOSED):
                return entry
            if entry.event == CONNECTED or entry.offset:
                break
    return None


def _gone(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: is missing, although its lines were not handed out yet; {why}. Put the day back, or choose where to "
        "go on with `ssmd ship --resume-at <day>/<offset>`"
    )
