"""What has changed in the shape of messages on the days of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ssmd.errors import DataError
from ssmd.proof.day_shape import drifts_of
from ssmd.reports.figures import Figures
from ssmd.shape.file import shape_stems
from ssmd.store.layout import day_of

__all__ = ["drift_lines"]

_MOST = 20
"""How many changes of a day are listed."""


def drift_lines(storage: Path, figures: Sequence[Figures], trouble: Callable[[DataError], None]) -> Iterator[str]:
    """Yield a line for each change on the days, as far as they are sealed, with the first line that shows it.

    `trouble` is called with the error of a shape that cannot be read.
    """
    for day in figures:
        folder = storage if day_of(storage.resolve()) else storage / day.day
        for stem in shape_stems(folder, day.feed) if day.sealed else ():
            try:
                found = drifts_of(folder, stem)
            except DataError as error:
                trouble(error)
                continue
            for drift in found[:_MOST]:
                yield f"{day.day} {stem}: {drift}; line {drift.line:,}"
            if more := len(found[_MOST:]):
                yield f"{day.day} {stem}: and {more:,} more changes"
