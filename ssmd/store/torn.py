"""Repair of a file whose writer was killed, or lost its power, in the middle of a line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ssmd.errors import OutputError
from ssmd.store.durable import sync_directory, write_pieces
from ssmd.store.head import OPENING
from ssmd.store.layout import torn_path
from ssmd.store.line import LONGEST_LINE, decode_line

__all__ = ["end_of_whole_lines", "set_torn_tail_aside"]

_CHUNK = 1024 * 1024


def set_torn_tail_aside(path: Path, decode: Callable[[bytes], object] = decode_line) -> int:
    """Move everything after the last whole line of `path` to `<path>.torn`; return how many bytes.

    A kill leaves part of a line. A power failure can also leave a run of NUL bytes, even with a newline after it. What
    is set aside is durable before the file is cut, so no byte is lost wherever this is interrupted; `<path>.torn` may
    then hold it twice. `decode` raises ValueError for what is no line. Raises OSError, and OutputError for a file that
    ssmd has not begun.
    """
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        _require_own(path, os.pread(file.fileno(), len(OPENING), 0))
        whole = end_of_whole_lines(file.fileno(), size, decode=decode)
        if whole == size:
            return 0
        _copy_tail(file.fileno(), whole, torn_path(path))
        sync_directory(path.parent)
        file.truncate(whole)
        os.fsync(file.fileno())
    return size - whole


def _copy_tail(fd: int, start: int, target: Path) -> None:
    """Append what a file contains from `start` on to `target`, durably, or nothing."""
    aside = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        before = os.fstat(aside).st_size
        try:
            while chunk := os.pread(fd, _CHUNK, start):
                write_pieces(aside, [chunk])
                start += len(chunk)
            write_pieces(aside, [b"\n"])  # The next incident begins on a line of its own.
            os.fsync(aside)
        except OSError:
            os.ftruncate(aside, before)  # Otherwise each start on a full disk would add a part of it again.
            raise
    finally:
        os.close(aside)


def _require_own(path: Path, beginning: bytes) -> None:
    """Refuse what another program wrote under this name: none of its lines could be read back."""
    if not OPENING.startswith(beginning.rstrip(b"\0")):
        raise OutputError(f"{path}: is not a file of ssmd; move it away, or choose another storage.path")


def end_of_whole_lines(fd: int, size: int, begin: int = 0, decode: Callable[[bytes], object] = decode_line) -> int:
    """Return the offset after the last line that ends in a newline and that ssmd can read back; `begin` without any.

    Only what lies from `begin`, the beginning of a line, to `size` is looked at. What follows the offset is what the
    next start sets aside. Raises OSError.

    It goes back a chunk at a time. `rest` is the end, with its newline, of a line that begins further back, in pieces,
    the last one first.
    """
    start = size
    rest: list[bytes] = []
    held = 0
    while start > begin:
        end = start
        start = max(begin, start - _CHUNK)
        data = os.pread(fd, end - start, start)
        if rest and start > begin and b"\n" not in data and held + len(data) <= LONGEST_LINE:
            rest.append(data)  # Joined only once, for a line may have many chunks.
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
        if lines and start == begin and _is_whole(lines[0], decode):
            return end
        rest = [lines[0] + b"\n"] if lines and len(lines[0]) < LONGEST_LINE else []
        held = sum(map(len, rest))
    return begin


def _is_whole(line: bytes, decode: Callable[[bytes], object]) -> bool:
    try:
        decode(line)
    except ValueError:
        return False
    return True
