"""The SHA-256 of a part, which is in its own metadata: it shows a change of any byte, also of those that no line needs.

While it is computed, 64 zeros are in its place. It is written when the rest of the file is.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ssmd.errors import DataError
from ssmd.parquet import form
from ssmd.store.on_demand import present

__all__ = ["NAME", "UNSIGNED", "problems_in", "sign"]

NAME = "file_sha256"
"""The name of the entry, without the prefix of all names."""
UNSIGNED = "0" * 64
"""Its value until the file is signed."""

_CHUNK = 1024 * 1024
_TRAILER = struct.Struct("<i4s")
"""How a file ends: the length of the footer, and a magic word (https://parquet.apache.org/docs/file-format/)."""
_ENTRY = re.compile(re.escape(f"{form.PREFIX}{NAME}".encode()) + rb'.{2,4}"([0-9a-f]{64})"', re.DOTALL)
"""The entry in the footer: its name, the beginning of a Thrift string, and the value, which is JSON."""


def sign(file: BinaryIO) -> None:
    """Write the checksum into a part that is complete. Raises OSError, and ValueError when it has no place for it."""
    file.flush()
    place = _place(file)
    if place is None:
        raise ValueError("the part has no place for its checksum")
    os.pwrite(file.fileno(), _digest(file, place).encode(), place)


def problems_in(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a day, apart from those that are missing, beginning with the file's name.

    Raises DataError for one that cannot be read.
    """
    path = present(folder)
    try:
        for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
            name = path.relative_to(folder).as_posix()
            if path.parent.parent != folder or path.name != form.PART:
                yield f"{name} is no file of ssmd, so move it away"
            elif not _is_unchanged(path):
                yield f"{name} is not as ssmd wrote it: its bytes have changed"
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read: {error.strerror}") from None


def _is_unchanged(path: Path) -> bool:
    with open(path, "rb") as file:
        place = _place(file)
        return place is not None and os.pread(file.fileno(), 64, place) == _digest(file, place).encode()


def _place(file: BinaryIO) -> int | None:
    """Return where the checksum is; None in a file that has none."""
    size = file.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        return None
    length, _ = _TRAILER.unpack(os.pread(file.fileno(), _TRAILER.size, size - _TRAILER.size))
    begin = size - _TRAILER.size - length
    if length < 0 or begin < 0:
        return None
    found = _ENTRY.search(os.pread(file.fileno(), length, begin))
    return begin + found.start(1) if found is not None else None


def _digest(file: BinaryIO, place: int) -> str:
    """Return the checksum of a file, with zeros in the place of it."""
    digest = hashlib.sha256()
    at = 0
    while data := os.pread(file.fileno(), _CHUNK, at):
        first, last = max(0, place - at), max(0, min(len(data), place + 64 - at))
        if first < last:
            data = data[:first] + b"0" * (last - first) + data[last:]
        digest.update(data)
        at += len(data)
    return digest.hexdigest()
