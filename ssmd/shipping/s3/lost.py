"""Restores and seals days that are over and of which the bucket has lines that this host does not have.

There are two cases. A host was lost before a day was sealed: then the bucket has only its segments. Or a run could not
ask the bucket, and began without the lines that the bucket has: then the two parts are put together.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ssmd.bucket.client import Bucket
from ssmd.bucket.restore import Restored, restore, unfinished_days
from ssmd.errors import DataError, OutputError, WriteError
from ssmd.proof.seal import seal
from ssmd.reading.blocks import LineBlocks
from ssmd.shipping.s3.cleanup import has_segments
from ssmd.shipping.s3.packing import require_lines
from ssmd.store.durable import explain, open_new, remove, sync_directory, sync_tree
from ssmd.store.inventory import data_files, other_forms
from ssmd.store.layout import FORMS, DayFile, data_path, manifest_path, temporary
from ssmd.store.locks import held
from ssmd.store.manifest_file import read_manifest

__all__ = ["lost_days", "put_together"]

_log = logging.getLogger("ssmd.ship")


def lost_days(bucket: Bucket, storage: Path, stem: str, today: str) -> list[str]:
    """Return the days before today that are not here at all, and not complete in the bucket, oldest first."""
    paths = {day: data_path(storage / day, stem) for day in unfinished_days(bucket, stem) if day < today}
    return [day for day, path in paths.items() if not (path.exists() or other_forms(path))]


def put_together(bucket: Bucket, folder: Path, stem: str, now_ns: int) -> bool:
    """Bring lines that only the bucket has of a day that is over, and seal it anew.

    Return False when another command is working on the day: then nobody knows whether all lines are here, and this has
    to be called again.

    Raises DataError, also where the two differ, WriteError, and what the bucket raises.
    """
    path = data_path(folder, stem)
    if packed := other_forms(path):
        if has_segments(bucket, folder, stem, path if path.exists() else packed[0].path):
            return True
        if not _unpack(path, stem, packed):
            return False
    with held(path) as ours:
        if path.exists() and not ours:
            return False
        try:
            done = restore(bucket, folder, stem, now_ns)
        except OutputError as error:
            raise DataError(str(error)) from None
    if done != Restored():
        extra = {"day": folder.name, "stem": stem, "lines": done.lines, "joined": done.joined}
        _log.warning("the bucket had lines of a day that this host did not have; they were restored", extra=extra)
        for file in data_files([folder]):
            if file.stem == stem:
                seal(file, now_ns)
    return True


def _unpack(path: Path, stem: str, packed: Sequence[DayFile]) -> bool:
    """Make the plain file of a day that was compacted already, and remove the compacted ones once it is proved. Return
    False when another command is working on them. A kill leaves both, and the next call removes the compacted ones.

    Raises DataError, OutputError, WriteError.
    """
    manifest = read_manifest(manifest_path(path.parent, stem))
    new = temporary(path)
    with contextlib.ExitStack() as locks:
        if manifest is None or not all(locks.enter_context(held(one.path)) for one in packed):
            return False
        try:
            if not path.exists():
                with open_new(new) as file:
                    for block in LineBlocks(packed[0].path):
                        file.write(block)
                sync_tree(new)
                require_lines(new, manifest, FORMS[0])
                os.rename(new, path)
                sync_directory(path.parent)
            else:
                require_lines(path, manifest)
            for one in packed:
                remove(one.path)
            sync_directory(path.parent)
            return True
        except OSError as error:
            raise WriteError(f"{error.filename or path}: {explain(error)}") from None
        finally:
            with contextlib.suppress(OSError):
                remove(new)
