"""Writes the days of an import: under temporary names until all lines are durable, so that a day appears as a whole."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from ssmd.contracts.exchange import Inspector
from ssmd.errors import OutputError, WriteError
from ssmd.importing.found_gaps import FoundGaps
from ssmd.store.durable import make_directory, open_new, sync_directory, write_pieces
from ssmd.store.file_kinds import DAY_FILES
from ssmd.store.inventory import data_files
from ssmd.store.layout import PACKED_LEDGERS, data_path, feed_of, forms_of, ledger_path, temporary
from ssmd.store.ledger import GAP, IMPORTED, Entry, encode_entry
from ssmd.store.ledger_file import readable_entries
from ssmd.store.line import LineEncoder
from ssmd.store.locks import is_locked, try_lock
from ssmd.store.unfinished import give_name, is_unfinished_import

__all__ = ["Day", "ImportedDay", "NewDay", "begin_day"]

_GATHERED_BYTES = 256 * 1024
_SAME_FIELDS = ("source", "sha256", "lines", "exchange", "description", "layout")
"""The fields of `imported` that are equal when the same recording is imported in the same way."""


class Day:
    """A day of an import, and how many of its lines each source has. `stem`: how the names of its files begin."""

    def __init__(self, storage: Path, day: str, stem: str) -> None:
        self.stem = stem
        self.folder = storage / day
        self.path = data_path(self.folder, stem)
        self.lines = Counter[int]()
        """By the number of the source."""

    def add(self, ns: int, payload: bytes, source: int) -> None:
        """Take the next message. Raises WriteError."""
        self.lines[source] += 1

    def finish(self) -> None:
        """Make all messages durable. Raises WriteError."""

    def publish(self, imported: Sequence[Mapping[str, object]], now_ns: int) -> None:
        """Let the day appear, with these fields of the ledger's `imported`. Raises OutputError and WriteError."""

    def discard(self) -> None:
        """Remove what is not published."""


class ImportedDay(Day):
    """A day that is there already, from an earlier import that ended before its last day appeared."""

    def publish(self, imported: Sequence[Mapping[str, object]], now_ns: int) -> None:
        if [*map(_content, _imported(self.folder, self.stem))] != [*map(_content, imported)]:
            raise _exists(self.path)
        for path in (self.path, ledger_path(self.folder, self.stem)):
            temporary(path).unlink(missing_ok=True)  # A second name of the same file, left by a kill.


class NewDay(Day):
    """A day that this import writes. `inspector`: finds the gaps in its sequences, None when no dialect is known.

    Raises OutputError and WriteError.
    """

    def __init__(self, storage: Path, day: str, stem: str, inspector: Inspector | None) -> None:
        super().__init__(storage, day, stem)
        self._ledger = ledger_path(self.folder, stem)
        self._encoder = LineEncoder(feed_of(stem))
        self._pieces: list[bytes] = []
        self._gathered = self._offset = self._line = 0
        self._new_folder = not self.folder.exists()
        self._has_ledger = False
        try:
            make_directory(storage)
            make_directory(self.folder)
            if is_unfinished_import(self.folder, stem):
                self._ledger.unlink()
                sync_directory(self.folder)
            if is_locked(temporary(self.path)):
                raise self._in_use()
            self._file = open_new(temporary(self.path))
            self._require_lock(self._file)
            gaps = temporary(self.folder / f"{stem}.gaps")
            self._gaps = FoundGaps(gaps, inspector) if inspector is not None else None
        except OSError as error:
            raise OutputError(f"{error.filename or self.folder}: {_explain(error)}") from None

    def _require_lock(self, file: BinaryIO) -> None:
        """Lock the file as a collector locks its data file."""
        if not try_lock(file.fileno(), temporary(self.path)):
            raise self._in_use()

    def _in_use(self) -> OutputError:
        return OutputError(f"{self.path}: another import is writing this day; wait for its end")

    def add(self, ns: int, payload: bytes, source: int) -> None:
        super().add(ns, payload, source)
        if self._gaps is not None:
            with self._reporting():
                self._gaps.take(ns, payload, self._offset, self._line)
        line = self._encoder.encode(ns, [payload])
        self._pieces.append(line)
        self._gathered += len(line)
        self._offset += len(line)
        self._line += 1
        if self._gathered >= _GATHERED_BYTES:
            self._write()

    def _write(self) -> None:
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        with self._reporting():
            write_pieces(self._file.fileno(), pieces)

    def finish(self) -> None:
        self._write()
        with self._reporting():
            os.fsync(self._file.fileno())
            self._status = os.fstat(self._file.fileno())
            self._file.close()  # There may be more days than a process can have open files.
            if self._gaps is not None:
                self._gaps.flush()

    def publish(self, imported: Sequence[Mapping[str, object]], now_ns: int) -> None:
        """Give the ledger its name, then the data: until then there is no such day."""
        with self._reporting(), open(temporary(self.path), "r+b") as data:
            self._require_lock(data)
            if not os.path.samestat(os.fstat(data.fileno()), self._status):
                raise OutputError(f"{self.path}: another import has written this day meanwhile; start again")
            if any(path.exists() for path in forms_of(self.folder, self.stem)):
                raise _exists(self.path)
            self._write_ledger(encode_entry(Entry(now_ns, IMPORTED, 0, 0, fields)) for fields in imported)
            self._give_name(self._ledger)
            self._has_ledger = True
            self._give_name(self.path)

    def _give_name(self, path: Path) -> None:
        try:
            give_name(path)
        except FileExistsError:
            raise _exists(path) from None
        sync_directory(self.folder)

    def _write_ledger(self, entries: Iterable[bytes]) -> None:
        with open_new(temporary(self._ledger)) as file:
            file.write(b"".join(entries))
            if self._gaps is not None:
                self._gaps.copy_to(file)
                self._gaps.remove()
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Raise WriteError for what the disk refuses."""
        try:
            yield
        except OSError as error:
            raise WriteError(f"{self.path}: {error.strerror}; this day was not imported") from None

    def discard(self) -> None:
        self._file.close()
        with contextlib.suppress(OSError):  # Nothing reads them, and the next import replaces them.
            if self._gaps is not None:
                self._gaps.remove()
            temporary(self._ledger).unlink(missing_ok=True)
            if self._has_ledger and not self.path.exists():
                self._ledger.unlink()
            temporary(self.path).unlink()
            if self._new_folder:
                self.folder.rmdir()


def begin_day(storage: Path, day: str, stem: str, inspector: Callable[[], Inspector] | None) -> Day:
    """Return the day for its messages. Raises OutputError when it exists, in any form, and was not imported like this.

    The day of a whole feed exists, too, when one of its shards has data. `inspector`: makes the inspector that finds
    gaps, None when no dialect is known.
    """
    folder = storage / day
    endings = [*(kind.suffix for kind in DAY_FILES), *PACKED_LEDGERS]
    found = [path for path in (folder / f"{stem}{ending}" for ending in endings) if os.path.lexists(path)]
    if not found or is_unfinished_import(folder, stem):
        _require_no_shard(folder, stem)
        return NewDay(storage, day, stem, inspector() if inspector is not None else None)
    if _imported(folder, stem) and any(path in found for path in forms_of(folder, stem)):
        return ImportedDay(storage, day, stem)
    raise _exists(found[0])


def _require_no_shard(folder: Path, stem: str) -> None:
    """Raise OutputError when `stem` is a whole feed and one of its shards has data: an import never adds to a day."""
    if stem == feed_of(stem) and folder.is_dir():
        for file in data_files([folder], stem):
            raise _exists(file.path)


def _imported(folder: Path, stem: str) -> list[Mapping[str, object]]:
    """Return the fields of `imported` in a day's ledger; none when the day was not only imported."""
    entries = readable_entries(ledger_path(folder, stem))
    if any(entry.event not in (IMPORTED, GAP) for entry in entries):
        return []
    return [entry.fields for entry in entries if entry.event == IMPORTED]


def _content(fields: Mapping[str, object]) -> list[object]:
    return [fields.get(name) for name in _SAME_FIELDS]


def _explain(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "is in the way: it is not a folder; move it away, or give another --to"
    return error.strerror or str(error)


def _exists(path: Path) -> OutputError:
    return OutputError(
        f"{path}: this day exists already, and an import never adds to a day; move its files away, or give another "
        "--feed or --to"
    )
