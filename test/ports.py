"""Free ports for servers of tests that cannot choose one themselves, or that start again on the same one."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

__all__ = ["free_port", "free_ports"]

_PORTS = range(10_000, 32_768)
"""Below those that Linux gives to clients, and to servers that let it choose: these could take a port meanwhile, and
a client that waits for the server could even be connected to itself.
"""
_kept: int | None = None
"""A file that all test processes have open. This one holds a lock on the byte of each port that it has got."""


def free_port() -> int:
    """Return a port at which nothing listens. No other test gets it before this process ends."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of so many free ports in a row."""
    while True:
        first = random.SystemRandom().randrange(_PORTS.start, _PORTS.stop - count)
        if all(_take(port) for port in range(first, first + count)):
            return first


def _take(port: int) -> bool:
    global _kept
    if _kept is None:
        path = Path(tempfile.gettempdir()) / f"ssmd-test-ports-{os.getuid()}"
        _kept = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if port in _mine:
        return False
    try:
        fcntl.lockf(_kept, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        with socket.socket() as probe:
            probe.bind(("", port))
    except OSError:
        return False
    _mine.add(port)
    return True


_mine: set[int] = set()
"""A lock is no obstacle for the process that holds it."""
