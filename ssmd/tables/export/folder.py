"""An export into a folder. Files are made below `_ssmd`, in the same file system, synced, and then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ssmd.errors import OutputError, WriteError
from ssmd.store.durable import make_directory, sync_directory, write_durably
from ssmd.store.locks import try_lock
from ssmd.tables.export.receipt import FOLDER

__all__ = ["FolderTarget"]


class FolderTarget:
    """Keeps the Target contract of target.py. Raises OutputError, WriteError."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sizes(self, prefix: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for folder, _, names in os.walk(self._root / prefix, onerror=_raise):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):  # Another export may replace it at this moment.
                    found[path.relative_to(self._root).as_posix()] = path.stat().st_size
        return found

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror}") from None

    @contextlib.contextmanager
    def work(self, day: str, label: str) -> Iterator[Path | None]:
        folder = self._root / FOLDER / day / f"{label}.new"
        lock = folder.with_suffix(".lock")
        try:
            make_directory(folder.parent)
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(f"{error.filename or folder}: {error.strerror}") from None
        try:
            if not try_lock(fd, lock):
                yield None
                return
            shutil.rmtree(folder, ignore_errors=True)  # A run that was killed may have left it.
            try:
                folder.mkdir()
            except OSError as error:
                raise OutputError(f"{folder}: {error.strerror}") from None
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                lock.unlink(missing_ok=True)
        finally:
            os.close(fd)

    def put(self, path: Path, name: str) -> None:
        target = self._root / name
        try:
            make_directory(target.parent)
            os.replace(path, target)
            sync_directory(target.parent)
        except OSError as error:
            raise WriteError(f"{target}: {error.strerror}") from None

    def write(self, name: str, data: bytes) -> None:
        path = self._root / name
        try:
            make_directory(path.parent)
        except OSError as error:
            raise OutputError(f"{path.parent}: {error.strerror}") from None
        write_durably(path, data)

    def remove(self, name: str) -> None:
        path = self._root / name
        try:
            path.unlink(missing_ok=True)
            if path.parent.exists():
                sync_directory(path.parent)
        except OSError as error:
            raise WriteError(f"{path}: {error.strerror}") from None


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise OutputError(f"{error.filename}: cannot be read: {error.strerror}")
