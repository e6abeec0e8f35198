"""Writes the file of one table: the rows of one type of message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ssmd.contracts.table import TIME, Column, Table
from ssmd.parquet import form, times
from ssmd.parquet.decoding import Decoding
from ssmd.parquet.kinds import Kind, kind_of
from ssmd.parquet.matching import PLACE, Matching
from ssmd.store.head import TS

__all__ = ["RECEIVED_KIND", "ROWS", "Part", "Rows"]

ROWS = 32 * 1024
"""How many rows a row group has at most."""
_BYTES = 32 * 1024 * 1024
"""How many bytes of lines a row group has, unless its last batch has more."""
_LEVEL = 3
"""The level of zstd."""

RECEIVED_KIND = kind_of(Column(form.RECEIVED, ("ts",), TIME, usual=(6,)))


class Rows(NamedTuple):
    """Lines of one type, in order; the sequences are parallel."""

    lines: Sequence[bytes]
    """Without their newlines."""
    payloads: Sequence[bytes]
    """The messages, as they stand in the lines."""
    numbers: Sequence[int]
    sessions: Sequence[str]


class Part:
    """`file`: new, open for writing; it stays open. `table`: None for lines that are kept as they are."""

    def __init__(self, file: BinaryIO, table: Table | None, shard: str) -> None:
        self._shard = shard
        self._kinds = [kind_of(column) for column in table.columns] if table else []
        self._decoding = Decoding(self._kinds)
        paths = {("data", *kind.column.path): kind for kind in self._kinds}
        self._matching = Matching({RECEIVED_KIND.column.path: RECEIVED_KIND, **paths} if table else {})
        self._schema = schema_of(self._kinds)
        self._writer = pq.ParquetWriter(file, self._schema, **_settings(self._schema))
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0
        self.pending_bytes = 0
        """How many bytes of lines the rows have that wait for their row group."""
        self.rows = 0
        self.bytes = 0
        self.first, self.last = 0, 0
        """The numbers of the first and the last line."""

    def add(self, rows: Rows) -> None:
        lines = pa.array(rows.lines, pa.binary())
        received = _received(lines)
        arrays = [pa.array(rows.numbers, pa.int64()), received, pa.array(rows.sessions, pa.string())]
        arrays.append(pa.repeat(pa.scalar(self._shard, pa.string()), len(lines)))
        columns = {form.RECEIVED: received}
        for kind, values in zip(self._kinds, self._decoding.columns(rows.payloads) if self._kinds else (), strict=True):
            found = kind.arrays(values)
            columns[kind.column.name] = found[0]
            arrays += found
        places = self._matching.match(columns, lines) if self._kinds else pa.nulls(len(lines), PLACE)
        arrays += [places, pc.if_else(pc.is_null(places), lines, None)]
        self._pending.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        size = sum(map(len, rows.lines)) + len(lines)
        self._rows += len(lines)
        self.pending_bytes += size
        self.first, self.last = self.first or rows.numbers[0], rows.numbers[-1]
        self.rows, self.bytes = self.rows + len(lines), self.bytes + size
        while self._rows >= ROWS or self.pending_bytes >= _BYTES:
            self.flush()

    def flush(self) -> None:
        """Write a row group of the rows that wait."""
        table = pa.Table.from_batches(self._pending, self._schema)
        group, rest = table.slice(0, ROWS), table.slice(ROWS)
        self._writer.write_table(group, row_group_size=ROWS)
        self.pending_bytes = self.pending_bytes * rest.num_rows // max(1, self._rows)
        self._pending, self._rows = rest.to_batches(), rest.num_rows

    def close(self, type: str, source: Mapping[str, Any]) -> None:
        """Write what waits, and the end of the file. `type`: as in the name of its folder. `source`: about all lines of
        the day.
        """
        while self._rows:
            self.flush()
        entries = {
            "form": form.FORM,
            "type": type,
            "rows": self.rows,
            "bytes": self.bytes,
            "first_line": self.first,
            "last_line": self.last,
            "source": source,
            "columns": [list(kind.column) for kind in self._kinds],
            "layouts": [layout.described() for layout in self._matching.layouts],
        }
        self._writer.add_key_value_metadata({form.PREFIX + name: json.dumps(value) for name, value in entries.items()})
        self._writer.close()


def schema_of(kinds: Sequence[Kind]) -> pa.Schema:
    fields = [
        pa.field(form.LINE, pa.int64(), nullable=False),
        pa.field(form.RECEIVED, RECEIVED_KIND.type),
        pa.field(form.SESSION, pa.string()),
        pa.field(form.SHARD, pa.string()),
        *(field for kind in kinds for field in kind.fields()),
        pa.field(form.LAYOUT, PLACE),
        pa.field(form.RAW, pa.binary()),
    ]
    return pa.schema(fields)


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


def _received(lines: pa.Array) -> pa.Array:
    """Return when each line was received; NULL where that cannot be read."""
    texts = pc.binary_slice(lines, TS.start, TS.stop)
    try:
        texts = texts.cast(pa.string())
    except pa.ArrowInvalid:
        texts = pa.array([text.decode("ascii", "replace") for text in texts.to_pylist()], pa.string())
    return times.from_text(texts)
