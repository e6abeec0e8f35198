"""The part that the tuned Python peers share: what ssmd does after it has cut the frames, in its fastest form.

Each message is checked to be one JSON object with a sid and a seq, as in ssmd. But its UTF-8 is not checked, sequences
are not followed, and nothing is synced.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

__all__ = ["BatchWriter", "check_head"]


class _Head(msgspec.Struct, gc=False):
    sid: int = 0
    seq: int = 0


check_head = msgspec.json.Decoder(_Head).decode


class BatchWriter:
    """Collects messages. flush() checks all of them and writes them as lines, with one timestamp and one system call.

    `check`: raises for a message that is not valid.
    """

    def __init__(self, path: str, check: Callable[[bytes], object] = check_head) -> None:
        self._check = check
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._messages: list[bytes] = []
        self.add = self._messages.append

    def __len__(self) -> int:
        return len(self._messages)

    def flush(self) -> None:
        if not self._messages:
            return
        check = self._check
        for message in self._messages:
            check(message)
        ts = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        prefix = b'{"ts":"%b","feed":"bench","data":' % ts
        data = memoryview(prefix + (b"}\n" + prefix).join(map(bytes.strip, self._messages)) + b"}\n")
        self._messages.clear()
        while data:
            data = data[os.write(self._fd, data) :]
