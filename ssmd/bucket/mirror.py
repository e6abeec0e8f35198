"""Shows a storage in a bucket as a folder: each file has its name and size, and gets its content when it is read.

The names come from one listing. A file whose content was not brought yet is a hole that nobody may read;
store/on_demand.py asks for the content when the file is opened. Only the content of one day is kept at a time, or, in a
cache, a given number of bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ssmd.bucket import open_bucket
from ssmd.bucket.address import Address
from ssmd.bucket.listing import Listing, LiveDay
from ssmd.errors import DataError, EngineAuthError, EngineError, EngineMismatch, UsageError, WriteError
from ssmd.store.durable import explain
from ssmd.store.layout import ledger_path, live_folder, temporary
from ssmd.store.on_demand import bring_with

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["Mirror"]

_HOLE = 0o000
"""The mode of a file without content."""
_CONTENT = 0o400
_AGAIN_SECONDS = (1.0, 3.0)
"""How long to wait after each failure but the last."""

Progress = Callable[[Path, int], None]
"""Called with the file that is brought, and with how many bytes came since the last call."""


@dataclass
class Mirror:
    """Can be pickled, to be used in other processes too.

    `keeps`: how many bytes of content one process keeps beside those of the day that it reads.
    """

    address: Address
    root: Path
    keeps: int = 0
    live: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    """Of files that are several objects here: their names."""
    modified: dict[Path, int] = field(default_factory=dict)
    """When the object was put, in seconds since the epoch: an object of another time is another one."""
    progress: Progress | None = None
    bucket: Bucket | None = None
    """The client; None for one that is made when it is needed, with the credentials that boto3 finds."""
    _kept: dict[Path, int] = field(default_factory=dict)
    """The sizes of files with content that this process has brought, the oldest first."""

    def __getstate__(self) -> Mapping[str, object]:
        return {**self.__dict__, "progress": None, "bucket": None, "_kept": {}}

    def use(self) -> None:
        """From now on, bring the content of what this process reads below the root."""
        bring_with(self.root, self.bring)

    def leave(self) -> None:
        """Bring nothing more."""
        bring_with(self.root, None)

    def close(self) -> None:
        """Bring nothing more, and close the client."""
        self.leave()
        if self.bucket is not None:
            self.bucket.close()
            self.bucket = None

    def lay_out(self, wanted: Callable[[str], bool], only: str | None = None) -> None:
        """List the bucket, and make the names of the days that are `wanted`; `only`: of this day alone.

        Raises EngineError, ConfigError, WriteError, UsageError when there is nothing of ssmd, and DataError for lines
        whose part of the ledger is not there.
        """
        bucket = self._open()
        found = list(bucket.list(f"{only}/" if only else ""))
        times = {one.name: one.modified for one in found}
        listing = Listing(found)
        if not listing.days():
            place = f"{self.address}/{only}" if only else str(self.address)
            raise UsageError(f"{place}: there is no data of ssmd in this bucket under this prefix")
        with _explained(self.root):
            for name, size in listing.files():
                if wanted(name[:10]):
                    self._add(self.root / name, size, times[name])
            for day, stem, parts in listing.live():
                if wanted(day):
                    self._add_live(self.root / day, stem, parts)

    def _add_live(self, folder: Path, stem: str, parts: LiveDay) -> None:
        """Make the files of a day that is in segments. Each is a frame of zstd, and several are a file of frames."""
        if parts.without_ledger:
            raise DataError(
                f"{self.address}/{parts.without_ledger[0]}: the part of the ledger for these lines is not there: "
                "somebody has removed it"
            )
        live_folder(folder, stem).mkdir(parents=True, exist_ok=True)
        data, ledger = folder / f"{stem}.jsonl.zst", ledger_path(folder, stem)
        self.live |= {data: parts.data, ledger: parts.ledger}
        self._add(data, parts.bytes, 0)
        self._add(ledger, 1, 0)  # Whatever size it has, it is not empty.

    def _add(self, path: Path, size: int, modified: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.modified[path] = modified
        if not _has_content(path, size, modified):
            _make_hole(path, size)

    def bring(self, path: Path) -> None:
        """Bring the content of a file, or of all files in a folder, which is not there yet.

        Raises EngineError, WriteError, OutputError. A path that is not there is left to the caller.
        """
        for one in _files(path):
            if (size := _hole(one)) is not None:
                self._make_room(one, size)
                with _explained(one):
                    self._fetch(one)
                self._kept[one] = one.stat().st_size
            elif one in self._kept:
                self._kept[one] = self._kept.pop(one)  # It is the newest now.

    def _fetch(self, path: Path) -> None:
        new = temporary(path).with_suffix(f".{os.getpid()}.new")
        names = self.live.get(path, (path.relative_to(self.root).as_posix(),))
        try:
            for wait in (*_AGAIN_SECONDS, None):
                try:
                    with open(new, "wb") as file:
                        for name in names:
                            for piece in self._open().read(name):
                                file.write(piece)
                                if self.progress is not None:
                                    self.progress(path, len(piece))
                    break
                except (EngineAuthError, EngineMismatch):
                    raise
                except EngineError:
                    if wait is None:
                        raise
                    time.sleep(wait)
            os.chmod(new, _CONTENT)
            os.utime(new, (time.time(), self.modified.get(path, 0)))
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)

    def _make_room(self, path: Path, size: int) -> None:
        """Drop content of other days, the oldest first, until there is room for a file of `size` bytes."""
        day = self._day(path)
        others = [one for one in self._kept if self._day(one) != day]
        while others and sum(self._kept.values()) + size > self.keeps:
            one = others.pop(0)
            _make_hole(one, self._kept.pop(one))

    def _day(self, path: Path) -> str:
        return path.relative_to(self.root).parts[0]

    def _open(self) -> Bucket:
        if self.bucket is None:
            self.bucket = open_bucket(self.address)
        return self.bucket


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (one for one in sorted(path.rglob("*")) if one.is_file())
    elif path.is_file():
        yield path


def _hole(path: Path) -> int | None:
    """Return the size of a file without content; None for one with content."""
    status = path.stat()
    return status.st_size if status.st_mode & 0o777 == _HOLE else None


def _has_content(path: Path, size: int, modified: int) -> bool:
    """Return whether a cache has the content of an object already."""
    try:
        status = path.stat()
    except OSError:
        return False
    same = (status.st_size, int(status.st_mtime)) == (size, modified)
    return same and status.st_mode & 0o777 == _CONTENT and modified != 0


def _make_hole(path: Path, size: int) -> None:
    """Make a file of so many bytes that has no content and takes no space. It replaces one of that name."""
    new = temporary(path)
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o200)
    try:
        os.ftruncate(fd, size)
        os.fchmod(fd, _HOLE)
    finally:
        os.close(fd)
    os.replace(new, path)


class _explained:
    """Turn an OSError into a WriteError with a remedy."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            remedy = "set TMPDIR, or --cache, to a folder with more room"
            raise WriteError(f"{error.filename or self._path}: {explain(error)}; {remedy}") from None
