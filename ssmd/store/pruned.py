"""The note that `ssmd prune` leaves in place of a day's data: where the complete copy is.

    {"pruned":"2026-02-08T00:17:00.000000Z","copy":"s3://market-data/prod","sha256":"9f86..."}

A day with this note and without data is not lost: it was removed here on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from ssmd.contracts.shard import Shard
from ssmd.errors import DataError, printable
from ssmd.store.durable import write_durably
from ssmd.store.file_kinds import PRUNED
from ssmd.store.inventory import day_folders, looking
from ssmd.store.layout import day_of, feed_and_shard, forms_of, pruned_path

__all__ = ["PrunedDay", "is_pruned", "pruned_data", "read_pruned", "write_pruned"]


class PrunedDay(msgspec.Struct, frozen=True):
    """What the note says."""

    pruned: str
    """When, as in the ledger."""
    copy: str
    """The storage that has the data: `s3://bucket/prefix`."""
    sha256: str
    """Of the day's lines, as the manifest has it."""


def is_pruned(folder: Path, stem: str) -> bool:
    """Return whether a day has no data here because it was pruned. Data that was put back counts as any other."""
    return pruned_path(folder, stem).exists() and not any(path.exists() for path in forms_of(folder, stem))


def read_pruned(folder: Path, stem: str) -> PrunedDay | None:
    """Return the note of a day that has no data here; None without a note. Raises DataError when it cannot be read."""
    if not is_pruned(folder, stem):
        return None
    path = pruned_path(folder, stem)
    try:
        return msgspec.json.decode(path.read_bytes(), type=PrunedDay)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: cannot be read: it {error}") from None


def write_pruned(folder: Path, stem: str, note: PrunedDay) -> None:
    """Write the note, durably. Raises OutputError, WriteError."""
    write_durably(pruned_path(folder, stem), msgspec.json.encode(note) + b"\n")


def pruned_data(
    paths: Iterable[Path],
    feed: str | None = None,
    shard: Shard | None = None,
    wanted: Callable[[str], bool] = lambda day: True,
) -> Iterator[str]:
    """Yield a sentence for each feed or shard whose data was pruned in storage folders, or folders of one day.

    `feed`, `shard`: only this one. `wanted`: whether a day counts. Raises DataError for what cannot be read.
    """
    for path in paths:
        found: dict[tuple[str, str], list[str]] = {}
        with looking(path):
            for folder in _folders(path):
                for note in sorted(folder.glob(f"*{PRUNED}")):
                    stem = note.name.removesuffix(PRUNED)
                    if _is_asked(stem, feed, shard) and wanted(folder.name) and (one := read_pruned(folder, stem)):
                        found.setdefault((stem, one.copy), []).append(folder.name)
        for (stem, copy), days in found.items():
            when = days[0] if len(days) == 1 else f"{len(days):,} days from {days[0]} to {days[-1]}"
            shown = printable(copy)
            yield f"{path}: {stem} on {when} is not here: `ssmd prune` has removed it, and {shown} has it"


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return [path] if day_of(path.resolve()) is not None else day_folders(path)


def _is_asked(stem: str, feed: str | None, shard: Shard | None) -> bool:
    named = feed_and_shard(stem)
    return named is not None and feed in (None, named[0]) and shard in (None, named[1])
