"""Writes the file of one table: the rows of one type of message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ssmd.contracts.table import Table
from ssmd.parquet import checksum, form
from ssmd.parquet.conversion import Conversion, Rows

__all__ = ["ROWS", "Part"]

ROWS = 32 * 1024
"""How many rows a row group has at most."""
_BYTES = 32 * 1024 * 1024
"""How many bytes of lines a row group has, unless its last lines are long."""

_ROWS_AT_ONCE, _BYTES_AT_ONCE = 8192, 2 * 1024 * 1024
"""How many lines, or bytes of lines, wait before they are converted: what is done for a whole array takes a millisecond
or two for any number of rows."""

_LEVEL = 3
"""The level of zstd."""


class Part:
    """`file`: new, open for writing; it stays open. `table` and `shard`: as for Conversion."""

    def __init__(self, file: BinaryIO, table: Table | None, shard: str) -> None:
        self._file = file
        self._conversion = Conversion(table, shard)
        self._writer = pq.ParquetWriter(file, self._conversion.schema, **_settings(self._conversion.schema))
        self._lines = Rows([], [], [], [])
        self._line_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._batch_rows = 0
        self.pending_bytes = 0
        """How many bytes of lines wait for their row group, converted or not."""
        self._rows = 0
        self._bytes = 0
        self._first, self._last = 0, 0

    def add(self, rows: Rows) -> None:
        size = sum(map(len, rows.lines)) + len(rows.lines)
        self._first, self._last = self._first or rows.numbers[0], rows.numbers[-1]
        self._rows, self._bytes = self._rows + len(rows.lines), self._bytes + size
        self._lines.extend(rows)
        self._line_bytes += size
        self.pending_bytes += size
        if len(self._lines.lines) >= _ROWS_AT_ONCE or self._line_bytes >= _BYTES_AT_ONCE:
            self._convert()
        while self._batch_rows >= ROWS or self.pending_bytes >= _BYTES:
            self.flush()

    def _convert(self) -> None:
        lines, self._lines, self._line_bytes = self._lines, Rows([], [], [], []), 0
        if lines.lines:
            self._batches.append(self._conversion.batch(lines))
            self._batch_rows += len(lines.lines)

    def flush(self) -> None:
        """Write a row group of what waits."""
        if self._batch_rows < ROWS:
            self._convert()
        table = pa.Table.from_batches(self._batches, self._conversion.schema)
        group, rest = table.slice(0, ROWS), table.slice(ROWS)
        self._writer.write_table(group, row_group_size=ROWS)
        waiting = self.pending_bytes - self._line_bytes
        self.pending_bytes = self._line_bytes + waiting * rest.num_rows // max(1, self._batch_rows)
        self._batches, self._batch_rows = rest.to_batches(), rest.num_rows

    def close(self, type: str, source: Mapping[str, Any]) -> None:
        """Write what waits, and the end of the file. `type`: as in the name of its folder. `source`: about all lines of
        the day.
        """
        while self.pending_bytes:
            self.flush()
        entries = {
            "form": form.FORM,
            "type": type,
            "rows": self._rows,
            "bytes": self._bytes,
            "first_line": self._first,
            "last_line": self._last,
            "source": source,
            "columns": [list(kind.column) for kind in self._conversion.kinds],
            "layouts": [layout.described() for layout in self._conversion.layouts],
            checksum.NAME: checksum.UNSIGNED,
        }
        self._writer.add_key_value_metadata({form.PREFIX + name: json.dumps(value) for name, value in entries.items()})
        self._writer.close()
        checksum.sign(self._file)


def _settings(schema: pa.Schema) -> dict[str, Any]:
    """Return how the columns are written. Numbers and times mostly rise, so their differences are small."""
    rising = [field.name for field in schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    return {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "use_dictionary": [name for name in _leaves(schema) if name not in rising],
        "column_encoding": dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        "store_decimal_as_integer": True,
        "write_page_checksum": True,
    }


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        if pa.types.is_list(field.type):
            yield from (f"{field.name}.list.element.{inner.name}" for inner in field.type.value_type)
        else:
            yield field.name
