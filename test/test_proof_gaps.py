"""A day with a gap at each message: found like any other gaps, with little said and little memory taken."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.proof.gaps import FoundGap, Gaps, differing, gap_of
from ssmd.proof.scan import MOST_FINDINGS, Scan
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.reading.seek import ranges
from ssmd.reports.figures import gather
from ssmd.store.entries import Entries
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.ledger import FIRST_OF_A_RUN, OF_A_LINE, Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import DAY_NS, day_begins

DAY = "2025-12-22"
BEGIN = day_begins(DAY)
SECOND = 1_000_000_000
BYTES_A_GAP = 200
"""An entry takes 800 when it is kept as an object, and 94 otherwise."""


def record(root: Path, count: int, *, step: int = 2, said: Callable[[int, Entry], Iterable[bytes]]) -> DayFile:
    """A day of so many messages, each but the first with a number `step` after the one before.

    `said`: the lines of its ledger before a message, by its place and the entry of the gap that 2 would be.
    """
    folder = root / DAY
    folder.mkdir(parents=True)
    encoder = LineEncoder("kalshi")
    size = 0
    ledger = [
        encode_entry(Entry(BEGIN, "started", 0, 0, {"version": "9.9", "exchange": "kalshi"})),
        encode_entry(Entry(BEGIN, "connected", 0, 0, {})),
    ]
    with open(folder / "kalshi.jsonl", "wb") as data:
        for place in range(count):
            ns = BEGIN + place * 1_000_000
            if place:
                fields = {"sid": 1, "expected": 2 * place, "got": 2 * place + 1, "missing": 1}
                ledger += said(place, Entry(ns, "gap", size, place, fields))
            line = encoder.encode(ns, [b'{"type":"trade","sid":1,"seq":%d,"msg":{}}' % (1 + step * place)])
            size += data.write(line)
    fields = {"reason": "SIGTERM", "lines": count, "bytes": size}
    ledger.append(encode_entry(Entry(BEGIN + DAY_NS - SECOND, "stopped", size, count, fields)))
    (folder / "kalshi.ledger.jsonl").write_bytes(b"".join(ledger))
    [file] = data_files([root])
    return file


def as_it_is(_: int, entry: Entry) -> list[bytes]:
    return [encode_entry(entry)]


def peak(work: Callable[[], object]) -> int:
    """The most bytes of memory that it needs beyond what there is."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def works(root: Path, file: DayFile) -> dict[str, Callable[[], object]]:
    now_ns = BEGIN + 2 * DAY_NS
    return {
        "cat --from": lambda: ranges(file, b"2025-12-22T00:00:01", b"2025-12-22T00:00:02"),
        "report": lambda: gather(root, 7, now_ns, trouble=pytest.fail, progress=lambda file: None),
        "verify": lambda: verify(file),
        "seal": lambda: seal(file, now_ns),
        "verify, sealed": lambda: verify(file),
    }


def test_a_gap_takes_little_memory(tmp_path):
    few, many = 2_000, 10_000
    peaks = []
    for count in (few, many):
        file = record(tmp_path / str(count), count, said=as_it_is)
        peaks.append({name: peak(work) for name, work in works(tmp_path / str(count), file).items()})
        verdict = verify(file)
        assert verdict.examination.manifest.sequence_gaps == verdict.examination.manifest.missing == count - 1
        assert (verdict.sealed, verdict.findings) == (True, [])
    for name, after in peaks[1].items():
        assert (after - peaks[0][name]) / (many - few) < BYTES_A_GAP, name


COUNT = 100


@pytest.mark.parametrize(
    ("step", "said", "first", "rest"),
    [
        (2, lambda *_: [], "follows a gap that the ledger does not have: sid 1, expected 2, got 3, 1 missing",
         "and 79 more lines, each of which follows a gap that the ledger does not have"),
        (1, as_it_is, "has no gap before it, although the ledger has one there: sid 1, expected 2, got 3, 1 missing",
         "and 79 more gaps that only the ledger has"),
        (1, lambda *_: [b"oops\n"], "line 3 of the ledger is not a ledger entry",
         "and 79 more lines of the ledger are not ledger entries"),
    ],
    ids=["unsaid", "untrue", "no entries"],
)  # fmt: skip
def test_of_many_gaps_that_are_wrong_the_first_are_named(tmp_path, step, said, first, rest):
    findings = verify(record(tmp_path, COUNT, step=step, said=said)).findings
    assert len(findings) == MOST_FINDINGS + 1
    assert findings[0].text == first
    assert tuple(findings[-1]) == (None, rest)
    assert [finding.line for finding in findings[:-1]] in ([None] * MOST_FINDINGS, [*range(2, MOST_FINDINGS + 2)])


def test_a_gap_that_is_told_of_twice_or_in_another_place_among_many_is_one(tmp_path):
    def said(place: int, entry: Entry) -> list[bytes]:
        if place == 40:  # Its number of lines is wrong, its place is not.
            return [encode_entry(entry._replace(line=60))]
        return [encode_entry(entry)] * (1 + (place == 20))

    found = [tuple(finding) for finding in verify(record(tmp_path, COUNT, said=said)).findings]
    offset = sum(map(len, (tmp_path / DAY / "kalshi.jsonl").read_bytes().splitlines(keepends=True)[:40]))
    assert found == [
        (61, f"does not begin at byte {offset}, where the ledger puts `gap`: lines before it are missing, added or "
         "changed"),
        (41, "follows a gap that the ledger does not have: sid 1, expected 80, got 81, 1 missing"),
        (61, "has no gap before it, although the ledger has one there: sid 1, expected 80, got 81, 1 missing"),
    ]  # fmt: skip


numbers = st.one_of(st.integers(-2, 3), st.just(2**63 - 1), st.just(2**63), st.just(2**70))
oddities = st.sampled_from([{}, {"sid": 1}, {"missing": True}, {"got": "x"}, {"more": 1}])


@st.composite
def gap_fields(draw):
    fields = {name: draw(numbers) for name in ("sid", "expected", "got", "missing")}
    return fields | draw(st.one_of(st.just({}), oddities))


def ledger_entries(event, offset, line, ts_ns, fields):
    return Entry(ts_ns, event, offset, line, fields)


events = st.sampled_from(["gap"] * 9 + ["subscribed", "started", "connected", "stopped"])
some_entries = st.lists(
    st.builds(ledger_entries, events, st.integers(0, 6), numbers, st.sampled_from([0, BEGIN, 2**64]), gap_fields()),
    max_size=30,
)


@given(some_entries, st.booleans())
def test_entries_are_those_that_a_plain_list_would_keep(entries, in_order):
    if in_order:  # So that there are many gaps in a row.
        entries.sort(key=lambda entry: entry.offset)
    expected: list[Entry] = []
    for entry in entries:
        expected = [other for other in expected if other.offset <= entry.offset]
        if entry.event in FIRST_OF_A_RUN:
            expected = [other for other in expected if other.offset != entry.offset or other.event not in OF_A_LINE]
        expected.append(entry)
    found = Entries(entries)
    assert list(found) == expected
    assert len(found) == len(expected)
    assert [type(value) for entry in found for value in entry.fields.values()] == [
        type(value) for entry in expected for value in entry.fields.values()
    ]
    # Those that have a gap on either side may be left out of an outline, and nothing else may.
    inner = [
        "gap" == before.event == entry.event == after.event
        for before, entry, after in zip(expected, expected[1:], expected[2:], strict=False)
    ]
    needed = [entry for entry, left_out in zip(expected, [False, *inner, False], strict=False) if not left_out]
    assert is_within(needed, found.outline())
    assert is_within(found.outline(), expected)


def is_within(some: list[Entry], more: list[Entry]) -> bool:
    """Whether all of them are there, in this order."""
    rest = iter(more)
    return all(entry in rest for entry in some)


found_gaps = st.builds(FoundGap, st.integers(0, 5), st.integers(1, 2), numbers, numbers, st.integers(0, 2))


@given(st.lists(found_gaps, max_size=20), st.lists(found_gaps, max_size=20), st.integers(0, 6), st.booleans())
def test_the_gaps_that_differ_are_those_of_sets(told, others, lines, in_order):
    if in_order:
        told.sort()
    real = Gaps()
    shared = [*others, *(gap for gap in told[::2] if gap.line < lines)]
    for gap in shared:
        real.add(gap)
    assert (len(real), real.missing) == (len(shared), sum(gap.missing for gap in shared))
    assert list(real) == sorted(shared)
    ledger = Entries(
        Entry(0, "gap", 0, gap.line, dict(zip(FoundGap._fields[1:], gap[1:], strict=True))) for gap in told
    )
    assert list(map(gap_of, ledger)) == told
    said = {gap for gap in told if gap.line < lines}
    assert list(differing(ledger, real, lines)) == sorted(
        [(gap, True) for gap in said - set(shared)] + [(gap, False) for gap in set(shared) - said]
    )


@given(
    st.lists(st.integers(1, 3), max_size=8),
    st.sets(st.integers(1, 8)),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 0, 1]), st.integers(0, 10)), max_size=3),
    st.integers(0, 8),
)
def test_the_first_entry_that_is_misplaced_is_found_however_the_lines_are_cut_into_blocks(widths, cuts, others, places):
    lines = [b"x" * (width - 1) + b"\n" for width in widths]
    offsets = [sum(widths[:place]) for place in range(len(lines) + 1)]
    right = list(zip(offsets, range(len(offsets)), strict=True))[:places]
    ends = [*offsets, *range(offsets[-1] + 1, 30)]
    told = [*right, *((ends[place] + more, line) for place, more, line in others)]
    entries = [Entry(BEGIN, "mark", offset, line, {}) for offset, line in sorted(told, key=lambda place: place[0])]
    scan = Scan("kalshi", DAY, entries)
    edges = sorted({0, len(lines), *(cut for cut in cuts if cut < len(lines))})
    for begin, end in itertools.pairwise(edges):
        scan.take(b"".join(lines[begin:end]))
    wrong = (
        entry
        for entry in entries
        if entry.offset <= offsets[-1] and (entry.line, entry.offset) not in enumerate(offsets)
    )
    assert scan.misplaced == next(wrong, None)
