"""Files that contain one value of a key."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.metadata.problem import quoted
from ssmd.store.mounts import file_system

__all__ = [
    "MAX_BYTES",
    "KeyFile",
    "Unusable",
    "cannot_be_read",
    "kind_of",
    "newest",
    "open_to_all",
    "read_key_file",
    "without_line_end",
]

MAX_BYTES = 64 * 1024
"""No key is longer than this."""

_IN_MEMORY = ("tmpfs", "ramfs")
"""File systems whose files are new with each start: systemd's credentials, and the mounted Secrets of Kubernetes. Their
times say when they were put there, not how old a key is."""


class Unusable(Exception):
    """Why a file is no key, as the end of a sentence about the file, such as "is empty"."""


class KeyFile(NamedTuple):
    """What a file of a key contains."""

    text: str
    changed: float | None
    """When it was last changed, Unix seconds; None when its time does not say that."""
    open_to_all: bool
    """Every user of the host may read it."""


def read_key_file(path: Path) -> KeyFile:
    """Read a file that contains one value of a key. Raises OSError, and Unusable for one that is no key.

    On a network file system without its server it never returns: callers use disk_in_time().
    """
    # Neither a pipe that nobody writes to nor a terminal may hold it up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            raise Unusable("is a folder; name a file in it")
        if not stat.S_ISREG(state.st_mode):
            raise Unusable("is a pipe, a socket or a device; write the value to a file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise Unusable(f"has more than {MAX_BYTES} bytes, which is too large for a key")
    if not content.strip():
        raise Unusable("is empty; write the value to it")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise Unusable("is not text in UTF-8; a PEM file is needed") from None
    changed = None if file_system(path) in _IN_MEMORY else state.st_mtime
    return KeyFile(text, changed, bool(state.st_mode & stat.S_IROTH))


def kind_of(error: OSError) -> type[ResolveError]:
    """Return the error to raise for a file that cannot be read: another attempt may find a file system, or a system
    that starts no further thread, well.
    """
    return SourceUnavailable if isinstance(error, TimeoutError | BlockingIOError) else ResolveError


def cannot_be_read(error: OSError) -> str:
    """Return why a file cannot be read, as the end of a sentence about the file."""
    if isinstance(error, TimeoutError):
        return "could not be read in time; check that its file system is there"
    if isinstance(error, BlockingIOError):
        limit = "raise its limit, which `ulimit -u` shows"
        return f"could not be read: the system starts no further thread for this user; {limit}"
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    return f"cannot be read: {error.strerror}; let the user that ssmd runs as read it"


def without_line_end(text: str) -> str:
    """Return a text without the one line end that an editor or `echo` has put behind it."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def newest(times: Iterable[float | None]) -> float | None:
    """Return the latest time; None when none is known."""
    return max((time for time in times if time is not None), default=None)


def open_to_all(files: Mapping[str, KeyFile]) -> Sequence[str]:
    """Return a warning about the files that every user may read, if there are any. `files`: by a name for people."""
    names = [name for name, file in files.items() if file.open_to_all]
    warning = f"every user of this host may read the files of {quoted(names)}; remove that right: chmod o-r"
    return (warning,) if names else ()
