"""Packs a sealed day into Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.table import Table
from ssmd.exchange.catalog import dialect_of
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.exchange.readers import reader_of
from ssmd.parquet.form import Facts
from ssmd.parquet.writer import PartsWriter
from ssmd.proof.packer import Progress, proved
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.ledger_parts import LedgerParts, Part
from ssmd.store.durable import remove
from ssmd.store.layout import PARQUET, DayFile, ledger_path
from ssmd.store.manifest import Manifest
from ssmd.tables.learned import Learner

__all__ = ["ParquetPacker"]


class ParquetPacker(NamedTuple):
    """Keeps the Packer contract of proof/packer.py: a folder with a file for each type of message.

    The ledger says which dialect and which description were in force when a line was recorded.
    """

    form: str = PARQUET
    passes: int = 1

    def pack(self, file: DayFile, new: Path, manifest: Manifest, progress: Progress) -> None:
        remove(new)
        new.mkdir()
        ledger = LedgerParts(ledger_path(file.path.parent, file.stem))
        ledger.update()
        dialects = _Dialects(ledger.all())
        tables = dialects.tables
        if not dialects.declare_all:
            # Then the day is read twice, and each time counts for half of its bytes.
            progress = _half(progress)
            tables = _learned(file, ledger, dialects, progress)
        facts = Facts(file.feed, file.shard.label, file.day, manifest.sha256)
        writer = PartsWriter(new, tables, dialects.reader(ledger.at(0)), facts)
        for block, part in _divided(proved(file.path, manifest, progress), ledger):
            writer.use(dialects.reader(part))
            writer.add(block, part.session)
        writer.close()


def _half(progress: Progress) -> Progress:
    return lambda count: progress(count / 2)


def _learned(file: DayFile, ledger: LedgerParts, dialects: _Dialects, progress: Progress) -> list[Table]:
    """Return the tables that are declared, and those of all other messages of a day."""
    learner = Learner(dialects.reader(ledger.at(0)), dialects.tables)
    for block, part in _divided(LineBlocks(file.path), ledger):
        learner.use(dialects.reader(part))
        learner.add(block)
        progress(len(block))
    return learner.tables()


class _Dialects:
    """The dialects of the parts of a day, each made once."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._readers: dict[str, MessageReader] = {}
        tables: dict[str, Table] = {}
        self.declare_all = True
        """Whether each of them declares its tables."""
        for part in {_name(part): part for part in parts}.values():
            declared = dialect_of(part.exchange, part.description).tables()
            self.declare_all = self.declare_all and bool(declared)
            tables = {**{table.type: table for table in declared}, **tables}
        self.tables = list(tables.values())
        """Those that are declared; of two for one type, the first."""

    def reader(self, part: Part) -> MessageReader:
        """Return what finds the types of messages. Where nothing says how, they are read as Kalshi's: many other
        exchanges have a `type` too.
        """
        name = _name(part)
        if name not in self._readers:
            reader = reader_of(part.exchange, part.description)
            self._readers[name] = reader if reader.type_field else KalshiReader()
        return self._readers[name]


def _name(part: Part) -> str:
    """Return a text that is equal for parts whose messages are read in the same way: see RecordedDialect.is_like()."""
    return repr((part.exchange, part.description))


def _divided(blocks: Iterable[bytes], ledger: LedgerParts) -> Iterator[tuple[bytes, Part]]:
    """Yield blocks of whole lines, each of one part of the ledger."""
    offset = 0
    for block in blocks:
        while block:
            part, end = ledger.at(offset), ledger.end(offset)
            until = len(block)
            if end is not None and end - offset < until:
                # In a damaged ledger it may lie within a line, which then belongs to what ends there.
                until = block.rfind(b"\n", 0, end - offset) + 1 or block.find(b"\n") + 1
            yield block[:until], part
            offset += until
            block = block[until:]
