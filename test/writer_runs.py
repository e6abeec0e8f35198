"""Runs of the file writer made for a test, each with a clock of its own, and what they leave on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmd.contracts.writer import Batch, Note
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.status import Status
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

SECOND = 1_000_000_000
NOON = 1_766_404_800 * SECOND  # 2025-12-22T12:00:00Z
DAY = 86_400 * SECOND


@pytest.fixture
def run(tmp_path: Path, status: Status, metrics: Metrics) -> Iterator[Callable[[int], FileWriter]]:
    """Opens a writer at a given time. Every writer is closed at the end."""
    made: list[FileWriter] = []

    def start(now: int) -> FileWriter:
        storage = LocalStorage(type="local", path=str(tmp_path))
        made.append(FileWriter(storage, "kalshi", status=status, clock=lambda: now))
        made[-1].open()
        return made[-1]

    yield start
    for one in made:
        one.close()


def note(event: str, ns: int, place: int = 0, **fields: object) -> Note:
    return Note(event, ns, place, fields)


def take(writer: FileWriter, ns: int, *payloads: bytes, notes: tuple[Note, ...] = ()) -> None:
    """Write a batch, which the writer may hold back."""
    data = writer.encode([(ns, len(payloads))], list(payloads), True) if payloads else b""
    writer.write(Batch("kalshi", ns, data, len(payloads), notes))


def put(writer: FileWriter, ns: int, *payloads: bytes, notes: tuple[Note, ...] = ()) -> None:
    """Write a batch and flush it."""
    take(writer, ns, *payloads, notes=notes)
    writer.flush()


def begin(writer: FileWriter, ns: int) -> None:
    """Write the entries of a run that begins and connects."""
    put(writer, ns, notes=(note("started", ns, version="1", exchange="kalshi"),))
    put(writer, ns, notes=(note("connected", ns),))


def ledger(storage: Path, day: str = "2025-12-22") -> list[dict]:
    """Return the entries of a day's ledger."""
    return [json.loads(line) for line in (storage / day / "kalshi.ledger.jsonl").read_bytes().splitlines()]


def data(storage: Path, day: str = "2025-12-22") -> bytes:
    """Return the content of a day's data file."""
    return (storage / day / "kalshi.jsonl").read_bytes()
