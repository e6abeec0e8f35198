"""Restores and seals days that are over and of which the bucket has lines that this host does not have.

There are two cases. A host was lost before a day was sealed: then the bucket has only its segments. Or a run could not
ask the bucket, and began without the lines that the bucket has: then the two parts are put together.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from ssmd.bucket.client import Bucket
from ssmd.bucket.restore import Restored, restore, unfinished_days
from ssmd.errors import DataError, OutputError
from ssmd.proof.seal import seal
from ssmd.reading.blocks import LineBlocks
from ssmd.store.durable import open_new, sync_directory
from ssmd.store.inventory import data_files, other_forms
from ssmd.store.layout import data_path, ledger_path, manifest_path, temporary
from ssmd.store.ledger import APART
from ssmd.store.ledger_file import readable_entries
from ssmd.store.locks import held

__all__ = ["lost_days", "put_together"]

_log = logging.getLogger("ssmd.ship")


def lost_days(bucket: Bucket, storage: Path, stem: str, today: str) -> list[str]:
    """Return the days before today that are not here at all, and not complete in the bucket, oldest first."""
    paths = {day: data_path(storage / day, stem) for day in unfinished_days(bucket, stem) if day < today}
    return [day for day, path in paths.items() if not (path.exists() or other_forms(path))]


def put_together(bucket: Bucket, folder: Path, stem: str, now_ns: int) -> bool:
    """Bring lines that only the bucket has of a day that is over, and seal it anew; return whether there were any.

    Raises DataError, also where the two differ, WriteError, and what the bucket raises.
    """
    path = data_path(folder, stem)
    if not path.exists() and any(entry.event == APART for entry in readable_entries(ledger_path(folder, stem))):
        _unpack(path)
    with held(path) as ours:
        if path.exists() and not ours:
            return False  # It is being sealed; the next round finds it as it is then.
        try:
            done = restore(bucket, folder, stem, now_ns)
        except OutputError as error:
            raise DataError(str(error)) from None
    if done == Restored():
        return False
    extra = {"day": folder.name, "stem": stem, "lines": done.lines, "joined": done.joined}
    _log.warning("the bucket had lines of a day that this host did not have; they were restored", extra=extra)
    manifest_path(folder, stem).unlink(missing_ok=True)
    for file in data_files([folder]):
        if file.stem == stem:
            seal(file, now_ns)
    return True


def _unpack(path: Path) -> None:
    """Make the plain file of a day that was compacted already, and remove the compacted one. Raises OutputError."""
    for other in other_forms(path):
        new = temporary(path)
        with open_new(new) as file:
            for block in LineBlocks(other.path):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
        sync_directory(path.parent)
        if other.path.is_dir():
            shutil.rmtree(other.path)
        else:
            other.path.unlink()
        return
