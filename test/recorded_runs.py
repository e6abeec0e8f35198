"""Runs of a collector made for a test: the real writer, with messages, a clock and an end of the test's choosing."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from recorded import trade

from ssmd.contracts.writer import Batch, Note
from ssmd.errors import WriteError
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verdict import Verdict
from ssmd.proof.verify import verify
from ssmd.runtime.journal import Journal
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.inventory import data_files
from ssmd.store.timestamps import day_begins, day_of_ns, parse_timestamp
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

NOON = day_begins("2026-09-20") + DAY // 2

RECORDED_DAY = "2025-12-22"
BEGIN = day_begins(RECORDED_DAY)
LINES = 2500
"""The day that record_day() records by default, its midnight, and how many lines it has."""


def at(text: str) -> int:
    """Return a time in December 2025, such as 22T18:00:00, in ns since the epoch."""
    return parse_timestamp(f"2025-12-{text}.000000Z")


def open_writer(storage: Path, ns: int, status: Status, metrics: Metrics) -> FileWriter:
    """Return an open writer of the feed kalshi, whose clock stands at `ns`."""
    config = LocalStorage(type="local", path=str(storage))
    writer = FileWriter(config, "kalshi", status=status, clock=lambda: ns)
    writer.open()
    return writer


class Run:
    """One run of a collector, which begins at `ns` by its clock. `before`: what its ledger has before `started`."""

    def __init__(self, storage: Path, ns: int, *before: tuple[str, Mapping[str, object]]) -> None:
        status = Status()
        self._writer = open_writer(storage, ns, status, Metrics(CollectorRegistry(), "kalshi", status))
        for event, fields in before:
            self.note(event, ns, **fields)
        self.note("started", ns, version="9.9", exchange="kalshi")

    @property
    def path(self) -> Path:
        """The data file that is written now."""
        return Path(self._writer.location)

    def note(self, event: str, ns: int, **fields: object) -> None:
        self._write(ns, b"", 0, (Note(event, ns, 0, fields),))

    def message(self, ns: int, payload: bytes = b"{}") -> None:
        self._write(ns, self._writer.encode([(ns, 1)], [payload], True), 1, ())

    def _write(self, ns: int, data: bytes, messages: int, notes: tuple[Note, ...]) -> None:
        self._writer.write(Batch("kalshi", ns, data, messages, notes))
        self._writer.flush()

    def stop(self, ns: int) -> None:
        self.note("stopped", ns, reason="SIGTERM")
        self.kill()

    def kill(self) -> None:
        """End without an entry in the ledger."""
        self._writer.close()


def record_run(
    storage: Path,
    begin_ns: int,
    *messages_ns: int,
    end: str = "stopped",
    end_ns: int | None = None,
    connected: bool = True,
) -> None:
    """Record a run that receives trades number 1, 2, ... of sid 1 at these times.

    `end`: `stopped`, `disconnected`, `killed`, `torn` (killed within a line), or `full`: then the folder of the day of
    the last message cannot be made. `end_ns`: a second after the last message by default.
    """
    run = Run(storage, begin_ns)
    if connected:
        run.note("connected", begin_ns)
    for number, ns in enumerate(messages_ns if connected else (), 1):
        if end == "full" and ns == messages_ns[-1]:
            folder = storage / day_of_ns(ns)
            folder.write_bytes(b"")
            with pytest.raises(WriteError):
                run.message(ns, trade(number))
            folder.unlink()
            break
        run.message(ns, trade(number))
    end_ns = end_ns if end_ns is not None else max(begin_ns, *messages_ns, 0) + SECOND
    if end == "disconnected":
        run.note("disconnected", end_ns, code=None, reason="closed")
    if end in ("stopped", "disconnected"):
        run.note("stopped", end_ns, reason="SIGTERM")
    path = run.path
    with contextlib.suppress(WriteError):
        run.kill()
    if end == "torn":
        with open(path, "ab") as file:
            file.write(b'{"ts":"20')


def seal_all(storage: Path, before: str = "2026-12-01") -> None:
    """Seal every day before `before`, at a fixed time."""
    for file in unsealed(storage, before):
        assert seal(file, BEGIN) is not None


def recorded_message(number: int) -> bytes:
    """Return a message of record_day(): trades of sid 1 with numbers from 1 on, but without 50, a ticker every fifth
    time, which has no number, and one message that is not JSON.
    """
    if number == 700:
        return b"oops \xff"
    if number % 5 == 0:
        return b'{"type":"ticker","sid":2,"msg":{"n":%d}}' % number
    seq = number - number // 5 + (number > 62)
    return b'{"type":"trade","sid":1,"seq":%d,"msg":{"text":"na\xc3\xafve"}}' % seq


def record_day(
    storage: Path, first_ns: int = BEGIN + SECOND, count: int = LINES, step_ns: int = SECOND
) -> None:
    """Record a day, or several, with the real dialect and journal, in reads of one to four messages."""
    status = Status()
    metrics = Metrics(CollectorRegistry(), "kalshi", status)
    journal = Journal(status, metrics, Reporter("kalshi", status))
    inspector = Kalshi.inspector()
    writer = open_writer(storage, first_ns, status, metrics)
    journal.note("started", first_ns, version="9.9", exchange="kalshi")
    journal.note("connected", first_ns)
    ns, number = first_ns, 0
    while number < count:
        ns += step_ns
        payloads = [recorded_message(number + index) for index in range(min(1 + number % 4, count - number))]
        inspection = inspector.inspect(payloads)
        journal.events(inspection.events, ns)
        reads = [(ns, len(payloads))]
        data = writer.encode(reads, payloads, inspection.decoded)
        writer.write(Batch("kalshi", ns, data, len(payloads), journal.take(reads)))
        number += len(payloads)
    journal.end(ns, "SIGTERM", None)
    writer.write(Batch("kalshi", ns, b"", 0, journal.take([(ns, 0)])))
    writer.close()


@pytest.fixture(scope="session")
def sealed_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with the day of record_day(), sealed. A test that changes it undoes that."""
    storage = tmp_path_factory.mktemp("sealed")
    record_day(storage)
    seal_all(storage)
    return storage


@pytest.fixture
def own_storage(sealed_storage: Path, tmp_path: Path) -> Path:
    """A copy of `sealed_storage` for one test."""
    return Path(shutil.copytree(sealed_storage, tmp_path / "data"))


def data_in(storage: Path) -> Path:
    return storage / RECORDED_DAY / "kalshi.jsonl"


def ledger_in(storage: Path) -> Path:
    return storage / RECORDED_DAY / "kalshi.ledger.jsonl"


def manifest_in(storage: Path) -> Path:
    return storage / RECORDED_DAY / "kalshi.manifest.json"


def findings_in(storage: Path) -> list[tuple[int | None, str]]:
    """Return what verify finds in the only data file of a storage folder: numbers of lines, and texts."""
    [file] = data_files([storage])
    return [(finding.line, finding.text) for finding in verify(file).findings]


def verdicts(*paths: Path) -> list[Verdict]:
    """Verify every day below some paths."""
    return [verify(file) for file in data_files(paths)]


def all_findings(found: Iterable[Verdict]) -> list[tuple[str, int | None, str]]:
    """Return all findings with their days."""
    return [(verdict.file.day, *finding) for verdict in found for finding in verdict.findings]
