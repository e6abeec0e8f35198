"""Converts lines of one type into the rows of their table."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ssmd.contracts.table import TIME, Column, Table
from ssmd.parquet import form, times
from ssmd.parquet.decoding import Decoding
from ssmd.parquet.kinds import Kind, kind_of
from ssmd.parquet.layout import Layout
from ssmd.parquet.matching import PLACE, Matching
from ssmd.store.head import TS

__all__ = ["RECEIVED_KIND", "Conversion", "Rows"]

RECEIVED_KIND = kind_of(Column(form.RECEIVED, ("ts",), TIME, usual=(6,)))


class Rows(NamedTuple):
    """Lines of one type, in order; the lists are parallel."""

    lines: list[bytes]
    """Without their newlines."""
    starts: list[int]
    """Where in each line its message begins, which ends before the last character; 0 for a line without a message."""
    numbers: list[int]
    sessions: list[str]

    def extend(self, rows: Rows) -> None:
        self.lines.extend(rows.lines)
        self.starts.extend(rows.starts)
        self.numbers.extend(rows.numbers)
        self.sessions.extend(rows.sessions)

    def pieces(self, most_lines: int, most_bytes: int) -> Iterator[Rows]:
        """Yield the lines in order, up to so many at once; one at least."""
        ends = list(itertools.accumulate(map(len, self.lines), initial=0))
        at = 0
        while at < len(self.lines):
            fitting = bisect_right(ends, ends[at] + most_bytes) - 1
            part = slice(at, max(at + 1, min(at + most_lines, fitting)))
            yield Rows(self.lines[part], self.starts[part], self.numbers[part], self.sessions[part])
            at = part.stop


class Conversion:
    """`table`: None for lines that are kept as they are. `shard`: goes into each row."""

    def __init__(self, table: Table | None, shard: str) -> None:
        self._shard = shard
        self.kinds = [kind_of(column) for column in table.columns] if table else []
        self._decoding = Decoding(self.kinds)
        paths = {("data", *kind.column.path): kind for kind in self.kinds}
        self._matching = Matching({RECEIVED_KIND.column.path: RECEIVED_KIND, **paths} if table else {})
        self.schema = _schema_of(self.kinds)

    @property
    def layouts(self) -> list[Layout]:
        """Those of the rows so far."""
        return self._matching.layouts

    def batch(self, rows: Rows) -> pa.RecordBatch:
        """Return the rows of lines."""
        lines = pa.array(rows.lines, pa.binary())
        received = _received(lines)
        arrays = [pa.array(rows.numbers, pa.int64()), received, pa.array(rows.sessions, pa.string())]
        arrays.append(pa.repeat(pa.scalar(self._shard, pa.string()), len(lines)))
        columns = {form.RECEIVED: received}
        for kind, values in zip(self.kinds, self._decoded(rows), strict=True):
            found = kind.arrays(values)
            columns[kind.column.name] = found[0]
            arrays += found
        places = self._matching.match(columns, lines) if self.kinds else pa.nulls(len(lines), PLACE)
        arrays += [places, pc.if_else(pc.is_null(places), lines, None)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _decoded(self, rows: Rows) -> Sequence[Sequence[Any]]:
        if not self.kinds:
            return ()
        return self._decoding.columns([line[start:-1] for line, start in zip(rows.lines, rows.starts, strict=True)])


def _schema_of(kinds: list[Kind]) -> pa.Schema:
    return pa.schema(
        [
            pa.field(form.LINE, pa.int64(), nullable=False),
            pa.field(form.RECEIVED, RECEIVED_KIND.type),
            pa.field(form.SESSION, pa.string()),
            pa.field(form.SHARD, pa.string()),
            *(field for kind in kinds for field in kind.fields()),
            pa.field(form.LAYOUT, PLACE),
            pa.field(form.RAW, pa.binary()),
        ]
    )


def _received(lines: pa.Array) -> pa.Array:
    """Return when each line was received; NULL where that cannot be read."""
    texts = pc.binary_slice(lines, TS.start, TS.stop)
    try:
        texts = texts.cast(pa.string())
    except pa.ArrowInvalid:
        texts = pa.array([text.decode("ascii", "replace") for text in texts.to_pylist()], pa.string())
    return times.from_text(texts)
