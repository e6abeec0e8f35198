"""Uploads one sealed day: its data, its ledger and what was torn off them, and the manifest last.

Where the manifest is in the bucket, the day there is complete, and equal to what the manifest says. Killed before that,
nothing in the bucket looks complete, and the next run goes on: what is there already is compared, and not sent again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ssmd.bucket.address import day_key
from ssmd.bucket.client import Bucket
from ssmd.bucket.objects import ObjectDiffers
from ssmd.errors import DataError, WriteError
from ssmd.shipping.s3.packing import Packing, require_lines
from ssmd.store.durable import explain, remove
from ssmd.store.file_kinds import DAY_FILES, MANIFEST
from ssmd.store.layout import FORMS, manifest_path
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_formats import decode_manifest

__all__ = ["SealedDay"]

_log = logging.getLogger("ssmd.ship")


class SealedDay:
    """One day of one feed or shard, whose manifest is there."""

    def __init__(self, bucket: Bucket, folder: Path, stem: str, packing: Packing) -> None:
        self._bucket = bucket
        self._folder = folder
        self._stem = stem
        self._packing = packing
        self._manifest_path = manifest_path(folder, stem)
        try:
            self._content = self._manifest_path.read_bytes()
            self.manifest: Manifest = decode_manifest(self._content)
        except OSError as error:
            raise DataError(f"{self._manifest_path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise DataError(f"{self._manifest_path}: cannot be read: it {error}") from None

    @property
    def _manifest_key(self) -> str:
        return day_key(self._folder.name, self._manifest_path.name)

    def is_complete(self) -> bool:
        """Return whether the bucket has the whole day. Raises ObjectDiffers when it has another one."""
        if self._bucket.find(self._manifest_key) is None:
            return False
        self._bucket.require_same(self._manifest_key, len(self._content), hashlib.sha256(self._content).hexdigest())
        return True

    def upload(self) -> bool:
        """Upload what the bucket does not have yet; return False when the day is no longer sealed, or was compacted
        meanwhile.

        Raises ObjectDiffers where it has something else, DataError for data that does not match the manifest, or that
        cannot be read, and what the bucket raises.
        """
        try:
            self._put_files()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
        if not self._is_unchanged():
            return False
        self._bucket.put_new(self._manifest_key, self._content)
        _log.info("day uploaded", extra={"day": self._folder.name, "stem": self._stem, "lines": self.manifest.lines})
        return True

    def _put_files(self) -> None:
        """Put all but the manifest."""
        with self._packing.of(self._folder, self._stem, self.manifest) as packed:
            self._require_no_others(self._put_data(packed))
        for kind in DAY_FILES:
            path = self._folder / f"{self._stem}{kind.suffix}"
            if kind.uploaded and not kind.pruned and kind.suffix != MANIFEST and path.exists():
                self._bucket.put_new(day_key(self._folder.name, path.name), path)

    def _is_unchanged(self) -> bool:
        """Return whether the manifest still says the same. A collector whose clock went back may have removed it."""
        try:
            return self._manifest_path.read_bytes() == self._content
        except OSError:
            return False

    def _put_data(self, packed: Path) -> set[str]:
        """Put the objects of the day's data, and return their names. Other objects that are there already are right too
        when they have the same lines: another version of a library may have made them.
        """
        name = f"{self._stem}.{self._packing.form}"
        paths = sorted(path for path in packed.rglob("*") if path.is_file()) if packed.is_dir() else [packed]
        inside = {path: path.relative_to(packed).as_posix() for path in paths}
        names = {
            day_key(self._folder.name, name if path == packed else f"{name}/{inside[path]}"): path for path in paths
        }
        try:
            for key, path in names.items():
                self._bucket.put_new(key, path)
        except ObjectDiffers:
            if not self._has_lines(name):
                raise
            return set(self._objects(name))
        return set(names)

    def _require_no_others(self, names: set[str]) -> None:
        """Raise ObjectDiffers when the bucket has other objects of the day's data, and they are not the same lines: an
        upload that was killed may have left them, before the day or the format of the storage was changed. Readers
        would take them for a part of the day.
        """
        for form in FORMS:
            others = [found for found in self._objects(f"{self._stem}.{form}") if found not in names]
            if others and not self._has_lines(f"{self._stem}.{form}"):
                raise ObjectDiffers(
                    f"{self._bucket.address}/{others[0]}: is not a part of the day as it is here, and readers would "
                    "take it for one; move it away"
                )

    def _objects(self, name: str) -> Iterator[str]:
        """Yield the names of the objects of a data file, or of the files in a folder, that are there."""
        key = day_key(self._folder.name, name)
        return (found.name for found in self._bucket.list(key) if found.name == key or found.name.startswith(f"{key}/"))

    def _has_lines(self, name: str) -> bool:
        """Return whether the day is there already, in other objects that hold the same lines."""
        copy = self._packing.scratch.with_name(f"{self._packing.scratch.name}.copy") / name
        key = day_key(self._folder.name, name)
        try:
            for found in list(self._objects(name)):
                target = copy if found == key else copy / found.removeprefix(f"{key}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                self._bucket.download(found, target)
            require_lines(copy, self.manifest)
            return True
        except DataError:
            return False
        except OSError as error:
            raise WriteError(f"{copy}: {explain(error)}") from None
        finally:
            with suppress(OSError):
                remove(copy.parent)
