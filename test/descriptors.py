"""What a test's process has open."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["nothing_left_open"]


def _open() -> set[tuple[int, int, int]]:
    """Each descriptor that is open, with the device and the inode of what it is open on."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # The one by which the folder was listed is closed by now.
            status = os.fstat(int(name))
            found.add((int(name), status.st_dev, status.st_ino))
    return found


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    """Fail when something is open afterwards that was not open before.

    The descriptors are compared, not counted: an earlier test's socket may be closed at any moment, when it is
    collected as garbage.
    """
    before = _open()
    yield
    assert _open() - before == set()
