"""Makes the objects of a sealed day's data, without changing anything in the storage folder's days."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ssmd.errors import DataError, OutputError, WriteError
from ssmd.proof.packer import Packer, proved
from ssmd.store.durable import explain, remove
from ssmd.store.inventory import data_files, other_forms
from ssmd.store.manifest import Manifest

__all__ = ["Packing", "require_lines"]


class Packing:
    """Makes objects in the format of the storage. `scratch`: a folder for temporary files, made and removed here."""

    def __init__(self, packer: Packer, scratch: Path) -> None:
        self._packer = packer
        self.scratch = scratch

    @property
    def form(self) -> str:
        return self._packer.form

    @contextlib.contextmanager
    def of(self, folder: Path, stem: str, manifest: Manifest) -> Iterator[Path]:
        """Yield the day in the right form: a file, or a folder of files. It is proved to hold the manifest's lines.

        Raises DataError for data that does not match the manifest or is not there, and OutputError and WriteError for
        the temporary files.
        """
        found = [file for file in data_files([folder]) if file.stem == stem]
        if not found:
            reason = "is missing, and the bucket does not have the day either; put it back"
            raise DataError(f"{folder / stem}.jsonl: {reason}")
        [file] = found
        forms = {one.form: one.path for one in (file, *other_forms(file.path))}
        if self.form in forms:
            require_lines(forms[self.form], manifest)
            yield forms[self.form]
            return
        try:
            remove(self.scratch)
            self.scratch.mkdir()
        except OSError as error:
            raise OutputError(f"{self.scratch}: {explain(error)}") from None
        try:
            packed = self.scratch / f"{stem}.{self.form}"
            try:
                self._packer.pack(file, packed, manifest, lambda done: None)
            except OSError as error:
                raise WriteError(f"{packed}: {explain(error)}") from None
            yield packed
        finally:
            with contextlib.suppress(OSError):
                remove(self.scratch)


def require_lines(path: Path, manifest: Manifest, form: str | None = None) -> None:
    """Raise DataError unless the lines of a day, in any form, are those of the manifest.

    `form`: that of a file whose name does not say it yet.
    """
    for _ in proved(path, manifest, lambda done: None, form):
        pass
