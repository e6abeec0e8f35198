"""Writes the file of one table: the rows of one type of message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ssmd.contracts.table import TEXT, Table
from ssmd.parquet import checksum, form
from ssmd.parquet.conversion import Conversion, Rows

__all__ = ["ROWS", "Part"]

ROWS = 32 * 1024
"""How many rows make a row group; the last lines that are added together may make it a little longer."""
_BYTES = 32 * 1024 * 1024
"""How many bytes of lines make a row group."""

_AT_ONCE = 8192
_AT_ONCE_BYTES = 4 * 1024 * 1024
"""How many lines, and how many of their bytes, are converted at once. A decoded order book takes ten times as much."""

_LEVEL = 3
"""The level of zstd."""

_BLOOM_FILTER = {"ndv": 1024, "fpp": 0.05}
"""1 KiB in each row group, from which a query for one market sees that the row group does not have it."""


class Part:
    """`file`: new, open for writing; it stays open. `table` and `shard`: as for Conversion. `market_field`: where a
    message has its market, such as `msg.market_ticker`; empty when that is not known.
    """

    def __init__(self, file: BinaryIO, table: Table | None, shard: str, market_field: str = "") -> None:
        self._file = file
        self._conversion = Conversion(table, shard)
        columns = [kind.column for kind in self._conversion.kinds]
        markets = [column.name for column in columns if ".".join(column.path) == market_field and column.kind == TEXT]
        self._writer = pq.ParquetWriter(file, self._conversion.schema, **_settings(self._conversion.schema, markets))
        self._waiting = Rows([], [], [], [])
        self.pending_bytes = 0
        """How many bytes of lines wait for their row group."""
        self._rows = 0
        self._bytes = 0
        self._first, self._last = 0, 0

    def add(self, rows: Rows) -> None:
        size = sum(map(len, rows.lines)) + len(rows.lines)
        self._first, self._last = self._first or rows.numbers[0], rows.numbers[-1]
        self._rows, self._bytes = self._rows + len(rows.lines), self._bytes + size
        self._waiting.extend(rows)
        self.pending_bytes += size
        if len(self._waiting.lines) >= ROWS or self.pending_bytes >= _BYTES:
            self.flush()

    def flush(self) -> None:
        """Convert what waits, and write it as a row group."""
        rows, self._waiting, self.pending_bytes = self._waiting, Rows([], [], [], []), 0
        if rows.lines:
            batches = list(map(self._conversion.batch, rows.pieces(_AT_ONCE, _AT_ONCE_BYTES)))
            table = pa.Table.from_batches(batches, self._conversion.schema)
            self._writer.write_table(table, row_group_size=len(rows.lines))

    def close(self, type: str, source: Mapping[str, Any]) -> None:
        """Write what waits, and the end of the file. `type`: as in the name of its folder. `source`: about all lines of
        the day.
        """
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


def _settings(schema: pa.Schema, markets: Sequence[str]) -> dict[str, Any]:
    """Return how the columns are written. Numbers and times mostly rise, so their differences are small."""
    rising = [field.name for field in schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    return {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "use_dictionary": [name for name in _leaves(schema) if name not in rising],
        "column_encoding": dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        "bloom_filter_options": dict.fromkeys(markets, _BLOOM_FILTER) or None,
        "store_decimal_as_integer": True,
        "write_page_checksum": True,
    }


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        if pa.types.is_list(field.type):
            yield from (f"{field.name}.list.element.{inner.name}" for inner in field.type.value_type)
        else:
            yield field.name
