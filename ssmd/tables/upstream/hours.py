"""The files `{type}_{HH}00.parquet`: the rows of one type of message of an hour. Needs pyarrow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ssmd.errors import WriteError
from ssmd.tables.upstream.schemas import FLAG, INTEGER, NATURAL, TEXT, TIME, Kind, Schema

__all__ = ["HourFile", "arrow_schema", "type_name"]

_GROUP_ROWS = 25_000
"""How many rows are gathered before they are written as a row group. Its pipeline has 100,000 at most."""

_KINDS: Mapping[Kind, pa.DataType] = {
    TEXT: pa.string(),
    INTEGER: pa.int64(),
    NATURAL: pa.uint64(),
    TIME: pa.timestamp("us", tz="UTC"),
    FLAG: pa.bool_(),
}
_NAMES: Mapping[Kind, str] = {
    TEXT: "Utf8",
    INTEGER: "Int64",
    NATURAL: "UInt64",
    TIME: "Timestamp(Microsecond, UTC)",
    FLAG: "Boolean",
}


def arrow_schema(schema: Schema, facts: Mapping[str, str]) -> pa.Schema:
    """Return the schema of a file, with its key-values."""
    fields = [pa.field(column.name, _arrow(column.kind), not column.required) for column in schema.columns]
    named = {"ssmd.schema_name": schema.name, "ssmd.schema_version": schema.version, **facts}
    return pa.schema(fields, {key.encode(): value.encode() for key, value in named.items()})


def _arrow(kind: Kind) -> pa.DataType:
    return pa.decimal128(*kind) if isinstance(kind, tuple) else _KINDS[kind]


def type_name(kind: Kind) -> str:
    """Return the name that a kind has in its parquet-manifest.json."""
    return f"Decimal128({kind[0]}, {kind[1]})" if isinstance(kind, tuple) else _NAMES[kind]


class HourFile:
    """One file, being written. Memory holds the rows of one row group. Raises WriteError."""

    def __init__(self, path: Path, schema: Schema, facts: Mapping[str, str]) -> None:
        self.path = path
        self.rows = 0
        self._schema = arrow_schema(schema, facts)
        self._waiting: list[tuple[Any, ...]] = []
        try:
            self._writer = pq.ParquetWriter(path, self._schema, compression="snappy", data_page_size=1024 * 1024)
        except OSError as error:
            raise WriteError(f"{path}: {error.strerror}") from None

    def add(self, row: tuple[Any, ...]) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= _GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Finish the file and make it durable."""
        if self._waiting:
            self._write()
        try:
            self._writer.close()
            with open(self.path, "rb+") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise WriteError(f"{self.path}: {error.strerror}") from None

    def _write(self) -> None:
        columns = zip(*self._waiting, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        try:
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        except OSError as error:
            raise WriteError(f"{self.path}: {error.strerror}") from None
        self.rows += len(self._waiting)
        self._waiting = []
