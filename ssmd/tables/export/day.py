"""Exports one day: its files first, its receipt last."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ssmd import __version__
from ssmd.tables.export.layout import Layout
from ssmd.tables.export.lines import DayLines
from ssmd.tables.export.plan import Job
from ssmd.tables.export.receipt import (
    FORMAT,
    File,
    Made,
    Receipt,
    Source,
    begun_name,
    encode_receipt,
    receipt_name,
)
from ssmd.tables.export.target import Target

__all__ = ["Exported", "export_day"]


class Exported(NamedTuple):
    """The day is in the target now."""

    lines: int
    """How many lines were read."""
    source_bytes: int
    files: int
    bytes: int
    """How long these files are together."""
    again: bool
    """They replace what was there."""


def export_day(job: Job, target: Target, layout: Layout, progress: Callable[[int], None]) -> Exported | None:
    """Export a day; return None when another process is exporting it. Raises what Target, Layout and DayLines raise.

    After an error, or a kill, there may be some of the new files, each of them whole, and the receipt is missing.
    """
    file = job.file
    with target.work(file.day, f"{file.stem}.{layout.name}") as work:
        if work is None:
            return None
        lines = DayLines(file, progress)
        made = layout.make(lines, work, job.types)
        source = lines.source()
        files = [File(one.name, one.type, one.rows, one.path.stat().st_size) for one in made]
        _put(job, target, layout, made, _receipt(job, layout, source, files))
    return Exported(source.lines, source.bytes, len(files), sum(one.bytes for one in files), job.old is not None)


def _put(job: Job, target: Target, layout: Layout, made: list[Made], receipt: Receipt) -> None:
    place = job.file.day, job.file.stem, layout.name
    name, begun = receipt_name(*place), begun_name(*place)
    if job.kept is None:
        target.write(begun, b"{}\n")
        if job.present:
            target.remove(name)  # What is there is about to change, so nothing must say that it is complete.
    for one in made:
        target.put(one.path, one.name)
    for stale in _stale(job, receipt):
        target.remove(stale)
    target.write(name, encode_receipt(receipt))
    if job.kept is None:
        target.remove(begun)


def _receipt(job: Job, layout: Layout, source: Source, files: list[File]) -> Receipt:
    kept, types = job.kept, job.types
    if kept is not None:
        new = {file.name for file in files}
        files = [*files, *(file for file in kept.files if file.name not in new)]
        types = None if types is None or kept.types is None else types | set(kept.types)
    return Receipt(
        format=FORMAT,
        layout=layout.name,
        day=job.file.day,
        feed=job.file.feed,
        shard=job.file.shard.label,
        source=source,
        types=None if types is None else sorted(types),
        exported_by=__version__,
        files=sorted(files, key=lambda file: file.name),
    )


def _stale(job: Job, receipt: Receipt) -> list[str]:
    """Return the names of the day's files that are no longer right."""
    right = {file.name for file in receipt.files}
    known = set(job.present) if receipt.types is None else set()
    known |= {file.name for file in job.old.files} if job.old is not None else set()
    return sorted(known - right)
