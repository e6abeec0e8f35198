"""The check that a collector writes exactly what was sent: every line of a short, paced run against its message."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bench.messages import Cycle

__all__ = ["verify"]

_ENVELOPE = b'{"ts":'
_SENT = re.compile(rb'"(?:ts|time)": ?"(\d{27})"')


def verify(path: Path, texts: Cycle, *, exact: bool, envelope: bool) -> int:
    """Compare the lines of a file with the messages of the stream; return how many messages it holds.

    `exact`: the collector keeps the bytes, not only what they mean. `envelope`: each line has one around the message.
    The first line is the acknowledgement. Raises ValueError at the first wrong line.
    """
    _, *lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines):
        found = _SENT.search(line)
        if found is None:
            raise ValueError(f"line {number + 2} is not a message: {line[:100]!r}")
        text = texts.text(number, int(found.group(1))).strip()
        data = json.loads(line)
        if envelope and (set(data) != {"ts", "feed", "data"} or not line.startswith(_ENVELOPE)):
            raise ValueError(f"line {number + 2} has no envelope: {line[:100]!r}")
        if (data["data"] if envelope else data) != json.loads(text):
            raise ValueError(f"line {number + 2} is not message {number}: {line[:100]!r}")
        if exact and text not in line:
            raise ValueError(f"line {number + 2} has other bytes than message {number}: {line[:100]!r}")
    return len(lines)
