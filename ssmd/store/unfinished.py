"""Files that have a temporary name until they are complete, and days whose import was killed before its end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ssmd.store.layout import data_path, forms_of, ledger_path, manifest_path, temporary
from ssmd.store.ledger import IMPORTED
from ssmd.store.ledger_file import readable_entries

__all__ = ["give_name", "is_unfinished_import"]

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""The errors of a file system without hard links."""


def give_name(path: Path) -> None:
    """Give the file temporary(path) its name, which must be free. Raises FileExistsError and OSError.

    The name is not durable before the folder is synced. A kill may leave the file with both names.
    """
    try:
        os.link(temporary(path), path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(temporary(path), path)
    else:
        temporary(path).unlink()


def is_unfinished_import(folder: Path, stem: str) -> bool:
    """Return whether an import ended between two steps: the ledger of the day has its name, and the data has not yet.

    The temporary file has all lines, but the day does not exist yet. Importing it again writes it anew.
    """
    if any(path.exists() for path in (*forms_of(folder, stem), manifest_path(folder, stem))):
        return False
    if not temporary(data_path(folder, stem)).exists():
        return False
    entries = readable_entries(ledger_path(folder, stem))
    first = next(iter(entries), None)
    return first is not None and first.event == IMPORTED
