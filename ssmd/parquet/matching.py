"""Finds for each line the layout that gives its exact bytes, and learns layouts from lines that have none yet."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ssmd.parquet.kinds import Kind
from ssmd.parquet.layout import Layout, learn
from ssmd.parquet.spans import Path

__all__ = ["PLACE", "Matching"]

_MOST_LAYOUTS = 256
"""How many layouts a table may have: the metadata of its file have them all."""
_MOST_MISSES = 4
"""How many layouts may be tried in vain on a batch, before new ones are learned from it."""
_MOST_FAILED = 8
"""After so many lines of a batch from which nothing can be learned, the rest keep their bytes."""
_SAMPLE, _FEWEST = 64, 4
"""A layout is kept if it is right for _FEWEST of the next _SAMPLE lines, or for the same share where there are fewer.
Otherwise a new field with another value in each message would make a layout for each message."""

PLACE = pa.int16()

Columns = Mapping[str, pa.Array]


class Matching:
    """The layouts of one table. `kinds`: by the path of their column in a line."""

    def __init__(self, kinds: Mapping[Path, Kind]) -> None:
        self._paths = kinds
        self._kinds = {kind.column.name: kind for kind in kinds.values()}
        self.layouts: list[Layout] = []
        self._places: dict[str, int] = {}
        self._hits: list[float] = []
        """For about how many lines each layout was right in the last batches."""

    def match(self, columns: Columns, lines: pa.Array) -> pa.Array:
        """Return for each line, without its newline, the place of its layout; NULL for a line that must be kept.

        It does what a reader does: the place is given only to a row whose columns give exactly these bytes.
        """
        batch = _Batch(columns, lines, self._kinds)
        tried = set()
        misses = failed = 0
        for place in sorted(range(len(self.layouts)), key=self._hits.__getitem__, reverse=True):
            if not batch.count or misses == _MOST_MISSES:
                break
            tried.add(place)
            misses += not self._try(batch, place)
        while batch.count and failed < _MOST_FAILED:
            learned = self._learn(batch)
            if learned is None or learned in tried or not self._try(batch, learned):
                batch.pass_over()
                failed += 1
        return batch.places()

    def _try(self, batch: _Batch, place: int) -> int:
        """Return for how many lines a layout is right."""
        hits = batch.match(place, self.layouts[place])
        self._hits[place] = self._hits[place] / 2 + hits
        return hits

    def _learn(self, batch: _Batch) -> int | None:
        """Return the place of the layout of the first line that has none yet; None when it cannot be learned."""
        layout = learn(*batch.first_row(), self._paths)
        if layout is None:
            return None
        place = self._places.get(layout.key)
        if place is None and len(self.layouts) < _MOST_LAYOUTS and batch.is_worth(layout):
            place = self._places[layout.key] = len(self.layouts)
            self.layouts.append(layout)
            self._hits.append(0)
        return place


class _Batch:
    """Some lines, and which of them have a layout by now."""

    def __init__(self, columns: Columns, lines: pa.Array, kinds: Mapping[str, Kind]) -> None:
        self._columns = columns
        self._lines = lines
        self._kinds = kinds
        self._size = len(lines)
        self._left: pa.Array | None = None
        """The lines without a layout; None for all."""
        self._found: list[tuple[int, pa.Array]] = []

    @property
    def count(self) -> int:
        """How many lines have no layout, and were not passed over."""
        return self._size if self._left is None else len(self._left)

    def first_row(self) -> tuple[bytes, Columns]:
        """Return the first line that is left, and its columns."""
        at = 0 if self._left is None else self._left[0].as_py()
        return self._lines[at].as_py(), {name: array.slice(at, 1) for name, array in self._columns.items()}

    def is_worth(self, layout: Layout) -> bool:
        """Return whether a layout is right for the first line that is left, and for enough of the next."""
        rows = pa.array(range(min(_SAMPLE, self._size)), pa.int64()) if self._left is None else self._left[:_SAMPLE]
        same = self._same(layout, rows)
        return bool(same[0].as_py()) and pc.sum(same).as_py() * _SAMPLE >= _FEWEST * len(same)

    def _same(self, layout: Layout, rows: pa.Array | None) -> pa.Array:
        """Return for which rows a layout gives the bytes of the line. `rows`: None for all."""
        columns = {name: self._columns[name] for name in layout.columns}
        lines = self._lines
        if rows is not None:
            columns = {name: array.take(rows) for name, array in columns.items()}
            lines = lines.take(rows)
        return pc.equal(layout.lines(columns, self._kinds), lines)

    def pass_over(self) -> None:
        """Leave the first line without a layout."""
        self._left = pa.array(range(1, self._size), pa.int64()) if self._left is None else self._left.slice(1)

    def match(self, place: int, layout: Layout) -> int:
        """Give a layout to those lines that are left and that it is right for; return how many these are."""
        left = self._left
        same = self._same(layout, left)
        matched, others = pc.indices_nonzero(same), pc.indices_nonzero(pc.invert(same))
        if len(matched):
            self._found.append((place, matched if left is None else left.take(matched)))
            self._left = others if left is None else left.take(others)
        return len(matched)

    def places(self) -> pa.Array:
        """Return the place of each line's layout; NULL where it has none."""
        if len(self._found) == 1 and len(self._found[0][1]) == self._size:
            return pa.repeat(pa.scalar(self._found[0][0], PLACE), self._size)
        rows = [rows.cast(pa.int64()) for _, rows in self._found]
        values = [pa.repeat(pa.scalar(place, PLACE), len(rows)) for place, rows in self._found]
        places = pa.nulls(self._size, PLACE)
        if not rows:
            return places
        order = pc.sort_indices(pa.concat_arrays(rows))
        mask = pc.is_in(pa.array(range(self._size), pa.int64()), pa.concat_arrays(rows))
        return pc.replace_with_mask(places, mask, pa.concat_arrays(values).take(order))
