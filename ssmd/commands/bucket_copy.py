"""Finds out for `ssmd prune` whether a bucket has all of a day."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ssmd.bucket.mirror import Mirror
from ssmd.commands.caches import temporary_folder
from ssmd.errors import DataError, EngineMismatch, UsageError
from ssmd.proof.packer import proved
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile, ledger_path, manifest_path
from ssmd.store.manifest import Manifest
from ssmd.store.on_demand import present

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["BucketCopy"]


class BucketCopy:
    """Keeps the Copy contract of proof/prune.py. The bucket is asked for the checksums of ledger and manifest; the
    lines are read back, because this may be the only other copy.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.name = str(bucket.address)

    def lack(self, file: DayFile, manifest: Manifest) -> str:
        folder = file.path.parent
        for path in (manifest_path(folder, file.stem), ledger_path(folder, file.stem)):
            if reason := self._lack_of(path, f"{file.day}/{path.name}"):
                return reason
        with temporary_folder() as root:
            mirror = Mirror(self._bucket.address, root, bucket=self._bucket)
            mirror.use()
            try:
                return self._lack_of_lines(mirror, file, manifest)
            finally:
                mirror.leave()

    def _lack_of(self, path: Path, name: str) -> str:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read, so nothing is removed: {error.strerror}") from None
        if self._bucket.find(name) is None:
            return f"is not complete in {self.name}: {path.name} is missing"
        try:
            self._bucket.require_same(name, len(content), hashlib.sha256(content).hexdigest())
        except EngineMismatch:
            return f"is another day in {self.name}: {path.name} differs"
        return ""

    def _lack_of_lines(self, mirror: Mirror, file: DayFile, manifest: Manifest) -> str:
        try:
            mirror.lay_out(lambda day: True, file.day)
            there = [found.path for found in data_files([mirror.root / file.day]) if found.stem == file.stem]
            if not there:
                return f"is not complete in {self.name}: its data is missing"
            for _ in proved(present(there[0]), manifest, lambda done: None):
                pass
        except (UsageError, DataError):
            return f"has other lines in {self.name}, or they cannot be read back"
        return ""
