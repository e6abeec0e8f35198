"""The ledger that the file writer keeps: each entry at its place, rotation, repair, and what is lost."""

from __future__ import annotations

import os
from typing import Any

import pytest
from writer_runs import DAY, NOON, SECOND, begin, data, ledger, note, put, take

from ssmd.contracts.writer import Batch, Note
from ssmd.errors import WriteError
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verify import verify
from ssmd.store import ledger_appender
from ssmd.store.inventory import data_files
from ssmd.store.layout import manifest_path
from ssmd.store.manifest_formats import decode_manifest
from ssmd.writer import run_ledger


def test_each_entry_points_at_the_line_that_follows_it(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, b'{"a":1}', b'{"a":2}')
    gaps = (note("gap", NOON, 1, sid=1), note("gap", NOON, 1, sid=2), note("gap", NOON, 3, sid=3))
    put(writer, NOON, b'{"b":0}', b'{"b":1}', b'{"b":2}', b'{"b":3}', notes=gaps)
    put(writer, NOON + 5, notes=(note("stopped", NOON + 5, reason="SIGTERM"),))
    writer.close()
    lines = data(tmp_path)
    follow: dict[str, list[bytes]] = {}
    for entry in ledger(tmp_path):
        assert lines[: entry["offset"]].count(b"\n") == entry["line"]
        follow.setdefault(entry["event"], []).append(lines[entry["offset"] :].partition(b"\n")[0][-8:])
    assert follow["started"] == follow["connected"] == [b'{"a":1}}']
    assert follow["gap"] == [b'{"b":1}}', b'{"b":1}}', b'{"b":3}}']
    assert follow["stopped"] == [b""]
    assert {key: ledger(tmp_path)[-1][key] for key in ("lines", "bytes")} == {"lines": 6, "bytes": len(lines)}


def test_rotation_ends_one_ledger_and_begins_the_next(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, b"1", b"2")
    put(writer, NOON + DAY, b"3", notes=(note("gap", NOON + DAY, 0, sid=1),))
    put(writer, NOON + DAY, notes=(note("stopped", NOON + DAY, reason="x"),))
    writer.close()
    rotated = ledger(tmp_path)[-1]
    size = len(data(tmp_path))
    assert (rotated["event"], rotated["to"]) == ("rotated", "2025-12-23")
    assert (rotated["line"], rotated["offset"]) == (rotated["lines"], rotated["bytes"]) == (2, size)
    continued, gap, stopped = ledger(tmp_path, "2025-12-23")
    assert (continued["event"], continued["from"], continued["exchange"]) == ("continued", "2025-12-22", "kalshi")
    assert (continued["line"], continued["offset"], gap["event"], gap["line"]) == (0, 0, "gap", 0)
    assert (stopped["lines"], stopped["bytes"]) == (3, size + len(data(tmp_path, "2025-12-23")))


def test_the_description_of_the_exchange_is_in_started_and_continued_alone(tmp_path, run):
    writer = run(NOON)
    description = {"paths": {"type": "e", "market": "s"}}
    fields: dict[str, Any] = {"version": "9.9", "exchange": "generic", "description": description}
    put(writer, NOON, notes=(note("started", NOON, **fields), note("connected", NOON)))
    put(writer, NOON, b"1", notes=(note("gap", NOON, 0, sid=1),))
    put(writer, NOON + DAY, b"2", notes=(note("gap", NOON + DAY, 0, sid=1), note("mark", NOON + DAY)))
    put(writer, NOON + DAY, notes=(note("stopped", NOON + DAY, reason="x"),))
    writer.close()
    entries = [*ledger(tmp_path), *ledger(tmp_path, "2025-12-23")]
    holding = [(entry["event"], entry["description"]) for entry in entries if "description" in entry]
    assert holding == [("started", description), ("continued", description)]


def test_books_that_are_asked_for_before_a_days_first_message_are_in_the_ledger_of_that_day(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, b"1")
    put(writer, NOON + DAY, notes=(note("backpressure_began", NOON + DAY),))
    put(writer, NOON + DAY, notes=(note("snapshot_requested", NOON + DAY, sid=1, why="day"),))
    put(writer, NOON + DAY, b"2")
    assert [entry["event"] for entry in ledger(tmp_path)[2:]] == ["backpressure_began", "rotated"]
    assert [entry["event"] for entry in ledger(tmp_path, "2025-12-23")] == ["continued", "snapshot_requested"]
    assert ledger(tmp_path, "2025-12-23")[1]["line"] == 0


def test_a_torn_tail_gets_an_entry_and_later_places_are_right(tmp_path, run):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON, b"1", b"2")
    first.close()
    for name, torn in (("kalshi.jsonl", b'{"ts":"2025'), ("kalshi.ledger.jsonl", b'{"ts":"2025-12-22T12:00')):
        with open(tmp_path / "2025-12-22" / name, "ab") as file:
            file.write(torn)
    second = run(NOON + SECOND)
    begin(second, NOON + SECOND)
    put(second, NOON + SECOND, b"3")
    second.close()
    entries = ledger(tmp_path)
    [aside] = [entry for entry in entries if entry["event"] == "torn"]
    assert (aside["bytes"], aside["line"]) == (11, 2)
    assert all(data(tmp_path)[: entry["offset"]].count(b"\n") == entry["line"] for entry in entries)
    assert (tmp_path / "2025-12-22" / "kalshi.ledger.jsonl.torn").read_bytes() == b'{"ts":"2025-12-22T12:00\n'


def test_a_start_counts_lines_from_the_last_mark_only(tmp_path, run, monkeypatch):
    monkeypatch.setattr(run_ledger, "MARK_BYTES", 1000)
    first = run(NOON)
    begin(first, NOON)
    for _ in range(100):
        put(first, NOON, b"1")
    first.close()
    marks = [entry for entry in ledger(tmp_path) if entry["event"] == "mark"]
    assert len(marks) == len(data(tmp_path)) // 1050 or len(marks) > 4
    counted = []
    real = ledger_appender._count_lines
    monkeypatch.setattr(
        ledger_appender, "_count_lines", lambda path, offset, lines: counted.append(offset) or real(path, offset, lines)
    )
    second = run(NOON)
    put(second, NOON, notes=(note("started", NOON),))
    assert counted == [marks[-1]["offset"]]
    assert ledger(tmp_path)[-1]["line"] == 100


def test_a_ledger_that_cannot_be_written_ends_the_run_like_data(tmp_path, run):
    writer = run(NOON)
    known, writer._ledger._fd = writer._ledger._fd, 10**6  # No such descriptor.
    writer.write(Batch("kalshi", NOON, b"", 0, (note("connected", NOON),)))
    with pytest.raises(WriteError, match="ledger"):
        writer.flush()
    writer._ledger._fd = known


def test_reopening_a_sealed_day_removes_its_manifest(tmp_path, run):
    run(NOON).close()
    manifest = tmp_path / "2025-12-22" / "kalshi.manifest.json"
    manifest.write_text("{}")
    run(NOON)
    assert not manifest.exists()


def cut(tmp_path, lines: int) -> None:
    kept_lines = data(tmp_path).splitlines(keepends=True)[:lines]
    (tmp_path / "2025-12-22" / "kalshi.jsonl").write_bytes(b"".join(kept_lines))


def stopped_run(run, ns: int, lines: int) -> None:
    writer = run(ns)
    begin(writer, ns)
    put(writer, ns, *[b"1"] * lines)
    put(writer, ns, notes=(note("stopped", ns, reason="SIGTERM"),))
    writer.close()


def findings(tmp_path) -> list[tuple[int | None, str]]:
    [file] = data_files([tmp_path])
    return [(finding.line, finding.text) for finding in verify(file).findings]


def gone(line: int, lines: int) -> tuple[int, str]:
    return line, f"was the last line when a run started: {lines} lines that the ledger counts are gone"


@pytest.mark.parametrize("with_entry", [True, False])
def test_lines_that_were_cut_off_are_found_by_every_later_verify(tmp_path, run, caplog, with_entry):
    stopped_run(run, NOON, 30)
    size = len(data(tmp_path))
    cut(tmp_path, 20)
    stopped_run(run, NOON + SECOND, 5)
    [lost] = [entry for entry in ledger(tmp_path) if entry["event"] == "lost"]
    assert (lost["line"], lost["lines"], lost["bytes"]) == (20, 10, size - lost["offset"])
    [logged] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (logged.lines, logged.file) == (10, str(tmp_path / "2025-12-22" / "kalshi.jsonl"))
    cut(tmp_path, 12)
    stopped_run(run, NOON + 2 * SECOND, 50)
    if not with_entry:
        path = tmp_path / "2025-12-22" / "kalshi.ledger.jsonl"
        path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if b'"lost"' not in line))
    assert findings(tmp_path) == [gone(20, 10), gone(12, 13)]
    [file] = unsealed(tmp_path, "2025-12-23")
    assert seal(file, NOON)
    assert findings(tmp_path) == [gone(20, 10), gone(12, 13)]


def test_lines_of_yesterday_that_were_cut_off_are_logged_by_the_next_start(tmp_path, run, caplog):
    stopped_run(run, NOON, 30)
    cut(tmp_path, 20)
    run(NOON + DAY)
    [lost] = [entry for entry in ledger(tmp_path) if entry["event"] == "lost"]
    assert (lost["line"], lost["lines"]) == (20, 10)
    [logged] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (logged.lines, logged.file) == (10, str(tmp_path / "2025-12-22" / "kalshi.jsonl"))


def test_a_file_that_was_removed_and_begun_again_is_found(tmp_path, run):
    stopped_run(run, NOON, 3)
    (tmp_path / "2025-12-22" / "kalshi.jsonl").unlink()
    stopped_run(run, NOON + SECOND, 30)
    assert findings(tmp_path) == [gone(0, 3)]


def test_a_line_that_was_cut_in_two_is_lost_and_torn(tmp_path, run):
    stopped_run(run, NOON, 3)
    (tmp_path / "2025-12-22" / "kalshi.jsonl").write_bytes(data(tmp_path)[:-4])
    stopped_run(run, NOON + SECOND, 1)
    assert [entry["event"] for entry in ledger(tmp_path)][3:6] == ["torn", "lost", "outage"]
    assert findings(tmp_path) == [gone(2, 1)]


def test_entries_that_a_power_failure_left_without_their_lines_are_no_loss(tmp_path, run, monkeypatch):
    """An entry that is written before its lines may be on the disk without them; so may a mark."""
    monkeypatch.setattr(run_ledger, "MARK_BYTES", 100)
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, *[b"1"] * 20, notes=(note("gap", NOON, 15, sid=1),))
    writer.close()
    assert ledger(tmp_path)[-1]["event"] == "mark"
    cut(tmp_path, 10)
    stopped_run(run, NOON + SECOND, 1)
    assert not [entry for entry in ledger(tmp_path) if entry["event"] == "lost"]
    assert [text for _, text in findings(tmp_path) if "gone" in text] == []


def test_an_end_is_written_after_what_it_counts_is_on_the_disk(tmp_path, run, monkeypatch):
    synced = []
    real = run_ledger.RunLedger.sync_with
    ledger_file = tmp_path / "2025-12-22" / "kalshi.ledger.jsonl"

    def watched(self, fd: int, path: str, size: int) -> int:
        synced.append((len(data(tmp_path)), b"stopped" in ledger_file.read_bytes()))
        return real(self, fd, path, size)

    monkeypatch.setattr(run_ledger.RunLedger, "sync_with", watched)
    writer = run(NOON)
    begin(writer, NOON)
    take(writer, NOON, b"1", b"2")
    put(writer, NOON, notes=(note("stopped", NOON, reason="SIGTERM"),))
    assert synced[-1] == (len(data(tmp_path)), False)
    assert b"stopped" in ledger_file.read_bytes()


def test_an_end_is_not_written_when_what_it_counts_cannot_be(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    fd, writer._fd = writer._fd, 10**6  # No such descriptor.
    take(writer, NOON, b"1")
    with pytest.raises(WriteError):
        put(writer, NOON, notes=(note("stopped", NOON, reason="disk"),))
    writer._fd = fd
    writer.close()
    assert "stopped" not in [entry["event"] for entry in ledger(tmp_path)]


def test_entries_are_durable_before_the_lines_that_follow_them(run, tmp_path, monkeypatch):
    order = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, b"{}")
    order.clear()
    writer.close()
    assert [os.path.basename(path) for path in order[:2]] == ["kalshi.ledger.jsonl", "kalshi.jsonl"]


def asked(channel: str, markets: object, action: str = "subscribe", **more: object) -> Note:
    fields = {"subscription": 1, "channel": channel, "action": action, "markets": markets, "commands": [], **more}
    return note("asked", NOON, 0, **fields)


def test_the_ledger_of_a_further_day_begins_with_all_that_is_asked_for(tmp_path, run):
    """So the day can be understood without the one before: which markets, with which commands, and of which sids."""
    writer = run(NOON)
    begin(writer, NOON)
    command = {"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "use_yes_price": False}}
    confirmed = [note("subscribed", NOON, 0, channel=name, sid=sid) for name, sid in (("trade", 1), ("ticker", 2))]
    notes = (asked("trade", ["A", "B"], commands=[command]), asked("ticker", "all"), *confirmed)
    put(writer, NOON, b'{"type":"trade","sid":1,"seq":1,"msg":{}}', notes=notes)
    later = (asked("trade", ["C"], "add", commands=[{"id": 2}]), asked("trade", ["A"], "remove"))
    put(writer, NOON + 1, b'{"type":"trade","sid":1,"seq":2,"msg":{}}', notes=later)
    put(writer, NOON + DAY, b'{"type":"trade","sid":1,"seq":3,"msg":{}}')
    put(writer, NOON + DAY, notes=(note("stopped", NOON + DAY, reason="x"),))
    writer.close()
    day = ledger(tmp_path, "2025-12-23")
    assert [entry["event"] for entry in day] == ["continued", "asked", "asked", "subscribed", "subscribed", "stopped"]
    assert {entry["line"] for entry in day[:-1]} == {0}
    trade, ticker, *sids = day[1:-1]
    assert (trade["subscription"], trade["channel"], trade["action"]) == (1, "trade", "subscribe")
    assert (trade["markets"], trade["commands"]) == (["B", "C"], [command])
    assert (ticker["channel"], ticker["markets"]) == ("ticker", "all")
    assert [(entry["channel"], entry["sid"]) for entry in sids] == [("trade", 1), ("ticker", 2)]


def test_the_manifest_of_a_further_day_knows_the_channel_of_each_sid(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    confirmed = (note("subscribed", NOON, 0, channel="trade", sid=1, tickers=[], acknowledged=None),)
    put(writer, NOON, b'{"type":"trade","sid":1,"seq":1,"msg":{}}', notes=confirmed)
    put(writer, NOON + DAY, b'{"type":"trade","sid":1,"seq":2,"msg":{}}')
    put(writer, NOON + DAY, notes=(note("stopped", NOON + DAY, reason="x"),))
    writer.close()
    for file in data_files([tmp_path]):
        seal(file, NOON + 2 * DAY)
        [session] = decode_manifest(manifest_path(file.path.parent, "kalshi").read_bytes()).sessions
        assert [(one.sid, one.channel) for one in session.sequences] == [(1, "trade")]
        assert verify(file).findings == []


def test_thousands_of_markets_are_divided_among_entries(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    names = [f"KX-{number}" for number in range(10_000)]
    put(writer, NOON, b"1", notes=(asked("trade", names),))
    put(writer, NOON + DAY, b"2")
    writer.close()
    entries = [entry for entry in ledger(tmp_path, "2025-12-23") if entry["event"] == "asked"]
    assert [len(entry["markets"]) for entry in entries] == [2000] * 5
    assert [name for entry in entries for name in entry["markets"]] == names


def test_the_starts_of_a_day_are_counted(tmp_path, run, status):
    for number in range(3):
        writer = run(NOON + number * SECOND)
        begin(writer, NOON + number * SECOND)
        put(writer, NOON + number * SECOND, b"1")
        assert status.starts == number + 1
        if number < 2:
            writer.close()
    put(writer, NOON + DAY, b"2")
    assert status.starts == 0
