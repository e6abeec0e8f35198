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
from ssmd.reading.ledger_parts import LedgerParts, Part
from ssmd.store.durable import remove
from ssmd.store.layout import PARQUET, DayFile, ledger_path
from ssmd.store.manifest import Manifest

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
        dialects = _Dialects()
        facts = Facts(file.feed, file.shard.label, file.day, manifest.sha256)
        writer = PartsWriter(new, dialects.tables(ledger.all()), dialects.reader(ledger.at(0)), facts)
        for block, part in _divided(proved(file.path, manifest, progress), ledger):
            writer.use(dialects.reader(part))
            writer.add(block, part.session)
        writer.close()


class _Dialects:
    """The dialects of a day, each made once."""

    def __init__(self) -> None:
        self._readers: dict[str, MessageReader] = {}

    def tables(self, parts: Iterable[Part]) -> list[Table]:
        """Return the tables that the dialects declare; of two for one type, the first."""
        tables: dict[str, Table] = {}
        for part in {_name(part): part for part in parts}.values():
            for table in dialect_of(part.exchange, part.description).tables():
                tables.setdefault(table.type, table)
        return list(tables.values())

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


def _divided(blocks: Iterator[bytes], ledger: LedgerParts) -> Iterator[tuple[bytes, Part]]:
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
