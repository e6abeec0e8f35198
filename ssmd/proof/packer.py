"""The contract of what packs a sealed day into another form, and the proof that a form has the manifest's lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from ssmd.errors import DataError
from ssmd.parquet.checksum import problems_in
from ssmd.reading.blocks import LineBlocks
from ssmd.store.layout import DayFile
from ssmd.store.manifest import Manifest

__all__ = ["Packer", "Progress", "proved"]

Progress = Callable[[float], None]
"""Called with how many bytes are done since the last time."""


class Packer(Protocol):
    """Writes the data of a day in one form. It can be pickled."""

    @property
    def form(self) -> str:
        """One of FORMS."""

    @property
    def passes(self) -> int:
        """How often it reads the day."""

    def pack(self, file: DayFile, new: Path, manifest: Manifest, progress: Progress) -> None:
        """Write all lines of a file to `new`, a file or a folder, which replaces what an earlier run has left there.

        The caller proves it and makes it durable. `progress` is called with bytes of lines. Raises OutputError,
        DataError for a file that does not match its manifest or cannot be read, and OSError when something cannot be
        written.
        """


def proved(path: Path, manifest: Manifest, progress: Progress, form: str | None = None) -> Iterator[bytes]:
    """Yield the lines of a day in blocks, as every other reader of ssmd reads them.

    Raises DataError for what cannot be read, for a file in Parquet in which any byte has changed, and, after the last
    line, when the lines do not match the manifest. `form`: that of a file whose name does not say it yet.
    """
    for problem in problems_in(path) if path.is_dir() else ():
        raise DataError(f"{path}/{problem}; nothing is removed")
    digest = hashlib.sha256()
    size = 0
    blocks = LineBlocks(path, form=form)
    for block in blocks:
        digest.update(block)
        size += len(block)
        yield block
        progress(len(block))
    if (size, digest.hexdigest(), blocks.torn) != (manifest.bytes, manifest.sha256, b""):
        raise DataError(f"{path}: does not match its manifest; nothing is removed. `ssmd verify` reports the details")
