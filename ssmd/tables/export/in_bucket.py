"""An export into a bucket. Files are made in a temporary folder here; an object appears there whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ssmd.bucket import open_bucket
from ssmd.bucket.address import Address
from ssmd.errors import OutputError

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["BucketTarget"]


class BucketTarget:
    """Keeps the Target contract of target.py. Raises OutputError, and what a Bucket raises.

    Two commands that export the same day at once do the same work twice: a bucket has no locks. Every object is put
    under the condition that none has its name, so neither of them overwrites what it does not know.
    """

    def __init__(self, address: str) -> None:
        self._address = Address.parse(address)

    def sizes(self, prefix: str) -> dict[str, int]:
        return {found.name: found.size for found in _bucket(self._address).list(prefix)}

    def read(self, name: str) -> bytes | None:
        bucket = _bucket(self._address)
        return bucket.get(name) if bucket.find(name) is not None else None

    @contextlib.contextmanager
    def work(self, day: str, label: str) -> Iterator[Path | None]:
        try:
            folder = tempfile.TemporaryDirectory(prefix=f"ssmd-export-{label}-")
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror}") from None
        with folder:
            yield Path(folder.name)

    def put(self, path: Path, name: str) -> None:
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._make_room(name, digest)
            _bucket(self._address).put_new(name, path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror}") from None

    def write(self, name: str, data: bytes) -> None:
        self._make_room(name, hashlib.sha256(data).hexdigest())
        _bucket(self._address).put_new(name, data)

    def _make_room(self, name: str, digest: str) -> None:
        """Remove an object that has another content."""
        bucket = _bucket(self._address)
        found = bucket.find(name)
        if found is not None and found.sha256 != digest:
            bucket.delete(name)

    def remove(self, name: str) -> None:
        _bucket(self._address).delete(name)


@functools.cache
def _bucket(address: Address) -> Bucket:
    """Return the client of this process: a target may be sent to another one, a client cannot."""
    return open_bucket(address)
