"""Reads the file of one table: the rows of one type of message become lines again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ssmd.contracts.table import Column
from ssmd.errors import DataError, printable
from ssmd.parquet import form
from ssmd.parquet.conversion import RECEIVED_KIND
from ssmd.parquet.kinds import kind_of
from ssmd.parquet.layout import Layout

__all__ = ["PartReader"]

_MOST_ROWS = 8192


class PartReader:
    """Iterates over the numbers and the lines, with their newlines, of one file, in batches. Iterate only once.

    `batch_bytes`: how many bytes of lines a batch has, if all lines have about the same length. Raises DataError,
    naming the file, also for one of a form that this version does not know.
    """

    def __init__(self, path: Path, batch_bytes: int) -> None:
        self.path = path
        with _reading(path):
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            metadata = _metadata_of(path, self._file.metadata.metadata or {})
            if metadata["type"] != path.parent.name:
                raise DataError(f"{path}: cannot be read: it is that of {printable(str(metadata['type']))}")
            self.source: dict[str, Any] = metadata["source"]
            kinds = [kind_of(Column(*fields)) for fields in _columns(metadata["columns"])]
            self._layouts = [Layout.of(described) for described in metadata["layouts"]]
            average = metadata["bytes"] // max(1, metadata["rows"]) + 1
        self._kinds = {form.RECEIVED: RECEIVED_KIND, **{kind.column.name: kind for kind in kinds}}
        self._batch_rows = max(1, min(_MOST_ROWS, batch_bytes // average))

    def __iter__(self) -> Iterator[tuple[pa.Array, pa.Array]]:
        names = [form.LINE, form.LAYOUT, form.RAW, *self._kinds]
        for group in range(self._file.num_row_groups):
            with _reading(self.path):
                rows = self._file.read_row_group(group, columns=names, use_threads=False)
            for batch in rows.to_batches(self._batch_rows):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield columns[form.LINE], pc.binary_join_element_wise(self._lines(columns), b"\n", b"")
        self._file.close()

    def _lines(self, columns: dict[str, pa.Array]) -> pa.Array:
        places, raw = columns[form.LAYOUT], columns[form.RAW]
        used = pc.unique(places).to_pylist()
        if used == [None]:
            return raw
        if len(used) == 1:
            return self._layouts[used[0]].lines(columns, self._kinds)
        found = [pc.indices_nonzero(pc.is_null(places))]
        lines = [raw.take(found[0])]
        for place in used:
            if place is not None:
                rows = pc.indices_nonzero(pc.equal(places, place))
                layout = self._layouts[place]
                chosen = {name: columns[name].take(rows) for name in layout.columns}
                found.append(rows)
                lines.append(layout.lines(chosen, self._kinds))
        return pa.concat_arrays(lines).take(pc.sort_indices(pa.concat_arrays(found)))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong in a file into DataError, which names the file."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or printable(str(error))
        raise DataError(f"{path}: cannot be read: {reason}") from None


def _metadata_of(path: Path, entries: dict[bytes, bytes]) -> dict[str, Any]:
    """Return the entries of ssmd. Raises DataError without any, and for those of a form that is not known."""
    prefix = form.PREFIX.encode("ascii")
    try:
        found = {
            name.removeprefix(prefix).decode("ascii"): json.loads(value)
            for name, value in entries.items()
            if name.startswith(prefix)
        }
    except ValueError:
        raise DataError(f"{path}: cannot be read: its metadata are damaged") from None
    if "form" not in found:
        raise DataError(f"{path}: cannot be read: ssmd did not write it")
    if found["form"] != form.FORM:
        raise DataError(
            f"{path}: is of form {printable(str(found['form']))}, which this ssmd does not read; use a later version"
        )
    if missing := {"type", "source", "columns", "layouts", "bytes", "rows"} - found.keys():
        raise DataError(f"{path}: cannot be read: its metadata lack `{min(missing)}`")
    return found


def _columns(described: list[list[Any]]) -> Iterator[list[Any]]:
    """Return the columns with tuples, which JSON has made lists, as tuples again."""
    for fields in described:
        yield [tuple(field) if isinstance(field, list) else field for field in fields]
