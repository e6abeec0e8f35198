"""Where an export goes: a folder, or a bucket. A file appears there whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

__all__ = ["Target"]


class Target(Protocol):
    """Names are paths below the target, with `/` between their parts. It can be pickled."""

    def sizes(self, prefix: str) -> Mapping[str, int]:
        """Return the size in bytes of each file whose name begins with `prefix`, which ends in `/`."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None when there is no such file."""

    def work(self, day: str, label: str) -> AbstractContextManager[Path | None]:
        """Yield an empty folder for the files of a day, which is removed at the end with all that is still in it.

        Yield None when another process is exporting the same. `label`: what is exported of the day.
        """

    def put(self, path: Path, name: str) -> None:
        """Move a file that is whole and synced from the folder of work() to its name. It replaces what is there."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small file. It replaces what is there."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
