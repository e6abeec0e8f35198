"""Finds the message in each line, and its type."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ssmd.contracts.exchange import MessageReader
from ssmd.store.head import HEAD, TS

__all__ = ["messages_of"]

_CHUNK = 256
"""How many lines are read at once. Where one of them is no message in JSON, they are read one by one."""


def messages_of(lines: Sequence[bytes], reader: MessageReader) -> tuple[list[bytes], list[str | None]]:
    """Return the message of each line, as it stands there, and its type; None for what is no message in JSON.

    `lines`: without their newlines.
    """
    payloads: list[bytes] = []
    types: list[str | None] = []
    for start in range(0, len(lines), _CHUNK):
        chunk = lines[start : start + _CHUNK]
        if not _add_all(chunk, reader, payloads, types):
            for line in chunk:
                payload, type = _message_of(line, reader)
                payloads.append(payload)
                types.append(type)
    return payloads, types


def _add_all(lines: Sequence[bytes], reader: MessageReader, payloads: list[bytes], types: list[str | None]) -> bool:
    """Add what all lines have; return False when that cannot be done together. Nearly always their heads are of one
    length, and are not looked into.
    """
    match = HEAD.match(lines[0])
    if match is None:
        return False
    start = match.end()
    middle = lines[0][TS.stop : start]
    if not all(line[TS.stop : start] == middle for line in lines):
        return False
    found = [line[start:-1] for line in lines]
    with contextlib.suppress(ValueError, RecursionError):
        types.extend([type for type, _ in reader.read(found)])
        payloads.extend(found)
        return True
    return False


def _message_of(line: bytes, reader: MessageReader) -> tuple[bytes, str | None]:
    match = HEAD.match(line)
    if match is None:
        return b"", None
    payload = line[match.end() : -1]
    try:
        return payload, reader.read([payload])[0][0]
    except (ValueError, RecursionError):
        return payload, None
