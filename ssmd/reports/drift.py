"""What has changed in the shape of messages on the days of a report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ssmd.errors import DataError, SsmdError, printable
from ssmd.exchange.topics import PRIVATE, topic_of
from ssmd.proof.day_shape import drifts_of
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.messages import payloads
from ssmd.reports.figures import Figures
from ssmd.shape.drift import Drift
from ssmd.shape.file import read_shape, shape_stems
from ssmd.store.head import split
from ssmd.store.layout import data_path, day_of, shape_path
from ssmd.store.on_demand import is_on_demand

__all__ = ["drift_lines"]

_MOST = 20
"""How many changes of a day are listed."""


def drift_lines(storage: Path, figures: Sequence[Figures], trouble: Callable[[DataError], None]) -> Iterator[str]:
    """Yield a line for each change on the days, as far as they are sealed, with the first message that shows it.

    `trouble` is called with the error of a shape that cannot be read.
    """
    for day in figures:
        folder = storage if day_of(storage.resolve()) else storage / day.day
        for stem in shape_stems(folder, day.feed) if day.sealed else ():
            try:
                found = drifts_of(folder, stem)
                public = _public(folder, stem, found[:_MOST])
            except DataError as error:
                trouble(error)
                continue
            messages = _messages(data_path(folder, stem), {drift.line for drift in public})
            for drift in found[:_MOST]:
                message = messages.get(drift.line, "") if drift in public else ""
                yield f"{day.day} {stem}: {drift}; line {drift.line:,}" + (f": {message}" if message else "")
            if more := len(found[_MOST:]):
                yield f"{day.day} {stem}: and {more:,} more changes"


def _public(folder: Path, stem: str, found: Sequence[Drift]) -> Collection[Drift]:
    """Return those whose messages are not private to an account: a report may be passed on. Raises DataError."""
    shape = read_shape(shape_path(folder, stem)) if found else None
    exchanges = shape.exchanges if shape is not None and shape.exchanges else [""]  # Then nobody knows the dialect.
    return [one for one in found if not any(topic_of(name, one.type).section == PRIVATE for name in exchanges)]


def _messages(path: Path, lines: Collection[int]) -> dict[int, str]:
    """Return the beginnings of the messages with these numbers, from 1, as far as they can be read.

    Nothing is fetched for them from a bucket: that could be a whole day.
    """
    found: dict[int, str] = {}
    wanted, before = sorted(lines, reverse=True), 0
    if not wanted or is_on_demand(path):
        return found
    with suppress(SsmdError, OSError, ValueError):
        for block in LineBlocks(path):
            count = block.count(b"\n")
            while wanted and wanted[-1] <= before + count:
                number = wanted.pop()
                [message] = payloads([split(block)[number - before - 1]])
                found[number] = printable(message)
            if not wanted:
                break
            before += count
    return found
