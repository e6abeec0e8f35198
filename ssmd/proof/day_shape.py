"""The shape of a day's messages: made when the day is sealed, and compared with the days before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ssmd.contracts.shard import Shard, is_for
from ssmd.errors import DataError
from ssmd.exchange.readers import documented_fields
from ssmd.proof.day_count import Finding
from ssmd.proof.examine import Examination
from ssmd.shape.drift import Drift, Known, drifts
from ssmd.shape.file import read_shape, shape_stems, shapes_before
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.markets import MarketCount
from ssmd.shape.shape import Shape
from ssmd.shape.together import together
from ssmd.store.inventory import day_folders, looking
from ssmd.store.layout import DayFile, feed_and_shard, feed_of, shape_path
from ssmd.store.sessions import recorded_dialects

__all__ = ["drifts_of", "known_before", "newest_drifts", "shape_of", "wrong_shape"]


def shape_of(file: DayFile, found: Examination, learned: ShapeLearner, counted: MarketCount) -> Shape:
    """Return the shape of a day that was examined with a learner and a count of its markets."""
    entries = found.ledger.entries.outline() if found.ledger is not None else ()
    exchanges = sorted({one.exchange for one in recorded_dialects(entries)})
    manifest = found.manifest
    return Shape(file.feed, file.day, manifest.lines, manifest.sha256, exchanges, learned.types(), counted.found())


def wrong_shape(file: DayFile, found: Examination) -> Iterator[Finding]:
    """Yield what is wrong with the shape beside a sealed day, if it has one."""
    try:
        shape = read_shape(shape_path(file.path.parent, file.stem))
    except DataError as error:
        yield Finding(None, f"has a shape file that cannot be used: {error}")
        return
    if shape is None:
        return
    of_lines, of_shape = found.manifest, (shape.feed, shape.day, shape.lines, shape.sha256)
    if of_shape != (of_lines.feed, of_lines.day, of_lines.lines, of_lines.sha256):
        yield Finding(None, f"has a shape file of other lines, of {shape.feed} on {shape.day}")


def known_before(storage: Path, feed: str, day: str, exchanges: Iterable[str]) -> Known:
    """Return what the days before `day` have shown of a feed's messages. Raises DataError for a folder that cannot be
    read.

    `exchanges`: the dialects whose documented fields are no news.
    """
    documented = {type: fields for name in exchanges for type, fields in documented_fields(name).items()}
    return Known(together(shapes_before(storage, feed, day)), documented)


def drifts_of(folder: Path, stem: str) -> list[Drift]:
    """Return how the messages of a day differ from those of the days before, from the shapes beside the days.

    `folder`: that of the day. A day without a shape has none. Raises DataError for a shape that cannot be read.
    """
    shape = read_shape(shape_path(folder, stem))
    if shape is None:
        return []
    return drifts(known_before(folder.parent, feed_of(stem), folder.name, shape.exchanges), shape.types)


def newest_drifts(storage: Path, feed: str, before: str, shard: Shard) -> tuple[str, list[Drift]] | None:
    """Return the newest day before `before` that has a shape, and how it differs from the days before it; None when
    there is no such day.

    `shard`: only what is for this one to seal. Raises DataError for what cannot be read.
    """
    with looking(storage):
        folders = [folder for folder in day_folders(storage) if folder.name < before]
    for folder in reversed(folders):
        named = ((stem, feed_and_shard(stem)) for stem in shape_stems(folder, feed))
        if stems := [stem for stem, of in named if of is not None and is_for(of[1], shard)]:
            return folder.name, [drift for stem in stems for drift in drifts_of(folder, stem)]
    return None
