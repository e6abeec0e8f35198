"""Repair of a file whose writer was killed, or lost its power, in the middle of a line."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

from ssmd.envelope import LONGEST_LINE, decode_line
from ssmd.errors import OutputError
from ssmd.writer.disk import sync_directory

__all__ = ["set_torn_tail_aside"]

_CHUNK = 1024 * 1024


def set_torn_tail_aside(path: Path, decode: Callable[[bytes], object] = decode_line) -> int:
    """Move everything after the last whole line of `path` to `<path>.torn`; return how many bytes.

    A kill leaves part of a line. Power loss can also leave a run of NUL bytes, even with a newline behind
    it. The sidecar is durable before the file is cut, so no byte is lost wherever this is interrupted; it
    may then hold them twice. `decode` raises ValueError for what is no line. Raises OSError, and OutputError
    for a file that ssmd has not begun.
    """
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        _require_own(path, os.pread(file.fileno(), 7, 0))
        whole = _end_of_last_whole_line(file.fileno(), size, decode)
        if whole == size:
            return 0
        sidecar = path.with_name(path.name + ".torn")
        # Without a buffer: after a failed write nothing must be left in it, to be written when the file is closed.
        with open(sidecar, "ab", buffering=0) as aside:
            before = aside.tell()
            try:
                file.seek(whole)
                while chunk := file.read(_CHUNK):
                    _write(aside, chunk)
                _write(aside, b"\n")  # The next incident begins on a line of its own.
                os.fsync(aside.fileno())
            except OSError:
                os.ftruncate(aside.fileno(), before)  # On a full disk each start would add a part of it again.
                raise
        sync_directory(path.parent)
        file.truncate(whole)
        os.fsync(file.fileno())
    return size - whole


def _write(file: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _require_own(path: Path, beginning: bytes) -> None:
    """Refuse what another program wrote under this name: not one line of it could be read back."""
    if not b'{"ts":"'.startswith(beginning.rstrip(b"\0")):
        raise OutputError(f"{path}: is not a file of ssmd; move it away, or choose another storage.path")


def _end_of_last_whole_line(fd: int, size: int, decode: Callable[[bytes], object]) -> int:
    """The offset behind the last line that ends in a newline and that ssmd can read back; 0 without any.

    Goes back a chunk at a time; `rest` is the end, with its newline, of a line that begins further back, in pieces,
    the last one first.
    """
    start = size
    rest: list[bytes] = []
    held = 0
    while start:
        end = start
        start = max(0, start - _CHUNK)
        data = os.pread(fd, end - start, start)
        if rest and start and b"\n" not in data and held + len(data) <= LONGEST_LINE:
            rest.append(data)  # Joined once, for a line may have many chunks.
            held += len(data)
            continue
        data = b"".join([data, *reversed(rest)])
        # What follows the last newline is torn. The first piece may begin in the chunk before this one.
        *lines, tail = data.split(b"\n")
        end = start + len(data) - len(tail)
        for line in reversed(lines[1:]):
            if _is_whole(line, decode):
                return end
            end -= len(line) + 1
        if lines and not start and _is_whole(lines[0], decode):
            return end
        rest = [lines[0] + b"\n"] if lines and len(lines[0]) < LONGEST_LINE else []
        held = sum(map(len, rest))
    return 0


def _is_whole(line: bytes, decode: Callable[[bytes], object]) -> bool:
    try:
        decode(line)
    except ValueError:
        return False
    return True
