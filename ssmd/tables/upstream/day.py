"""Writes the files of one day in the layout of aaronwald/ssmd."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ssmd.contracts.exchange import Found, MessageReader
from ssmd.reading.found import column_of, columns_of
from ssmd.store.durable import write_durably
from ssmd.store.head import TS, split
from ssmd.store.timestamps import parse_timestamp
from ssmd.tables.export.receipt import Made
from ssmd.tables.upstream.hours import HourFile, type_name
from ssmd.tables.upstream.manifests import HourCount, ParquetFile, archive_manifest, parquet_manifest
from ssmd.tables.upstream.quarters import Quarter, message_of, spliced
from ssmd.tables.upstream.schemas import SCHEMAS

__all__ = ["DayWriter"]

_decode = msgspec.json.Decoder().decode
_MINUTE = slice(TS.start + len("2025-12-22T"), TS.start + len("2025-12-22T10:30"))


class DayWriter:
    """Takes the lines of a day in order. Memory holds the rows of a row group of each type.

    `folder`: where the files are written. `shard`: its number, None without shards. `first`: the sequence of the first
    line. `types`: only messages of these types, None for all. `facts`: further key-values for the Parquet files.
    """

    def __init__(
        self, folder: Path, shard: int | None, first: int, types: Collection[str] | None, facts: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._shard = shard
        self._next = first
        self._types = types
        self._facts = facts
        self._quarters: list[Quarter] = []
        self._open: dict[str, HourFile] = {}
        self._made: list[ParquetFile] = []
        self._counts: dict[str, HourCount] = {}
        self._markets: set[str] = set()
        self._seen: set[str] = set()

    def add(self, block: bytes, reader: MessageReader, *, kalshi: bool) -> None:
        """Take a block of whole lines. `kalshi`: whether the messages may have rows in Parquet."""
        lines = split(block)
        first, self._next = self._next, self._next + len(lines)
        columns = columns_of(block, lines, reader)
        found: Sequence[Found | None] = (
            columns.found if columns is not None else [_found(line, reader) for line in lines]
        )
        begin = 0
        minutes = [line[_MINUTE] for line in lines]
        for end in range(1, len(lines) + 1):
            if end == len(lines) or minutes[end] != minutes[begin]:
                self._add_minute(lines[begin:end], found[begin:end], first + begin, kalshi)
                begin = end

    def _add_minute(self, lines: list[bytes], found: Sequence[Found | None], first: int, kalshi: bool) -> None:
        """Take lines that were received in the same minute."""
        wanted = [
            (place, one)
            for place, one in enumerate(found)
            if one is not None and (self._types is None or one[0] in self._types)
        ]
        if not wanted:
            return
        quarter = self._quarter(lines[wanted[0][0]])
        count = self._counts[_hour(quarter)]
        count.lines += len(wanted)
        texts: list[bytes] = []
        times: list[int] = []
        for place, (kind, market) in wanted:
            line, sequence = lines[place], first + place
            received_us = parse_timestamp(line[TS].decode("ascii")) // 1000
            message = message_of(line)
            texts += (spliced(message, self._shard, received_us, sequence), b"\n")
            times.append(received_us)
            self._markets.add(market)
            if not kind:
                count.without_type += 1
                continue
            self._seen.add(kind)
            if kalshi and kind in SCHEMAS:
                self._add_row(kind, message, sequence, received_us, quarter, count)
            else:
                count.without_schema[kind] += 1
        ends = (first + wanted[0][0], times[0]), (first + wanted[-1][0], times[-1])
        quarter.write(texts, len(wanted), *ends)

    def _quarter(self, line: bytes) -> Quarter:
        """Return the file of a line. A clock that was set back opens no earlier one again."""
        minute = 60 * int(line[_MINUTE][:2]) + int(line[_MINUTE][3:])
        last = self._quarters[-1] if self._quarters else None
        if last is not None and Quarter.minute_of(minute) <= last.minute:
            return last
        quarter = Quarter(self._folder, Quarter.minute_of(minute))
        if last is not None:
            last.close()
            if _hour(last) != _hour(quarter):
                self._close_hour(_hour(last))
        self._quarters.append(quarter)
        self._counts.setdefault(_hour(quarter), HourCount()).files += 1
        return quarter

    def _add_row(
        self, kind: str, message: bytes, sequence: int, received_us: int, quarter: Quarter, count: HourCount
    ) -> None:
        count.read[kind] += 1
        parsed = _parsed(message)
        if self._shard is not None:
            parsed["_shard_id"] = self._shard
        row = SCHEMAS[kind].row(parsed, sequence, received_us)
        if row is None:
            count.without_row[kind] += 1
            return
        count.rows[kind] += 1
        if kind not in self._open:
            path = self._folder / f"{kind}_{_hour(quarter)}.parquet"
            self._open[kind] = HourFile(path, SCHEMAS[kind], self._facts)
        self._open[kind].add(row)

    def _close_hour(self, hour: str) -> None:
        for kind, file in self._open.items():
            file.close()
            self._made.append(ParquetFile(file.path.name, kind, hour, file.path.stat().st_size, file.rows))
        self._open = {}

    def close(self, place: Mapping[str, str], prefix: str, now_ns: int) -> list[Made]:
        """Finish all files, write the manifests, and return what was made.

        `place`: the `feed`, the `stream` and the `date`. `prefix`: of all names. `now_ns`: when they were made.
        """
        if self._quarters:
            self._quarters[-1].close()
            self._close_hour(_hour(self._quarters[-1]))
        files = [file._replace(path=f"{prefix}/{file.path}") for file in self._made]
        made = [Made(f"{prefix}/{one.name}", "", one.records, one.path) for one in self._quarters]
        made += [Made(one.path, one.type, one.rows, self._folder / Path(one.path).name) for one in files]
        feed = {name: place[name] for name in ("feed", "date")}
        manifests = {
            "manifest.json": archive_manifest(feed, self._quarters, self._markets - {""}, self._seen),
            "parquet-manifest.json": parquet_manifest(place, now_ns, self._counts, files, type_name),
        }
        for name, data in manifests.items():
            write_durably(self._folder / name, data)
            made.append(Made(f"{prefix}/{name}", "", 0, self._folder / name))
        return made


def _hour(quarter: Quarter) -> str:
    return f"{quarter.minute // 60:02d}00"


def _found(line: bytes, reader: MessageReader) -> Found | None:
    """Return the type and the market of a line, None for one that ssmd did not write."""
    with contextlib.suppress(ValueError):
        return column_of(line, reader)[1]
    return None


def _parsed(message: bytes) -> dict[str, Any]:
    try:
        parsed = _decode(message)
    except ValueError:  # A number that no float can hold.
        parsed = json.loads(message)
    return parsed if isinstance(parsed, dict) else {}
