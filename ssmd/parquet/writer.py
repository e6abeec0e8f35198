"""Writes the lines of a day as a folder of Parquet files, one for each type of message."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.table import Table
from ssmd.errors import OutputError, WriteError
from ssmd.parquet import form
from ssmd.parquet.conversion import Rows
from ssmd.parquet.messages import types_of
from ssmd.parquet.part import Part
from ssmd.store.durable import make_directory, open_new, reason_of, sync_directory
from ssmd.store.head import split

__all__ = ["MOST_TYPES", "PartsWriter"]

MOST_TYPES = 500
"""How many types have a table. Lines of further types are kept as they are, with those without a table."""
_BATCH = 1024 * 1024
"""How many bytes of lines are divided by type at once."""
_PENDING = 64 * 1024 * 1024
"""How many bytes of lines wait for their row groups, in all tables together."""


class _Open(NamedTuple):
    file: BinaryIO
    part: Part


class PartsWriter:
    """Writes all tables of a day below `folder`, which the caller renames once close() has made it durable.

    `reader`: finds the types of messages, by which they get their table. `facts`: goes into the metadata of each file.
    `types`: only lines with messages of these types are written; None for all, which lines_in() needs. `name`: of each
    file. Raises OutputError, WriteError. After an error, or without close(), the folder is incomplete: remove it.
    """

    def __init__(
        self,
        folder: Path,
        tables: Sequence[Table],
        reader: MessageReader,
        facts: form.Facts,
        *,
        types: Collection[str] | None = None,
        name: str = form.PART,
    ) -> None:
        self._folder = folder
        self._reader = reader
        self._facts = facts
        self._types = types
        self._name = name
        named = {table.type: form.folder_of(table.type) for table in tables[:MOST_TYPES]}
        self._tables = {table.type: table for table in tables if len(named.get(table.type, "")) in _LENGTHS}
        self._open: dict[str | None, _Open] = {}
        self._line = facts.first_line
        self._blocks: list[tuple[bytes, str]] = []
        self._size = 0

    def add(self, block: bytes, session: str) -> None:
        """Write whole lines, each ending in a newline, of one connection. Raises ValueError when the last has none."""
        if not block.endswith(b"\n"):
            if not block:
                return
            raise ValueError("a block must end in a newline")
        self._blocks.append((block, session))
        self._size += len(block)
        if self._size >= _BATCH:
            self._write()

    def use(self, reader: MessageReader) -> None:
        """Let another reader find the types of the lines that are added from now on."""
        if reader is not self._reader:
            self._write()
            self._reader = reader

    def close(self) -> None:
        """Write what waits, and make all files and their names durable."""
        self._write()
        if not self._open:
            self._part(None)
        lines = self._line - self._facts.first_line
        source = {**self._facts.described(), "lines": lines, "types": sorted(map(form.folder_of, self._open))}
        for type in list(self._open):
            file, part = self._open.pop(type)
            with file, _writing(self._folder):
                part.close(form.folder_of(type), source)
                file.flush()
                os.fsync(file.fileno())
                sync_directory(Path(file.name).parent)
        with _writing(self._folder):
            sync_directory(self._folder)

    def _write(self) -> None:
        blocks, self._blocks, self._size = self._blocks, [], 0
        lines: list[bytes] = []
        sessions: list[str] = []
        for block, session in blocks:
            found = split(block)
            lines += [line[:-1] for line in found]
            sessions += [session] * len(found)
        if not lines:
            return
        starts, types = types_of(lines, self._reader)
        groups: dict[str | None, list[int]] = {}
        for place, type in enumerate(types):
            if self._types is None or type in self._types:
                groups.setdefault(type if type in self._tables else None, []).append(place)
        with _writing(self._folder):
            for type, places in groups.items():
                numbers = [self._line + place for place in places]
                chosen = [lines[place] for place in places], [starts[place] for place in places]
                self._part(type).add(Rows(*chosen, numbers, [sessions[place] for place in places]))
            self._line += len(lines)
            self._flush()

    def _part(self, type: str | None) -> Part:
        """Return the part of a type, which begins with its first line."""
        known = self._open.get(type)
        if known is None:
            folder = self._folder / form.folder_of(type)
            try:
                make_directory(folder)
            except OSError as error:
                raise OutputError(f"{folder}: {error.strerror}") from None
            file = open_new(folder / self._name)
            table = None if type is None else self._tables[type]
            known = self._open[type] = _Open(file, Part(file, table, self._facts.shard, self._reader.market_field))
        return known.part

    def _flush(self) -> None:
        """Write row groups, the largest first, until at most _PENDING bytes wait."""
        parts = [opened.part for opened in self._open.values()]
        while sum(part.pending_bytes for part in parts) > _PENDING:
            max(parts, key=lambda part: part.pending_bytes).flush()


_LENGTHS = range(1, form.LONGEST_NAME + 1)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn an error of writing files into WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{folder}: {reason_of(error)}") from None
