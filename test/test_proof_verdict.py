"""Verdicts on years of days take little memory and few reads from the disk."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from recorded import KALSHI, trade, write_day
from recorded_runs import verdicts

from ssmd.contracts.shard import WHOLE
from ssmd.proof.advisories import advisories
from ssmd.proof.verdict import Verdict
from ssmd.store.layout import DayFile


def test_the_storage_folder_of_many_days_is_resolved_once(monkeypatch, tmp_path):
    days = [(date(2024, 1, 1) + timedelta(number)).isoformat() for number in range(300)]
    files = [DayFile(day, "kalshi", WHOLE, "jsonl.zst", tmp_path / day / "kalshi.jsonl.zst") for day in days]
    calls: list[Path] = []
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path, *rest, **more: calls.append(path) or resolve(path, *rest, **more))
    found = [Verdict(file, sealed=True, examination=None, findings=[]) for file in files]
    assert list(advisories(found)) == []
    assert len(calls) == 1


def test_a_verdict_keeps_nothing_about_single_lines(tmp_path):
    events = [(number, "gap", {"sid": 1, "expected": 1, "got": 3, "missing": 2}) for number in range(1, 50)]
    write_day(tmp_path, "2026-09-20", (0, "started", KALSHI), (0, "connected", {}), *events, (60, trade(1)))
    [verdict] = verdicts(tmp_path)
    assert verdict.examination.manifest.block_sums == ""
    assert [entry.event for entry in verdict.entries] == ["started", "connected", "gap"]
    assert len(verdict.findings) == 1


def test_a_verdict_keeps_no_description_of_an_exchange(tmp_path):
    """A start has one, which may take 100 kB as Python's objects."""
    described = {"exchange": "generic", "version": "9.9", "description": {"paths": {"type": "e", "market": "s"}}}
    write_day(tmp_path, "2026-09-20", (0, "started", described), (0, "connected", {}), (60, b'{"e":"a"}'))
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    assert verdict.entries[0].fields == {"exchange": "generic", "version": "9.9"}
