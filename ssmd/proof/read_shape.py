"""Finds the shape of a recorded day: from the file beside it, or by reading its messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ssmd.errors import DataError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.found import column_of, columns_of
from ssmd.reading.stretches import Stretch, divided
from ssmd.shape.file import read_shape
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.shape import Shape
from ssmd.store.head import split
from ssmd.store.layout import DayFile, manifest_path, shape_path
from ssmd.store.manifest_file import read_manifest

__all__ = ["day_shape"]


def day_shape(
    file: DayFile,
    stretches: Callable[[DayFile], Sequence[Stretch]],
    progress: Callable[[int], None],
    *,
    exact: bool = False,
) -> Shape:
    """Return the shape of a day. `stretches` returns what reads the types of its messages.

    A sealed day has it beside its data. `exact`: decode every message, which a shape that was made when sealing does
    not. `progress` is called with the number of bytes of the file that are read so far. Lines that ssmd did not write
    are left out. Raises DataError for a file that cannot be read.
    """
    if not exact and (kept := _kept(file)) is not None:
        return kept
    learner = ShapeLearner(exact=exact)
    source = LineBlocks(file.path)
    before = 0
    for block, stretch in divided(source, 0, stretches(file)):
        lines = split(block)
        columns = columns_of(block, lines, stretch.reader)
        if columns is not None:
            learner.add(list(columns.payloads), [type for type, _ in columns.found], before)
        else:
            for number, line in enumerate(lines):
                try:
                    payload, (type, _) = column_of(line, stretch.reader)
                except ValueError:
                    continue
                learner.add([payload], [type], before + number)
        before += len(lines)
        progress(source.bytes_read)
    return Shape(file.feed, file.day, before, "", [], learner.types())


def _kept(file: DayFile) -> Shape | None:
    """Return the shape beside a day, None when it is not of the lines that are there now."""
    try:
        manifest = read_manifest(manifest_path(file.path.parent, file.stem))
        shape = read_shape(shape_path(file.path.parent, file.stem))
    except DataError:
        return None
    return shape if manifest is not None and shape is not None and manifest.sha256 == shape.sha256 else None
