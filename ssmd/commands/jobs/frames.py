"""What goes through the pipes between a command and its processes: bytes, each with their length before them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["PROGRESS", "RAISED", "REFUSED", "REPORT", "RESULT", "frame", "frames"]

PROGRESS, REPORT, RESULT, RAISED, REFUSED = range(5)
"""The kinds of answers, and their values: the bytes done, what is reported, the result, the SsmdError in its place, and
the errno of a failed write to stdout."""

_LENGTH_BYTES = 8


def frame(content: bytes) -> bytes:
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def frames(received: bytearray) -> Iterator[bytes]:
    """Yield the whole frames that were received, and remove them."""
    while len(received) >= _LENGTH_BYTES:
        end = _LENGTH_BYTES + int.from_bytes(received[:_LENGTH_BYTES], "big")
        if len(received) < end:
            return
        content = bytes(received[_LENGTH_BYTES:end])
        del received[:end]
        yield content
