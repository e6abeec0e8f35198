"""Sending an answer: a slow line may take its time, but a client that takes nothing is given up."""

from __future__ import annotations

import struct
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

__all__ = ["send_all"]

_LOOKS = 10
"""How often it looks, within the limit, whether the client has taken something. It counts looks, not time, so that a
process that was stopped for a while does not blame the client."""


def send_all(sock: Any, data: bytes | bytearray, seconds: float) -> None:
    """Send all of `data` on a socket of gevent. Raises TimeoutError when the client takes nothing of it for `seconds`.

    It waits for the client as long as the client takes some. The system keeps megabytes for each connection, and has
    room for more only when a third of that has been taken, so what the client has not confirmed yet counts as well.
    """
    left = memoryview(data)
    looks = before = 0
    sock.settimeout(seconds / _LOOKS)
    try:
        while left:
            try:
                left = left[sock.send(left) :]
                looks, before = 0, _unconfirmed(sock)
            except TimeoutError:
                now = _unconfirmed(sock)
                looks = looks + 1 if now >= before else 0
                before = now
                if looks == _LOOKS:
                    raise
    finally:
        sock.settimeout(None)


def _unconfirmed(sock: Any) -> int:
    """Return how many bytes that were sent the other end has not confirmed yet; tcp(7) calls it SIOCOUTQ.

    0 where the system does not say it of a socket: then only what it has room for shows that the client takes some.
    """
    try:
        (count,) = struct.unpack("i", ioctl(sock.fileno(), TIOCOUTQ, bytes(4)))
    except OSError:
        return 0
    return int(count)
