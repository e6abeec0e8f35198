"""What earlier runs have left is found at a start: torn files of older days, and since when nothing was connected."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from writer_runs import DAY, NOON, SECOND, begin, data, ledger, note, put

from ssmd.proof.examine import examine
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verify import verify
from ssmd.store import repair
from ssmd.store.inventory import data_files
from ssmd.store.ledger_file import read_ledger
from ssmd.store.locks import held
from ssmd.store.torn import set_torn_tail_aside


def test_the_very_first_start_writes_no_outage(tmp_path, run):
    run(NOON)
    assert ledger(tmp_path) == []


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (("stopped",), "stopped"),
        (("disconnected", "stopped"), "disconnected"),
        ((), "killed"),
    ],
)
@pytest.mark.parametrize("days", [0, 1, 4])
def test_a_start_writes_since_when_nothing_was_connected_and_why(tmp_path, run, end, cause, days):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON + 10 * SECOND, b"1")
    for event in end:
        put(first, NOON + 20 * SECOND, notes=(note(event, NOON + 20 * SECOND, reason="x"),))
    first.close()
    again = NOON + 60 * SECOND + days * DAY
    run(again)
    day = datetime.fromtimestamp(again / SECOND, UTC).date().isoformat()
    [outage] = [entry for entry in ledger(tmp_path, day) if entry["event"] == "outage"]
    assert outage["cause"] == cause
    assert outage["from"] == f"2025-12-22T12:00:{10 if cause == 'killed' else 20}.000000Z"
    assert outage["to"] == outage["ts"]
    assert outage["seconds"] == days * 86400 + (50 if cause == "killed" else 40)
    assert (outage["line"], outage["offset"]) == ((1, len(data(tmp_path))) if days == 0 else (0, 0))


@pytest.mark.parametrize("days", [0, 1])
def test_the_time_at_which_a_torn_tail_was_set_aside_is_not_covered(tmp_path, run, days):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON + 10 * SECOND, b"1")
    first.close()
    with open(tmp_path / "2025-12-22" / "kalshi.jsonl", "ab") as file:
        file.write(b'{"ts":')
    again = run(NOON + 60 * SECOND + days * DAY)
    begin(again, NOON + 60 * SECOND + days * DAY)
    again.close()
    entries = [entry for day in ("2025-12-22", "2025-12-23")[: days + 1] for entry in ledger(tmp_path, day)]
    assert entries[2]["event"] == "torn"
    [outage] = [entry for entry in entries if entry["event"] == "outage"]
    assert (outage["from"], outage["seconds"]) == ("2025-12-22T12:00:10.000000Z", 50 + 86400 * days)
    gaps = examine(data_files([tmp_path])[0]).manifest.gaps
    assert gaps is not None
    gap = gaps[1]
    assert (gap.from_, gap.cause) == ("2025-12-22T12:00:10.000000Z", "killed")


def test_starts_that_never_connected_do_not_shorten_an_outage(tmp_path, run):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON, b"1", notes=())
    put(first, NOON, notes=(note("stopped", NOON, reason="x"),))
    first.close()
    for minute in (1, 2):
        again = run(NOON + minute * 60 * SECOND)
        put(again, NOON, notes=(note("started", NOON + minute * 60 * SECOND),))
        put(again, NOON, notes=(note("stopped", NOON + minute * 60 * SECOND, reason="cannot connect"),))
        again.close()
    assert [entry["seconds"] for entry in ledger(tmp_path) if entry["event"] == "outage"] == [60, 120]


def test_after_data_without_a_ledger_the_cause_of_the_outage_is_unknown(tmp_path, run):
    first = run(NOON)
    put(first, NOON, b"1")
    first.close()
    (tmp_path / "2025-12-22" / "kalshi.ledger.jsonl").unlink()
    run(NOON + SECOND)
    [outage] = ledger(tmp_path)
    assert (outage["cause"], outage["seconds"], outage["line"]) == ("unknown", 1, 1)


def test_the_last_line_of_a_compacted_day_is_known_from_its_manifest(tmp_path, run):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON + 7 * SECOND, b"1")
    first.close()
    [file] = unsealed(tmp_path, "2025-12-23")
    assert seal(file, NOON) is not None
    file.path.rename(file.path.with_name("kalshi.jsonl.zst"))  # It is not read.
    run(NOON + DAY)
    [outage] = [entry for entry in ledger(tmp_path, "2025-12-23") if entry["event"] == "outage"]
    assert (outage["cause"], outage["seconds"]) == ("killed", 86400 - 7)


def test_an_outage_is_found_after_many_gaps(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    for second in range(50):
        put(writer, NOON + second * SECOND, b"1", notes=(note("gap", NOON + second * SECOND, sid=1),))
    writer.close()
    path = tmp_path / "2025-12-22" / "kalshi.ledger.jsonl"
    assert len(ledger(tmp_path)) == 52
    assert [entry.event for entry in read_ledger(path, whole=False).entries] == ["started", "connected", "gap"]
    run(NOON + 60 * SECOND)
    [outage] = [entry for entry in ledger(tmp_path) if entry["event"] == "outage"]
    assert (outage["cause"], outage["seconds"], outage["line"]) == ("killed", 11, 50)


@pytest.mark.parametrize("tail", [b"{", b'{"ts":"2025-12-22T13:00:00.000000Z","feed":"kalshi"'])
def test_a_torn_day_that_is_being_sealed_is_left_alone(tmp_path, run, tail):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON + 7 * SECOND, b"1")
    put(first, NOON + 8 * SECOND, notes=(note("gap", NOON + 8 * SECOND, sid=1),))  # Its line is never written.
    first.close()
    path = tmp_path / "2025-12-22" / "kalshi.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    with held(path) as ours:
        assert ours
        run(NOON + DAY).close()
        assert path.read_bytes() == whole + tail
    [outage] = [entry for entry in ledger(tmp_path, "2025-12-23") if entry["event"] == "outage"]
    assert (outage["cause"], outage["seconds"]) == ("killed", 86400 - 7)
    for old in path.parent.iterdir():
        os.utime(old, (0, 0))
    [file] = unsealed(tmp_path, "2025-12-23")
    assert seal(file, NOON)
    assert path.read_bytes() == whole
    verdicts = [verify(file) for file in data_files([tmp_path])]
    assert [verdict.findings for verdict in verdicts] == [[], []]
    assert missing_files([tmp_path], verdicts) == []


def test_a_file_of_a_day_to_come_does_not_hide_the_torn_one(tmp_path, run):
    """The clock was ahead once. What later runs leave must be repaired all the same."""
    torn = {day: tmp_path / day / "kalshi.jsonl" for day in ("2025-12-21", "2030-01-01")}
    for file in torn.values():
        file.parent.mkdir()
        file.write_bytes(b'{"ts":"20')
    run(NOON)
    assert [file.read_bytes() for file in torn.values()] == [b"", b""]


def test_an_older_file_that_is_compacted_during_a_start_is_passed_over(tmp_path, run, monkeypatch):
    older = tmp_path / "2025-12-21" / "kalshi.jsonl"
    older.parent.mkdir()
    older.touch()
    aside = set_torn_tail_aside

    def compacted_before(path: Path) -> int:
        if path == older:
            path.rename(path.with_name("kalshi.jsonl.zst"))
        return aside(path)

    monkeypatch.setattr(repair, "set_torn_tail_aside", compacted_before)
    run(NOON)
    assert not older.exists()


def test_the_torn_tail_of_yesterday_is_set_aside_today(tmp_path, run):
    yesterday = tmp_path / "2025-12-21" / "kalshi.jsonl"
    yesterday.parent.mkdir()
    yesterday.write_bytes(b'{"ts":"20')
    run(NOON)
    assert yesterday.read_bytes() == b""
