"""The files of a day as they are begun: killed at any moment, a collector leaves nothing that looks like a loss."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT
from recorded import fail

from ssmd.proof.advisories import advisories
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verdict import Verdict
from ssmd.proof.verify import verify
from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.store.durable import sync_directory
from ssmd.store.inventory import data_files
from ssmd.store.layout import ledger_path
from ssmd.store.timestamps import day_begins
from ssmd.writer import day as days
from ssmd.writer.day import open_locked

HOUR = 3600 * 10**9
DAY = 24 * HOUR
NOON = day_begins("2026-09-20") + 12 * HOUR

COLLECT = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from ssmd.writer.storage import LocalStorage
from ssmd.runtime.metrics import Metrics
from ssmd.contracts.writer import Batch, Note
from ssmd.runtime.status import Status
from ssmd.writer.file import FileWriter

kept, states = map(Path, sys.argv[1:3])
times = list(map(int, sys.argv[3:]))

def collect(storage):
    # A connection with a message at each of the times, and then a kill.
    status = Status()
    metrics = Metrics(CollectorRegistry(), "kalshi", status)
    place = LocalStorage(type="local", path=str(storage))
    writer = FileWriter(place, "kalshi", status=status, clock=lambda: times[0])
    writer.open()
    notes = (Note("started", times[0], 0, {"version": "1", "exchange": "kalshi"}), Note("connected", times[0], 0, {}))
    for ns in times:
        writer.write(Batch("kalshi", ns, writer.encode([(ns, 1)], [b"{}"], True), 1, notes))
        writer.flush()
        notes = ()
    os._exit(0)

def killed_at(step, storage):
    calls = itertools.count()
    def audit(event, arguments):
        if event in ("open", "os.mkdir") and str(arguments[0]).startswith(str(storage)) and next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()
    if not child:
        sys.addaudithook(audit)
        collect(storage)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

if str(states) == "-":
    collect(kept)
for step in itertools.count():
    shutil.copytree(kept, states / f"{step:02}")
    if not killed_at(step, states / f"{step:02}"):
        break
"""


def collect(*arguments: object) -> None:
    command = [sys.executable, "-c", COLLECT, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def killed_at_every_step(storage: Path, tmp_path: Path, *times: int) -> list[Path]:
    """Return copies of the storage folder as collectors leave it that are killed when they open their first file, their
    second one, and so on. The last one is not killed.
    """
    collect(storage, tmp_path / "states", *times)
    return sorted((tmp_path / "states").iterdir())


def look(storage: Path) -> tuple[list[str], list[str]]:
    """Return what verify finds, and the advisories."""
    verdicts = [verify(file) for file in data_files([storage])]
    return [*found(verdicts), *missing_files([storage], verdicts)], list(advisories(verdicts, [storage]))


def found(verdicts: list[Verdict]) -> list[str]:
    return [finding.text for verdict in verdicts for finding in verdict.findings]


def figures(storage: Path, now_ns: int) -> dict[str, Figures]:
    return {day.day: day for day in gather(storage, 7, now_ns, trouble=fail, progress=lambda file: None)}


def seal_all(storage: Path) -> None:
    for file in unsealed(storage, "2026-12-01"):
        assert seal(file, NOON + 30 * DAY) is not None


@pytest.mark.parametrize("before", [True, False], ids=["a day before", "the first day"])
def test_a_start_that_is_killed_is_no_loss_even_if_no_other_follows_on_that_day(tmp_path, before):
    storage = tmp_path / "data"
    storage.mkdir()
    if before:
        collect(storage, "-", NOON - DAY, NOON - DAY + HOUR)
    states = killed_at_every_step(storage, tmp_path, NOON)
    assert len(states) > 5
    alone = 0
    for state in states:
        folder = state / "2026-09-20"
        here = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        ledger = folder / "kalshi.ledger.jsonl"
        expected = [f"{ledger}: is empty, and there is no data: a collector ended as it began the day"]
        alone += here == ["kalshi.ledger.jsonl"]
        assert look(state) == ([], expected if here == [ledger.name] else []), state
        seal_all(state)
        assert look(state)[0] == []
        for day, each in figures(state, NOON + DAY).items():
            assert each.coverage is not None, (state, day)
            assert each.messages == 2 * (day == "2026-09-19") + (day == "2026-09-20" and state == states[-1])
    assert alone


def test_a_collector_that_is_killed_over_midnight_is_no_loss_when_the_next_starts_days_later(tmp_path):
    storage = tmp_path / "data"
    storage.mkdir()
    states = killed_at_every_step(storage, tmp_path, NOON, NOON + DAY)
    assert len(states) > 10
    for state in states:
        yesterday, today = (state / day / "kalshi.jsonl" for day in ("2026-09-20", "2026-09-21"))
        went_on = yesterday.exists() and b'"rotated"' in ledger_path(yesterday.parent, "kalshi").read_bytes()
        # Until the next start it looks the same as a day whose files were removed.
        is_missing = went_on and not today.exists()
        expected = [f"{today}: is missing; the ledger of 2026-09-20 mentions it"] if is_missing else []
        assert look(state)[0] == expected, state
        collect(state, "-", NOON + 3 * DAY)
        assert look(state)[0] == [], state
        seal_all(state)
        assert look(state)[0] == [], state
        assert all(day.coverage is not None for day in figures(state, NOON + 4 * DAY).values())


@pytest.mark.parametrize("over_midnight", [True, False])
def test_a_day_that_was_emptied_is_missing_when_another_day_mentions_it(tmp_path, over_midnight):
    """An empty ledger without data mentions no other day, and explains no outage."""
    times = [NOON, NOON + HOUR, *([NOON + DAY, NOON + DAY + HOUR] if over_midnight else [])]
    collect(tmp_path, "-", *times)
    if not over_midnight:
        collect(tmp_path, "-", NOON + DAY)
    collect(tmp_path, "-", NOON + 2 * DAY)
    assert look(tmp_path) == ([], [])
    folder = tmp_path / "2026-09-21"
    (folder / "kalshi.ledger.jsonl").write_bytes(b"")
    (folder / "kalshi.jsonl").unlink()
    [text, *_] = look(tmp_path)[0]
    assert "21/kalshi.jsonl: is missing" in text or "begins after an outage from 2026-09-21" in text


def test_an_empty_file_whose_ledger_is_gone_and_a_manifest_without_data_are_wrong(tmp_path):
    """A collector begins a day's ledger before its data, so neither can be left by a kill."""
    collect(tmp_path, "-", NOON)
    seal_all(tmp_path)
    folder = tmp_path / "2026-09-20"
    kept = shutil.copytree(folder, tmp_path / "kept")
    (folder / "kalshi.ledger.jsonl").write_bytes(b"")
    (folder / "kalshi.jsonl").unlink()
    assert look(tmp_path) == ([f"{folder}/kalshi.jsonl: is missing; kalshi.manifest.json describes it"], [])
    shutil.rmtree(folder)
    shutil.move(kept, folder)
    (folder / "kalshi.manifest.json").unlink()
    (folder / "kalshi.ledger.jsonl").unlink()
    (folder / "kalshi.jsonl").write_bytes(b"")
    assert look(tmp_path)[0] == ["has no ledger: it is lost, or the day was recorded by a version that wrote none"]


def test_a_day_whose_files_are_links_to_a_disk_that_is_not_mounted_is_missing(tmp_path):
    """A ledger that cannot be reached does not count as empty."""
    collect(tmp_path / "data", "-", NOON, NOON + HOUR)
    folder = tmp_path / "data" / "2026-09-19"
    folder.mkdir()
    for name in ("kalshi.jsonl", "kalshi.ledger.jsonl"):
        (folder / name).symlink_to(tmp_path / "disk" / name)
    assert look(tmp_path / "data") == ([f"{folder}/kalshi.jsonl: is missing; kalshi.ledger.jsonl describes it"], [])


def test_the_name_of_the_ledger_is_durable_before_there_is_data(tmp_path, monkeypatch):
    """Otherwise a power failure could take the ledger and leave the data."""
    path, ledger = tmp_path / "kalshi.jsonl", tmp_path / "kalshi.ledger.jsonl"
    synced = []

    def sync(folder: Path) -> None:
        synced.append((folder, ledger.exists(), path.exists()))
        sync_directory(folder)

    monkeypatch.setattr(days, "sync_directory", sync)
    for _ in range(2):
        fd = open_locked(path, ledger)
        os.close(fd)
    assert synced == [(tmp_path, True, False)]
