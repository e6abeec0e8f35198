"""Reads and writes the shape beside a day, and finds those of the days before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ssmd.errors import DataError
from ssmd.shape.shape import Shape, decode_shape, encode_shape
from ssmd.store.durable import write_durably
from ssmd.store.file_kinds import SHAPE
from ssmd.store.inventory import day_folders, looking
from ssmd.store.layout import feed_and_shard, shape_path
from ssmd.store.on_demand import present

__all__ = ["DAYS_BEFORE", "day_shapes", "read_shape", "shape_stems", "shapes_before", "write_shape"]

DAYS_BEFORE = 7
"""With how many of the days before, those that have a shape, a day is compared."""


def read_shape(path: Path) -> Shape | None:
    """Return the shape in a file, None when there is none. Raises DataError, naming `path`, for one that is no shape,
    or that a newer version has written.
    """
    try:
        return decode_shape(present(path).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def write_shape(folder: Path, stem: str, shape: Shape) -> None:
    """Write the shape of a day into its folder. Raises WriteError."""
    write_durably(shape_path(folder, stem), encode_shape(shape))


def shapes_before(storage: Path, feed: str, day: str, *, days: int = DAYS_BEFORE) -> list[Shape]:
    """Return the shapes of the newest `days` days before `day` on which the feed has any, of all its shards.

    A file that cannot be read counts as none. Raises DataError for a storage folder that cannot be read.
    """
    found: list[Shape] = []
    with looking(storage):
        folders = [folder for folder in day_folders(storage) if folder.name < day]
    for folder in reversed(folders):
        shapes = list(day_shapes(folder, feed))
        found += shapes
        days -= bool(shapes)
        if not days:
            break
    return found


def shape_stems(folder: Path, feed: str) -> list[str]:
    """Return the stems of a feed, with and without a shard, that have a shape in a day's folder."""
    stems = [path.name.removesuffix(SHAPE) for path in sorted(folder.glob(f"{feed}*{SHAPE}"))]
    return [stem for stem in stems if (named := feed_and_shard(stem)) is not None and named[0] == feed]


def day_shapes(folder: Path, feed: str) -> Iterator[Shape]:
    """Yield the shapes of a feed in a day's folder, of all shards. A file that cannot be read counts as none."""
    for stem in shape_stems(folder, feed):
        try:
            shape = read_shape(shape_path(folder, stem))
        except DataError:
            continue
        if shape is not None:
            yield shape
