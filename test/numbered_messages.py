"""Recordings of numbered messages, and what is on the disk of them after a fault."""

import random
import re
from datetime import UTC, datetime
from pathlib import Path

from ssmd.store.line import decode_line

OLD = b'{"ts":"2025-12-22T10:30:00.123456Z","feed":"test","data":{"seq":0}}\n'
TORN = b'{"ts":"2025-12-22T10:30:00.123'
_seq = re.compile(rb'"seq":(\d+)')


def frame(number: int, padding: int) -> bytes:
    return b'{"type":"trade","sid":1,"seq":%d,"msg":{"note":"%b"}}' % (number, b"x" * padding)


def record(path: Path, count: int, paddings: tuple[int, ...]) -> Path:
    """Write a recording to replay: messages numbered from 1, each with one of these paddings."""
    choose = random.Random(20).choice
    with open(path, "wb") as file:
        for number in range(1, count + 1):
            file.write(frame(number, choose(paddings)) + b"\n")
    return path


def numbers(content: bytes) -> list[int]:
    """Return the numbers of the messages in a file; check that all its lines are whole."""
    assert not content or content.endswith(b"\n")
    return [int(_seq.search(decode_line(line).payload).group(1)) for line in content.splitlines()]


def counts_from_one(found: list[int]) -> bool:
    """Return whether these are the numbers of several runs, each from the start of the recording, without a gap."""
    return all(now in (before + 1, 1) for before, now in zip([0, *found], found, strict=False))


def today(data: Path) -> Path:
    return data / f"{datetime.now(UTC):%Y-%m-%d}" / "test.jsonl"


def torn_file(data: Path) -> Path:
    """Write a file as a killed run leaves it: one line, and a part of another."""
    path = today(data)
    path.parent.mkdir(parents=True)
    path.write_bytes(OLD + TORN)
    return path
