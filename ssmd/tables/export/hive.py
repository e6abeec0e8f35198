"""`ssmd export --layout hive`: a Parquet file for each feed, type of message and day, as Hive names partitions.

    {target}/feed=kalshi/type=trade/date=2025-12-22/part-0000.parquet
    {target}/feed=kalshi/type=trade/date=2025-12-22/part-2of4-0000.parquet

The files are those of a day in Parquet.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pyarrow.parquet as pq

from ssmd.parquet.form import PART, Facts, type_of_folder
from ssmd.parquet.writer import PartsWriter
from ssmd.store.layout import DayFile
from ssmd.tables.dialects import Dialects
from ssmd.tables.export.lines import DayLines
from ssmd.tables.export.receipt import Made

__all__ = ["HiveLayout"]

_UNFINISHED = f"{PART}.new"
"""The name of a file until it is moved to its place: DuckDB's `**/*.parquet` finds hidden folders too."""


class HiveLayout:
    """Keeps the Layout contract of layout.py."""

    name = "hive"
    divisible = True

    def prefix(self, feed: str) -> str:
        return f"feed={feed}/"

    def is_of(self, name: str, file: DayFile) -> bool:
        pattern = re.escape(self.prefix(file.feed)) + "type=[^/]+" + re.escape(_end(file))
        return re.fullmatch(pattern, name) is not None

    def make(self, lines: DayLines, work: Path, types: Collection[str] | None) -> list[Made]:
        file, sealed = lines.file, lines.manifest
        dialects = Dialects(lines.parts())
        tables = dialects.tables(lines.ahead())
        facts = Facts(file.feed, file.shard.label, file.day, sealed.sha256 if sealed is not None else None)
        reader = dialects.reader(lines.parts()[0])
        writer = PartsWriter(work, tables, reader, facts, types=types, name=_UNFINISHED)
        for block, part in lines:
            writer.use(dialects.reader(part))
            writer.add(block, part.session)
        writer.close()
        made = (self._made(path, file) for path in sorted(work.glob(f"*/{_UNFINISHED}")))
        return [one for one in made if one.rows]

    def _made(self, path: Path, file: DayFile) -> Made:
        folder = path.parent.name
        name = f"{self.prefix(file.feed)}{folder}{_end(file)}"
        return Made(name, type_of_folder(folder) or "", pq.read_metadata(path).num_rows, path)


def _end(file: DayFile) -> str:
    """Return how the names of a day's files end, behind the type."""
    part = PART.replace("-", f"-{file.shard.label}-", 1) if file.shard.label else PART
    return f"/date={file.day}/{part}"
