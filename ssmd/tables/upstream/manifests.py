"""The two manifests of a day: manifest.json of its archiver, and parquet-manifest.json of ssmd-parquet-gen. Pure.

https://github.com/aaronwald/ssmd/blob/main/ssmd-rust/crates/ssmd-archiver/src/manifest.rs
https://github.com/aaronwald/ssmd/blob/main/ssmd-rust/crates/ssmd-parquet-gen/src/processor.rs
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.store.timestamps import timestamp
from ssmd.tables.upstream.quarters import Quarter
from ssmd.tables.upstream.schemas import SCHEMAS, Kind

__all__ = ["HourCount", "ParquetFile", "archive_manifest", "parquet_manifest"]

_VERSION = "2.0.0"


class HourCount:
    """What became of the messages of one hour."""

    def __init__(self) -> None:
        self.files = self.lines = self.without_type = 0
        self.without_schema: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.without_row: Counter[str] = Counter()
        """Those that lack a field that their schema requires."""
        self.rows: Counter[str] = Counter()

    def add(self, other: HourCount) -> None:
        self.files += other.files
        self.lines += other.lines
        self.without_type += other.without_type
        for mine, theirs in zip(self._counters(), other._counters(), strict=True):
            mine.update(theirs)

    def _counters(self) -> tuple[Counter[str], ...]:
        return self.without_schema, self.read, self.without_row, self.rows

    def fields(self) -> dict[str, Any]:
        return {
            "files_read": self.files,
            "lines_total": self.lines,
            "lines_empty": 0,
            "lines_json_error": 0,
            "lines_type_unknown": self.without_type,
            "lines_no_schema": _sorted(self.without_schema),
            "parse_batch_input": _sorted(self.read),
            "parse_batch_dropped": _sorted(self.without_row),
            "records_written": _sorted(self.rows),
        }


class ParquetFile(NamedTuple):
    path: str
    type: str
    hour: str
    bytes: int
    rows: int


def parquet_manifest(
    place: Mapping[str, str],
    now_ns: int,
    hours: Mapping[str, HourCount],
    files: Sequence[ParquetFile],
    type_name: Callable[[Kind], str],
) -> bytes:
    """Return parquet-manifest.json. `place`: its `feed`, `stream` and `date`. `type_name`: names a column's kind."""
    totals = HourCount()
    for count in hours.values():
        totals.add(count)
    document = {
        **place,
        "generated_at": timestamp(now_ns)[:19] + "Z",
        "version": _VERSION,
        "hours": {hour: count.fields() for hour, count in sorted(hours.items())},
        "totals": totals.fields(),
        "files": [_file(file) for file in files],
        "schemas": {kind: _schema(kind, type_name) for kind in sorted({file.type for file in files})},
    }
    return json.dumps(document, indent=2).encode("ascii")


def _file(file: ParquetFile) -> dict[str, Any]:
    schema = SCHEMAS[file.type]
    return {
        "path": file.path,
        "message_type": file.type,
        "hour": file.hour,
        "bytes": file.bytes,
        "row_count": file.rows,
        "schema_name": schema.name,
        "schema_version": schema.version,
    }


def _schema(kind: str, type_name: Callable[[Kind], str]) -> dict[str, Any]:
    schema = SCHEMAS[kind]
    columns = [
        {"name": column.name, "arrow_type": type_name(column.kind), "nullable": not column.required}
        for column in schema.columns
    ]
    return {"schema_name": schema.name, "schema_version": schema.version, "columns": columns}


def archive_manifest(
    place: Mapping[str, str], quarters: Iterable[Quarter], markets: Iterable[str], types: Iterable[str]
) -> bytes:
    """Return manifest.json. `place`: its `feed` and `date`."""
    document = {
        **place,
        "format": "jsonl",
        "rotation_interval": "15m",
        "files": [
            {
                "name": quarter.name,
                "start": _time(quarter.first[1]),
                "end": _time(quarter.last[1]),
                "records": quarter.records,
                "bytes": quarter.bytes,
                "nats_start_seq": quarter.first[0],
                "nats_end_seq": quarter.last[0],
            }
            for quarter in quarters
        ],
        "gaps": [],
        "tickers": sorted(markets),
        "message_types": sorted(types),
        "has_gaps": False,
    }
    return json.dumps(document).encode("ascii")


def _time(micros: int) -> str:
    return timestamp(micros * 1000)


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
