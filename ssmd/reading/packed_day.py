"""The lines of a day in a compressed form, which is whole and durable."""

from __future__ import annotations

from pathlib import Path

from ssmd.errors import DataError
from ssmd.reading.blocks import LineBlocks
from ssmd.store.head import TS
from ssmd.store.inventory import bytes_on_disk, in_any_form, looking
from ssmd.store.layout import data_path, manifest_path
from ssmd.store.manifest_file import read_manifest

__all__ = ["PackedDay", "lines_bytes"]


def lines_bytes(path: Path, stem: str) -> int | None:
    """Return how many bytes of lines the manifest says that a day has, whose data is in `path`; None without one."""
    try:
        manifest = read_manifest(manifest_path(path.parent, stem))
    except DataError:
        return None
    return manifest.bytes if manifest is not None else None


class PackedDay:
    """Keeps the DaySource contract of reading/day_source.py. It is read from its beginning whatever is wanted of it."""

    def __init__(self, path: Path, stem: str) -> None:
        self.path = path
        self._stem = stem
        self._plain = data_path(path.parent, stem)
        self._rewind()

    def _rewind(self) -> None:
        self._file = LineBlocks(self.path)
        self._blocks = iter(self._file)
        self._block = b""
        self._start = self._lines = 0
        """Where the block begins, in bytes and in lines."""

    def read(self, offset: int, most: int) -> bytes:
        if offset < self._start:
            self._rewind()
        while self._start + len(self._block) <= offset:
            if not self._next():
                return b""
        return self._block[offset - self._start :]

    def _next(self) -> bool:
        """Go on to the next block; return False, and stay, at the end."""
        block = next(self._blocks, b"")
        if block:
            self._start += len(self._block)
            self._lines += self._block.count(b"\n")
            self._block = block
        return bool(block)

    def look(self) -> bool:
        return False

    def sync(self) -> None:
        pass

    def end(self) -> int:
        while self._next():
            pass
        return self._start + len(self._block)

    def peek(self, offset: int) -> bytes:
        return self.read(offset, 1)[: TS.stop]

    def bytes_after(self, offset: int) -> int:
        end = lines_bytes(self.path, self._stem)
        if end is None:  # All that is known of the rest is how long it is compressed.
            with looking(self.path):
                end = self._start + len(self._block) + in_any_form(self.path, bytes_on_disk) - self._file.bytes_read
        return max(0, end - offset)

    def lines_before(self, offset: int, known: tuple[int, int]) -> int | None:
        if offset < self._start:
            self._rewind()
        while self._start + len(self._block) < offset:
            if not self._next():
                return None
        before = self._block[: offset - self._start]
        return self._lines + before.count(b"\n") if before.endswith(b"\n") or not offset else None

    def line_before(self, offset: int) -> bytes:
        self.lines_before(offset, (0, 0))
        before = self._block[: offset - self._start]
        return before[before.rfind(b"\n", 0, -1) + 1 :]

    def is_current(self) -> bool:
        # Somebody may unpack the day, so that a collector can go on with it. Until then the plain file is shorter.
        try:
            return self._plain.stat().st_size < self._start + len(self._block)
        except OSError:
            return True

    def close(self) -> None:
        pass
