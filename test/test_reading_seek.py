"""Bisection finds what reading the whole file would find, and is not used where it could miss something."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd.reading.merge import merged
from ssmd.reading.seek import blocks, lines_before, ranges
from ssmd.reading.selection import Selection
from ssmd.store.head import time_key
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import timestamp

NS = 1_790_000_000_000_000_000


def time_of(ms: int) -> bytes:
    return timestamp(NS + ms * 1_000_000)[:-1].encode()


def make_day(root: Path, *runs: list[int], width: int = 10) -> tuple[Path, list[bytes]]:
    """Write a day and its ledger, a run for each list of times in ms; return its path and lines."""
    folder = root / "2026-09-21"
    folder.mkdir(exist_ok=True)
    encoder = LineEncoder("a")
    lines: list[bytes] = []
    ledger = b""
    for times in runs:
        ledger += encode_entry(Entry(NS, "started", sum(map(len, lines)), len(lines), {}))
        lines += [encoder.encode(NS + ms * 1_000_000, [b'{"x":"%b"}' % (b"x" * (ms * 7 % width))]) for ms in times]
    (folder / "a.jsonl").write_bytes(b"".join(lines))
    (folder / "a.ledger.jsonl").write_bytes(ledger)
    return folder / "a.jsonl", lines


@settings(max_examples=150)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=30).map(sorted), min_size=1, max_size=3),
    st.integers(-1, 41),
    st.integers(-1, 41),
)
def test_the_ranges_hold_exactly_the_lines_of_a_span_of_time(tmp_path, runs, begin, end):
    path, lines = make_day(tmp_path, *runs)
    found = ranges(data_files([path])[0], time_of(begin), time_of(end))
    assert found is not None
    wanted = b"".join(line for line in lines if time_of(begin) <= time_key(line) < time_of(end))
    assert b"".join(block for span in found for block in blocks(path, *span)) == wanted


def test_an_entry_with_a_damaged_offset_does_not_hide_where_a_run_begins(tmp_path):
    """The clock was set back between the two runs, so that a search of both together would miss lines."""
    path, lines = make_day(tmp_path, list(range(1000, 1100)), list(range(100)))
    with open(path.with_name("a.ledger.jsonl"), "ab") as ledger:
        ledger.write(encode_entry(Entry(NS, "stopped", 5, 0, {})))
    found = ranges(data_files([path])[0], time_of(1020), time_of(1030))
    assert found is not None
    assert b"".join(block for span in found for block in blocks(path, *span)) == b"".join(lines[20:30])


def test_only_a_part_of_a_long_file_is_read(tmp_path):
    path, lines = make_day(tmp_path, list(range(20_000)), width=500)
    file = data_files([path])[0]
    [(start, stop)] = ranges(file, time_of(5000), time_of(5010)) or []
    assert path.read_bytes()[start:stop] == b"".join(lines[5000:5010])
    assert lines_before(path, start) == 5000
    assert b"".join(blocks(path, 0, path.stat().st_size)) == path.read_bytes()


def test_a_file_without_a_usable_ledger_or_with_damage_is_read_as_a_whole(tmp_path):
    path, lines = make_day(tmp_path, list(range(100)))
    file = data_files([path])[0]
    ledger = path.with_name("a.ledger.jsonl")
    kept = ledger.read_bytes()
    for wrong in (b"", b"no ledger\n", encode_entry(Entry(NS, "started", 77, 1, {}))):
        ledger.write_bytes(wrong)
        assert ranges(file, time_of(5), time_of(9)) is None
    ledger.unlink()
    assert ranges(file, time_of(5), time_of(9)) is None
    ledger.write_bytes(kept)
    path.write_bytes(b"".join(lines[:50]) + b"\0\n" * 3000 + b"".join(lines[50:]))
    assert ranges(file, time_of(5), time_of(9)) is None


@pytest.mark.parametrize("tail", [b'{"ts":"2026', b"x" * 100_000])
def test_a_torn_end_is_not_part_of_a_range(tmp_path, tail):
    path, lines = make_day(tmp_path, list(range(10)))
    with path.open("ab") as file:
        file.write(tail)
    [(start, stop)] = ranges(data_files([path])[0], time_of(8), b"~") or []
    assert path.read_bytes()[start:stop] == b"".join(lines[8:])


def test_damage_in_a_part_of_a_file_is_reported_with_its_number_in_the_file(tmp_path):
    path, lines = make_day(tmp_path, list(range(1000)))
    damaged = lines[905].replace(b'"x":', b'"x";')
    path.write_bytes(b"".join([*lines[:905], damaged, *lines[906:]]))
    troubles: list[str] = []
    selection = Selection(time_of(900), time_of(910))
    found = b"".join(merged(data_files([path]), selection, trouble=lambda trouble: troubles.append(str(trouble))))
    assert found == b"".join([*lines[900:905], *lines[906:910]])
    assert troubles == [f"{path}:906: not a line of ssmd"]
