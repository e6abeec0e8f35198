"""The ledger that the file writer keeps: each event at its place, outages, rotation, repair."""

import json
import os
from datetime import UTC, datetime

import pytest

from ssmd.contracts.writer import Batch, Note
from ssmd.errors import WriteError
from ssmd.proof.examine import examine
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verify import verify
from ssmd.store import ledger_appender
from ssmd.store.inventory import data_files
from ssmd.store.ledger_file import read_ledger
from ssmd.store.locks import held
from ssmd.writer import run_ledger
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

SECOND = 1_000_000_000
NOON = 1_766_404_800 * SECOND  # 2025-12-22T12:00:00Z
DAY = 86_400 * SECOND


@pytest.fixture
def run(tmp_path, status, metrics):
    """A writer that is open, at the given time."""
    made = []

    def start(now: int) -> FileWriter:
        storage = LocalStorage(type="local", path=str(tmp_path))
        made.append(FileWriter(storage, "kalshi", status=status, metrics=metrics, clock=lambda: now))
        made[-1].open()
        return made[-1]

    yield start
    for one in made:
        one.close()


def note(event: str, ns: int, place: int = 0, **fields: object) -> Note:
    return Note(event, ns, place, fields)


def take(writer: FileWriter, ns: int, *payloads: bytes, notes: tuple[Note, ...] = ()) -> None:
    data = writer.encode(ns, list(payloads), True) if payloads else b""
    writer.write(Batch("kalshi", ns, data, len(payloads), notes))


def put(writer: FileWriter, ns: int, *payloads: bytes, notes: tuple[Note, ...] = ()) -> None:
    take(writer, ns, *payloads, notes=notes)
    writer.flush()


def begin(writer: FileWriter, ns: int) -> None:
    put(writer, ns, notes=(note("started", ns, version="1", exchange="kalshi"),))
    put(writer, ns, notes=(note("connected", ns),))


def ledger(tmp_path, day: str = "2025-12-22") -> list[dict]:
    return [json.loads(line) for line in (tmp_path / day / "kalshi.ledger.jsonl").read_bytes().splitlines()]


def data(tmp_path, day: str = "2025-12-22") -> bytes:
    return (tmp_path / day / "kalshi.jsonl").read_bytes()


def test_each_entry_points_at_the_line_it_belongs_before(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, b'{"a":1}', b'{"a":2}')
    gaps = (note("gap", NOON, 1, sid=1), note("gap", NOON, 1, sid=2), note("gap", NOON, 3, sid=3))
    put(writer, NOON, b'{"b":0}', b'{"b":1}', b'{"b":2}', b'{"b":3}', notes=gaps)
    put(writer, NOON + 5, notes=(note("stopped", NOON + 5, reason="SIGTERM"),))
    writer.close()
    lines = data(tmp_path)
    follow = {}
    for entry in ledger(tmp_path):
        assert lines[: entry["offset"]].count(b"\n") == entry["line"]
        follow.setdefault(entry["event"], []).append(lines[entry["offset"] :].partition(b"\n")[0][-8:])
    assert follow["started"] == follow["connected"] == [b'{"a":1}}']
    assert follow["gap"] == [b'{"b":1}}', b'{"b":1}}', b'{"b":3}}']
    assert follow["stopped"] == [b""]
    assert {key: ledger(tmp_path)[-1][key] for key in ("lines", "bytes")} == {"lines": 6, "bytes": len(lines)}


def test_nothing_is_said_of_an_outage_at_the_very_first_start(tmp_path, run):
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
def test_a_start_tells_how_long_nobody_listened_and_why(tmp_path, run, end, cause, days):
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
def test_the_time_at_which_a_torn_tail_was_set_aside_is_not_one_of_listening(tmp_path, run, days):
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
    gap = examine(data_files([tmp_path])[0]).manifest.gaps[1]
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


def test_data_from_before_there_were_ledgers_has_an_outage_of_unknown_cause(tmp_path, run):
    first = run(NOON)
    put(first, NOON, b"1")
    first.close()
    (tmp_path / "2025-12-22" / "kalshi.ledger.jsonl").unlink()
    run(NOON + SECOND)
    [outage] = ledger(tmp_path)
    assert (outage["cause"], outage["seconds"], outage["line"]) == ("unknown", 1, 1)


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


def test_a_torn_tail_is_told_of_and_the_places_go_on_behind_what_is_left(tmp_path, run):
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
    [torn] = [entry for entry in entries if entry["event"] == "torn"]
    assert (torn["bytes"], torn["line"]) == (11, 2)
    assert all(data(tmp_path)[: entry["offset"]].count(b"\n") == entry["line"] for entry in entries)
    assert (tmp_path / "2025-12-22" / "kalshi.ledger.jsonl.torn").read_bytes() == b'{"ts":"2025-12-22T12:00\n'


def test_marks_spare_a_start_the_counting_of_the_whole_day(tmp_path, run, monkeypatch):
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
    writer._ledger.close()
    writer._ledger._fd = 10**6  # No such descriptor.
    writer.write(Batch("kalshi", NOON, b"", 0, (note("connected", NOON),)))
    with pytest.raises(WriteError, match="ledger"):
        writer.flush()
    writer._ledger._fd = -1


def test_reopening_a_sealed_day_takes_its_manifest_away(tmp_path, run):
    run(NOON).close()
    manifest = tmp_path / "2025-12-22" / "kalshi.manifest.json"
    manifest.write_text("{}")
    run(NOON)
    assert not manifest.exists()


def test_the_last_line_of_a_day_that_was_compacted_is_known_from_its_manifest(tmp_path, run):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON + 7 * SECOND, b"1")
    first.close()
    [file] = unsealed(tmp_path, "2025-12-23")
    assert seal(file, NOON) is not None
    file.path.rename(file.path.with_name("kalshi.jsonl.zst"))  # Nobody looks into it.
    run(NOON + DAY)
    [outage] = [entry for entry in ledger(tmp_path, "2025-12-23") if entry["event"] == "outage"]
    assert (outage["cause"], outage["seconds"]) == ("killed", 86400 - 7)


def test_a_start_keeps_one_of_many_gaps_in_mind(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    for second in range(50):
        put(writer, NOON + second * SECOND, b"1", notes=(note("gap", NOON + second * SECOND, sid=1),))
    writer.close()
    path = tmp_path / "2025-12-22" / "kalshi.ledger.jsonl"
    assert len(ledger(tmp_path)) == 52
    assert [entry.event for entry in read_ledger(path, every_gap=False).entries] == ["started", "connected", "gap"]
    run(NOON + 60 * SECOND)
    [outage] = [entry for entry in ledger(tmp_path) if entry["event"] == "outage"]
    assert (outage["cause"], outage["seconds"], outage["line"]) == ("killed", 11, 50)


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
    return [tuple(finding) for finding in verify(file).findings]


def gone(line: int, lines: int) -> tuple[int, str]:
    return line, f"was the last line when a run started: {lines} lines that the ledger counts are gone"


@pytest.mark.parametrize("with_entry", [True, False])
def test_lines_that_were_cut_off_are_told_of_ever_after(tmp_path, run, caplog, with_entry):
    stopped_run(run, NOON, 30)
    size = len(data(tmp_path))
    cut(tmp_path, 20)
    stopped_run(run, NOON + SECOND, 5)
    [lost] = [entry for entry in ledger(tmp_path) if entry["event"] == "lost"]
    assert (lost["line"], lost["lines"], lost["bytes"]) == (20, 10, size - lost["offset"])
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (told.lines, told.file) == (10, str(tmp_path / "2025-12-22" / "kalshi.jsonl"))
    cut(tmp_path, 12)
    stopped_run(run, NOON + 2 * SECOND, 50)
    if not with_entry:
        path = tmp_path / "2025-12-22" / "kalshi.ledger.jsonl"
        path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if b'"lost"' not in line))
    assert findings(tmp_path) == [gone(20, 10), gone(12, 13)]
    [file] = unsealed(tmp_path, "2025-12-23")
    assert seal(file, NOON)
    assert findings(tmp_path) == [gone(20, 10), gone(12, 13)]


def test_lines_of_yesterday_that_were_cut_off_are_told_of_at_the_next_start(tmp_path, run, caplog):
    stopped_run(run, NOON, 30)
    cut(tmp_path, 20)
    run(NOON + DAY)
    [lost] = [entry for entry in ledger(tmp_path) if entry["event"] == "lost"]
    assert (lost["line"], lost["lines"]) == (20, 10)
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (told.lines, told.file) == (10, str(tmp_path / "2025-12-22" / "kalshi.jsonl"))


@pytest.mark.parametrize("tail", [b"{", b'{"ts":"2025-12-22T13:00:00.000000Z","feed":"kalshi"'])
def test_a_day_that_is_being_sealed_is_left_to_that(tmp_path, run, tail):
    first = run(NOON)
    begin(first, NOON)
    put(first, NOON + 7 * SECOND, b"1")
    put(first, NOON + 8 * SECOND, notes=(note("gap", NOON + 8 * SECOND, sid=1),))  # Its line never comes.
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


def test_a_file_that_was_removed_and_begun_anew_is_told_of(tmp_path, run):
    stopped_run(run, NOON, 3)
    (tmp_path / "2025-12-22" / "kalshi.jsonl").unlink()
    stopped_run(run, NOON + SECOND, 30)
    assert findings(tmp_path) == [gone(0, 3)]


def test_a_line_cut_in_two_is_lost_and_torn(tmp_path, run):
    stopped_run(run, NOON, 3)
    (tmp_path / "2025-12-22" / "kalshi.jsonl").write_bytes(data(tmp_path)[:-4])
    stopped_run(run, NOON + SECOND, 1)
    assert [entry["event"] for entry in ledger(tmp_path)][3:6] == ["torn", "lost", "outage"]
    assert findings(tmp_path) == [gone(2, 1)]


def test_what_a_loss_of_power_leaves_is_no_loss(tmp_path, run, monkeypatch):
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


def test_an_end_is_written_when_what_it_counts_is_on_the_disk(tmp_path, run, monkeypatch):
    asked = []
    real = run_ledger.RunLedger.sync_with
    path = tmp_path / "2025-12-22" / "kalshi.ledger.jsonl"

    def watched(self, fd: int, location: str) -> int:
        asked.append((len(data(tmp_path)), b"stopped" in path.read_bytes()))
        return real(self, fd, location)

    monkeypatch.setattr(run_ledger.RunLedger, "sync_with", watched)
    writer = run(NOON)
    begin(writer, NOON)
    take(writer, NOON, b"1", b"2")
    put(writer, NOON, notes=(note("stopped", NOON, reason="SIGTERM"),))
    assert asked[-1] == (len(data(tmp_path)), False)
    assert b"stopped" in path.read_bytes()


def test_an_end_is_not_written_when_what_it_counts_is_not(tmp_path, run):
    writer = run(NOON)
    begin(writer, NOON)
    fd, writer._fd = writer._fd, 10**6  # No such descriptor.
    take(writer, NOON, b"1")
    with pytest.raises(WriteError):
        put(writer, NOON, notes=(note("stopped", NOON, reason="disk"),))
    writer._fd = fd
    writer.close()
    assert "stopped" not in [entry["event"] for entry in ledger(tmp_path)]


def test_entries_are_durable_before_the_lines_behind_them(run, tmp_path, monkeypatch):
    order = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    writer = run(NOON)
    begin(writer, NOON)
    put(writer, NOON, b"{}")
    order.clear()
    writer.close()
    assert [os.path.basename(path) for path in order[:2]] == ["kalshi.ledger.jsonl", "kalshi.jsonl"]
