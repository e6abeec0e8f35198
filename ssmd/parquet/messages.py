"""Finds the message in each line, and its type."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ssmd.contracts.exchange import MessageReader
from ssmd.store.head import HEAD, TS

__all__ = ["messages_of"]


def messages_of(lines: Sequence[bytes], reader: MessageReader) -> tuple[Sequence[bytes], Sequence[str | None]]:
    """Return the message of each line, as it stands there, and its type; None for what is no message in JSON.

    `lines`: without their newlines. Nearly always all heads of a day are of one length, and are not looked into.
    """
    match = HEAD.match(lines[0]) if lines else None
    if match is not None:
        start = match.end()
        middle = lines[0][TS.stop : start]
        if all(line[TS.stop : start] == middle for line in lines):
            payloads = [line[start:-1] for line in lines]
            with contextlib.suppress(ValueError, RecursionError):
                return payloads, [type for type, _ in reader.read(payloads)]
    found = [_message_of(line, reader) for line in lines]
    return [payload for payload, _ in found], [type for _, type in found]


def _message_of(line: bytes, reader: MessageReader) -> tuple[bytes, str | None]:
    match = HEAD.match(line)
    if match is None:
        return b"", None
    payload = line[match.end() : -1]
    try:
        return payload, reader.read([payload])[0][0]
    except (ValueError, RecursionError):
        return payload, None
