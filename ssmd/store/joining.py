"""Puts lines before those that a day has: its data and its ledger are replaced together.

Both are first written under other names. They count from the moment at which the data is renamed. After a kill before
that moment, finish_join() removes them; after a kill later than that, it completes the replacement.
"""

from __future__ import annotations

import os
from pathlib import Path

from ssmd.errors import OutputError
from ssmd.store.durable import sync_directory, write_durably
from ssmd.store.head import split
from ssmd.store.layout import data_path, ledger_path, manifest_path, temporary
from ssmd.store.ledger import LOST, ROTATED, Entry, decode_entry, encode_entry

__all__ = ["commit_join", "finish_join", "joined_path", "merged_ledger"]


def joined_path(path: Path) -> Path:
    """Return the name that the new data, or the new ledger, has until it counts."""
    return temporary(path.with_name(f"{path.name}.joined"))


def commit_join(folder: Path, stem: str, ledger: bytes) -> None:
    """Let the new data, which is durable under its other name, and a new ledger count. The manifest goes.

    Raises OSError, OutputError, WriteError.
    """
    data = data_path(folder, stem)
    write_durably(joined_path(ledger_path(folder, stem)), ledger)
    sync_directory(folder)
    manifest_path(folder, stem).unlink(missing_ok=True)  # It would not be true any longer.
    os.rename(joined_path(data), data)
    sync_directory(folder)
    finish_join(folder, stem)


def finish_join(folder: Path, stem: str) -> None:
    """Complete or undo what was interrupted; to be called before a day's files are opened. Raises OSError."""
    data, ledger = joined_path(data_path(folder, stem)), ledger_path(folder, stem)
    if data.exists():
        joined_path(ledger).unlink(missing_ok=True)
        data.unlink()
    elif joined_path(ledger).exists():
        os.rename(joined_path(ledger), ledger)
        sync_directory(folder)


def merged_ledger(there: bytes, here: bytes, start: tuple[int, int], end: tuple[int, int], path: Path) -> bytes:
    """Return a ledger that goes on, after all entries of `there`, with those that only `here` has.

    `start`: the place in the data, in bytes and in lines, from which on the lines here are others or none. `end`: where
    that place is in the new data. `path`: of the data here. Raises OutputError for other entries about earlier lines.
    """
    if there.startswith(here):
        return there
    known = split(there) if there else []
    found = [there]
    for number, line in enumerate(split(here)):
        if number < len(known) and line == known[number] and len(found) == 1:
            continue
        entry = decode_entry(line)
        if (entry.offset, entry.line) < start:
            raise OutputError(
                f"{path}: its ledger and that of the bucket have different entries about the same lines: another "
                "collector uploads to the same place, or the files were replaced; move the wrong files away"
            )
        if entry.event != LOST:  # What it says was lost is there again.
            found.append(encode_entry(_moved(entry, end[0] - start[0], end[1] - start[1])))
    return b"".join(found)


def _moved(entry: Entry, offset: int, lines: int) -> Entry:
    """Return an entry at a later place. `rotated` counts all of the day; the other counts are of a run."""
    fields = dict(entry.fields)
    if entry.event == ROTATED:
        for name, more in (("lines", lines), ("bytes", offset)):
            if isinstance(count := fields.get(name), int):
                fields[name] = count + more
    return Entry(entry.ts_ns, entry.event, entry.offset + offset, entry.line + lines, fields)
