"""Packs a sealed day into Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ssmd.parquet.form import Facts
from ssmd.parquet.writer import PartsWriter
from ssmd.proof.packer import Progress, proved
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.ledger_parts import LedgerParts, divided_by_part
from ssmd.store.durable import remove
from ssmd.store.layout import PARQUET, DayFile, ledger_path
from ssmd.store.manifest import Manifest
from ssmd.tables.dialects import Dialects

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
        parts = ledger.all()
        dialects = Dialects(parts)
        if not all(map(dialects.declares, parts)):
            # Then the day is read twice, once to learn from it, and each time counts for half of its bytes.
            progress = _half(progress)
        tables = dialects.tables(divided_by_part(_counted(file.path, progress), ledger))
        facts = Facts(file.feed, file.shard.label, file.day, manifest.sha256)
        writer = PartsWriter(new, tables, dialects.reader(parts[0]), facts)
        for block, part in divided_by_part(proved(file.path, manifest, progress), ledger):
            writer.use(dialects.reader(part))
            writer.add(block, part.session)
        writer.close()


def _half(progress: Progress) -> Progress:
    return lambda count: progress(count / 2)


def _counted(path: Path, progress: Progress) -> Iterator[bytes]:
    for block in LineBlocks(path):
        yield block
        progress(len(block))
