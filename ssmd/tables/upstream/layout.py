"""`ssmd export --layout ssmd`: the files that programs of aaronwald/ssmd read.

    {target}/{feed}/{stream}/{YYYY-MM-DD}/{HHMM}.jsonl.gz
    {target}/{feed}/{stream}/{YYYY-MM-DD}/{type}_{HH}00.parquet
    {target}/{feed}/{stream}/{YYYY-MM-DD}/manifest.json, parquet-manifest.json

A shard has a stream of its own, such as `all-2of4`.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from ssmd.exchange.readers import KALSHI
from ssmd.store.layout import DayFile
from ssmd.store.timestamps import DAY_NS, day_begins
from ssmd.tables.dialects import Dialects
from ssmd.tables.export.lines import DayLines
from ssmd.tables.export.receipt import Made
from ssmd.tables.upstream.day import DayWriter

__all__ = ["LINES_A_DAY", "UpstreamLayout"]

LINES_A_DAY = 10**10
"""`_nats_seq` is the number of the day since 1970 times this, plus the number of the line in its day, from 1. So it
grows from day to day, as a stream's does, and is small enough for a number in JavaScript."""


class UpstreamLayout:
    """Keeps the Layout contract of tables/export/layout.py."""

    divisible = False

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self.name = f"ssmd-{stream}"

    def prefix(self, feed: str) -> str:
        return f"{feed}/"

    def is_of(self, name: str, file: DayFile) -> bool:
        return name.startswith(f"{file.feed}/{self._stream_of(file)}/{file.day}/")

    def _stream_of(self, file: DayFile) -> str:
        return f"{self._stream}-{file.shard.label}" if file.shard.label else self._stream

    def make(self, lines: DayLines, work: Path, types: Collection[str] | None) -> list[Made]:
        file = lines.file
        facts = {"ssmd.source_sha256": lines.manifest.sha256} if lines.manifest is not None else {}
        first = day_begins(file.day) // DAY_NS * LINES_A_DAY + 1
        writer = DayWriter(work, file.shard.index if file.shard.label else None, first, types, facts)
        dialects = Dialects(lines.parts())
        for block, part in lines:
            writer.add(block, dialects.reader(part), kalshi=part.exchange in (KALSHI, ""))
        place = {"feed": file.feed, "stream": self._stream_of(file), "date": file.day}
        prefix = "/".join(place.values())
        return writer.close(place, prefix, time.time_ns())
