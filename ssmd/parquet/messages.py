"""Finds the message in each line, and its type."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ssmd.contracts.exchange import MessageReader
from ssmd.store.head import HEAD, TS

__all__ = ["types_of"]

_CHUNK = 256
"""How many lines are read at once. Where one of them is no message in JSON, they are read one by one."""


def types_of(lines: Sequence[bytes], reader: MessageReader) -> tuple[list[int], list[str | None]]:
    """Return where the message of each line begins, and its type; 0 and None for what is no message in JSON.

    `lines`: without their newlines.
    """
    starts: list[int] = []
    types: list[str | None] = []
    for at in range(0, len(lines), _CHUNK):
        chunk = lines[at : at + _CHUNK]
        if not _add_all(chunk, reader, starts, types):
            for line in chunk:
                start, type = _type_of(line, reader)
                starts.append(start)
                types.append(type)
    return starts, types


def _add_all(lines: Sequence[bytes], reader: MessageReader, starts: list[int], types: list[str | None]) -> bool:
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
    with contextlib.suppress(ValueError, RecursionError):
        types.extend([type for type, _ in reader.read([line[start:-1] for line in lines])])
        starts.extend([start] * len(lines))
        return True
    return False


def _type_of(line: bytes, reader: MessageReader) -> tuple[int, str | None]:
    match = HEAD.match(line)
    if match is not None:
        with contextlib.suppress(ValueError, RecursionError):
            return match.end(), reader.read([line[match.end() : -1]])[0][0]
    return 0, None
