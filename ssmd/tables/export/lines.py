"""The lines of a day that is exported, counted and hashed as they pass, and proved against the day's manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from ssmd.errors import DataError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.ledger_parts import LedgerParts, Part, divided_by_part
from ssmd.store.layout import DayFile, ledger_path, manifest_path
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest
from ssmd.tables.export.receipt import Source

__all__ = ["DayLines"]


class DayLines:
    """The lines of one day, in blocks that each are of one connection and one dialect. Iterate only once.

    Raises DataError, naming the file, for what cannot be read and, at the end, when the lines of a sealed day do not
    agree with its manifest. `progress` is called with how many bytes of the file have been read.
    """

    def __init__(self, file: DayFile, progress: Callable[[int], None]) -> None:
        self.file = file
        self.manifest: Manifest | None = read_manifest(manifest_path(file.path.parent, file.stem))
        """None for a day that is not sealed."""
        self._ledger = LedgerParts(ledger_path(file.path.parent, file.stem))
        self._ledger.update()
        self._progress = progress
        self._looked = 0
        self._digest = hashlib.sha256()
        self._lines = self._bytes = 0

    def parts(self) -> Sequence[Part]:
        """Return what the ledger says about the day's connections; one part at least."""
        return self._ledger.all()

    def ahead(self) -> Iterator[tuple[bytes, Part]]:
        """Yield the same blocks, before the lines are taken: for what has to be known of all of them first."""
        blocks = LineBlocks(self.file.path)
        for piece in divided_by_part(blocks, self._ledger):
            yield piece
            self._looked = blocks.bytes_read
            self._progress(self._looked // 2)

    def __iter__(self) -> Iterator[tuple[bytes, Part]]:
        yield from divided_by_part(self._blocks(), self._ledger)
        found, sealed = self.source(), self.manifest
        if sealed is not None and (found.bytes, found.sha256) != (sealed.bytes, sealed.sha256):
            raise DataError(
                f"{self.file.path}: does not match its manifest, so it is not exported. `ssmd verify` reports the "
                "details"
            )

    def _blocks(self) -> Iterator[bytes]:
        blocks = LineBlocks(self.file.path)
        for block in blocks:
            self._digest.update(block)
            self._lines += block.count(b"\n")
            self._bytes += len(block)
            yield block
            read = blocks.bytes_read
            self._progress((self._looked + read) // 2 if self._looked else read)

    def source(self) -> Source:
        """Return what the lines were, after the last one."""
        return Source(self.manifest is not None, self._lines, self._bytes, self._digest.hexdigest())
