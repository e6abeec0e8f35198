"""`ssmd verify` over what honest collectors leave: odd days and the days around them, and what is missing between."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard

from ssmd.archive.coverage import day_begins
from ssmd.archive.layout import data_files
from ssmd.archive.ledger import Entry, encode_entry
from ssmd.archive.seal import seal
from ssmd.archive.verify import Verdict, verify
from ssmd.envelope import LineEncoder

KALSHI = {"version": "9.9", "exchange": "kalshi"}
GENERIC = {"version": "9.9", "exchange": "generic"}


def trade(seq: int, sid: int = 1) -> bytes:
    return b'{"type":"trade","sid":%d,"seq":%d,"msg":{}}' % (sid, seq)


def write_day(
    storage: Path, day: str, *happened: tuple[float, bytes] | tuple[float, str, dict], sealed: bool = True
) -> Path:
    """Write a day from what happened at which second of it: a message, or an event with its fields.

    The totals of `stopped` are of all the day's lines, as those of `rotated` are.
    """
    folder = storage / day
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LineEncoder("kalshi")
    lines: list[bytes] = []
    entries: list[bytes] = []
    size = 0
    for second, what, *fields in happened:
        ns = day_begins(day) + int(second * 1e9)
        if isinstance(what, bytes):
            lines.append(encoder.encode(ns, [what]))
            size += len(lines[-1])
            continue
        totals = {"lines": len(lines), "bytes": size} if what in ("stopped", "rotated") else {}
        entries.append(encode_entry(Entry(ns, what, size, len(lines), {**fields[0], **totals})))
    path = folder / "kalshi.jsonl"
    path.write_bytes(b"".join(lines))
    (folder / "kalshi.ledger.jsonl").write_bytes(b"".join(entries))
    if sealed:
        [file] = data_files([path])
        assert seal(file, day_begins(day)) is not None
    return path


def verdicts(*paths: Path) -> list[Verdict]:
    return [verify(file) for file in data_files(paths)]


def told(found: Sequence[Verdict]) -> list[tuple[str, int | None, str]]:
    return [(verdict.file.day, *finding) for verdict in found for finding in verdict.findings]


@pytest.mark.parametrize("form", ["zst", "gz"])
def test_types_beyond_those_counted_by_name_are_the_same_in_any_form(tmp_path, form):
    messages = [(number / 10, b'{"type":"t%d","x":"%b"}' % (number % 1500, b"y" * 100)) for number in range(9000)]
    path = write_day(tmp_path, "2026-09-20", (0, "started", GENERIC), (0, "connected", {}), *messages)
    [plain] = verdicts(tmp_path)
    types = plain.examination.manifest.messages_by_type
    assert (len(types), types["t999"], types["(others)"], plain.findings) == (1001, 6, 3000, [])
    packed = zstandard.compress(path.read_bytes()) if form == "zst" else gzip.compress(path.read_bytes())
    path.with_name(f"kalshi.jsonl.{form}").write_bytes(packed)
    path.unlink()
    assert told(verdicts(tmp_path)) == []


def over_midnight(storage: Path, *second_day: tuple, sealed: bool = True) -> Path:
    """Two days of one connection; the 20th ends with number 1 of sid 1."""
    rotated = (86400, "rotated", {"to": "2026-09-21"})
    write_day(
        storage, "2026-09-20", (0, "started", KALSHI), (0, "connected", {}), (5, trade(1)), rotated, sealed=sealed
    )
    return write_day(
        storage, "2026-09-21", (0.1, "continued", {"from": "2026-09-20", **KALSHI}), *second_day, sealed=sealed
    )


def gap(second: float, expected: int, got: int, sid: int = 1) -> tuple[float, str, dict]:
    return second, "gap", {"sid": sid, "expected": expected, "got": got, "missing": max(0, got - expected)}


@pytest.mark.parametrize("sealed", [True, False])
def test_a_gap_over_midnight_is_counted_on_the_day_where_it_showed(tmp_path, sealed):
    day = (gap(0.1, 2, 502), (0.1, trade(502)), (1, trade(503)), gap(2, 504, 505), (2, trade(505)))
    over_midnight(tmp_path, *day, (9, "stopped", {}), sealed=sealed)
    found = verdicts(tmp_path)
    assert told(found) == []
    before, after = (verdict.examination.manifest for verdict in found)
    assert (before.sequence_gaps, before.missing, after.sequence_gaps, after.missing) == (0, 0, 2, 501)
    [sequence] = after.sessions[0].sequences
    assert (sequence.first, sequence.messages, sequence.gaps, sequence.missing) == (502, 3, 2, 501)


def test_a_gap_over_a_midnight_that_comes_within_a_file_is_one_too(tmp_path):
    """The clock was ahead once, and has left a file of the day that another run goes over to."""
    ahead = ((0, "started", KALSHI), (0, "connected", {}), (1, trade(1)), (2, "stopped", {}))
    later = ((3, "continued", {"from": "2026-09-20", **KALSHI}), gap(3, 7, 9), (3, trade(9)), (4, "rotated", {}))
    write_day(tmp_path, "2026-09-21", *ahead, *later)
    [verdict] = verdicts(tmp_path)
    assert (verdict.findings, verdict.examination.manifest.missing) == ([], 2)


@pytest.mark.parametrize(
    "entries",
    [
        [gap(0.1, 2, 502), gap(0.1, 3, 502)],
        [gap(0.1, 2, 501)],
        [gap(0.1, 2, 502, sid=2)],
        [(0.1, "gap", {"sid": 1, "expected": 2, "got": 502, "missing": 5})],
        [(0.1, "gap", {"sid": 1, "expected": "2", "got": 502, "missing": 500})],
    ],
)
def test_an_entry_that_cannot_be_of_a_gap_over_midnight_is_found(tmp_path, entries):
    over_midnight(tmp_path, *entries, (0.1, trade(502)), (9, "stopped", {}))
    [(day, line, text)] = told(verdicts(tmp_path))
    assert (day, line) == ("2026-09-21", 1)
    assert text.startswith("has no gap before it, though the ledger says so: sid ")


def test_a_gap_at_the_beginning_of_a_new_connection_is_none(tmp_path):
    write_day(tmp_path, "2026-09-21", (0, "started", KALSHI), (0, "connected", {}), gap(1, 2, 502), (1, trade(502)))
    [(_, line, text)] = told(verdicts(tmp_path))
    assert line == 1
    assert text == "has no gap before it, though the ledger says so: sid 1, expected 2, got 502, 500 missing"


@pytest.mark.parametrize("dialects", [(GENERIC, KALSHI), (KALSHI, GENERIC), (KALSHI, GENERIC, KALSHI)])
@pytest.mark.parametrize("sealed", [True, False])
def test_each_connection_of_a_day_is_read_by_the_dialect_it_spoke(tmp_path, dialects, sealed):
    happened: list[tuple] = []
    for number, dialect in enumerate(dialects):
        told_of = [gap(10 * number + 3, 2, 5)] if dialect is KALSHI else []
        happened += [(10 * number, "started", dialect), (10 * number + 1, "connected", {}), (10 * number + 2, trade(1))]
        happened += [*told_of, (10 * number + 3, trade(5))]
    write_day(tmp_path, "2026-09-20", *happened, sealed=sealed)
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    assert verdict.examination.manifest.sequence_gaps == dialects.count(KALSHI)
    numbered = [len(session.sequences) for session in verdict.examination.manifest.sessions]
    assert numbered == [int(dialect is KALSHI) for dialect in dialects]


def test_a_connection_that_went_on_from_the_day_before_is_read_by_its_own_dialect(tmp_path):
    day = [
        (1, trade(2)),
        (2, trade(9)),
        (3, "stopped", {}),
        (4, "started", KALSHI),
        (4, "connected", {}),
        (5, trade(1)),
    ]
    write_day(tmp_path, "2026-09-20", (0, "continued", {"from": "2026-09-19", **GENERIC}), *day)
    assert told(verdicts(tmp_path)) == []
