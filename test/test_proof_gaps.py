"""A day with a gap at each message: its gaps take little memory, and are compared exactly with the ledger's."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import GAPS_DAY, fail, write_day, write_gaps

from ssmd.contracts.events import Gap
from ssmd.exchange.catalog import EXCHANGES
from ssmd.proof.gaps import NOT_KNOWN, FoundGap, Gaps, differing, gap_of
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.reading.seek import ranges
from ssmd.reports.gather import gather
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.ledger import Entry, gap_fields
from ssmd.store.packed_entries import Entries
from ssmd.store.timestamps import DAY_NS, day_begins

BYTES_A_GAP = 200
"""An entry takes 800 bytes as an object, and 94 when it is packed."""


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes of memory that some work needs beyond those in use before it."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def works(storage: Path, file: DayFile) -> dict[str, Callable[[], object]]:
    now_ns = day_begins(GAPS_DAY) + 2 * DAY_NS
    return {
        "cat --from": lambda: ranges(file, b"2025-12-22T00:00:01", b"2025-12-22T00:00:02"),
        "report": lambda: gather(storage, 7, now_ns, trouble=fail, progress=lambda file: None),
        "verify": lambda: verify(file),
        "seal": lambda: seal(file, now_ns),
        "verify, sealed": lambda: verify(file),
    }


def test_a_gap_takes_little_memory(tmp_path):
    few, many = 2_000, 10_000
    peaks = []
    for count in (few, many):
        file = write_gaps(tmp_path / str(count), count)
        peaks.append({name: peak(work) for name, work in works(tmp_path / str(count), file).items()})
        verdict = verify(file)
        assert verdict.examination.manifest.sequence_gaps == verdict.examination.manifest.missing == count - 1
        assert (verdict.sealed, verdict.findings) == (True, [])
    for name, after in peaks[1].items():
        assert (after - peaks[0][name]) / (many - few) < BYTES_A_GAP, name


def write_chain(storage: Path, count: int) -> DayFile:
    """Write a day of `count` messages of 50 markets, each but the first of a market after a gap of unknown size."""
    description = {"paths": {"market": "s", "sequence": {"previous": ["p", "n"], "scope": "market"}}}
    inspector = EXCHANGES["generic"].described(description).inspector()
    messages = [b'{"s":"M%d","p":%d,"n":%d}' % (n % 50, 3 * n + 1, 3 * n + 2) for n in range(count)]
    fields = {"version": "9.9", "exchange": "generic", "description": description}
    happened: list[Any] = [(0, "started", fields), (0, "connected", {})]
    for second, message in enumerate(messages):
        for found in inspector.inspect([message]).events:
            assert isinstance(found, Gap)
            fields = gap_fields(found.sid, found.expected, found.got, found.missing, found.name)
            happened.append((second, "gap", fields))
        happened.append((second, message))
    [file] = data_files([write_day(storage, GAPS_DAY, *happened, (86_000, "stopped", {}), sealed=False)])
    return file


def test_a_gap_of_a_market_whose_size_nobody_knows_takes_as_little(tmp_path):
    few, many = 2_000, 10_000
    peaks = []
    for count in (few, many):
        file = write_chain(tmp_path / str(count), count)
        peaks.append({name: peak(work) for name, work in works(tmp_path / str(count), file).items()})
        verdict = verify(file)
        manifest = verdict.examination.manifest
        assert (manifest.sequence_gaps, manifest.missing) == (count - 50, None)
        assert (verdict.sealed, verdict.findings) == (True, [])
    for name, after in peaks[1].items():
        assert (after - peaks[0][name]) / (many - few) < BYTES_A_GAP, name


numbers = st.one_of(st.integers(-2, 3), st.just(2**63 - 1), st.just(2**63), st.just(2**70))
found_gaps = st.builds(FoundGap, st.integers(0, 5), st.integers(1, 2), numbers, numbers, st.integers(NOT_KNOWN, 2))


def fields_of(gap: FoundGap) -> dict[str, Any]:
    """Return the fields of the ledger's entry of a gap."""
    _, sid, expected, got, missing = gap
    return gap_fields(sid, expected, got, None if missing == NOT_KNOWN else missing, "")


@pytest.mark.parametrize("damaged", [{"missing": -1}, {"missing": "1"}, {}])
def test_a_damaged_number_is_not_taken_for_one_that_is_not_known(damaged):
    whole = {"sid": 1, "expected": 2, "got": 4}
    assert gap_of(Entry(0, "gap", 0, 5, {**whole, "missing": None})) == FoundGap(5, 1, 2, 4, NOT_KNOWN)
    assert gap_of(Entry(0, "gap", 0, 5, {**whole, **damaged})).missing not in (NOT_KNOWN, 0, 1)


@given(st.lists(found_gaps, max_size=20), st.lists(found_gaps, max_size=20), st.integers(0, 6), st.booleans())
def test_the_gaps_that_differ_are_those_that_sets_give(of_ledger, others, lines, in_order):
    if in_order:
        of_ledger.sort()
    real = Gaps()
    shared = [*others, *(gap for gap in of_ledger[::2] if gap.line < lines)]
    for gap in shared:
        real.add(gap)
    counts = [gap.missing for gap in shared]
    assert (len(real), real.missing) == (len(shared), None if NOT_KNOWN in counts else sum(counts))
    assert list(real) == sorted(shared)
    ledger = Entries(Entry(0, "gap", 0, gap.line, fields_of(gap)) for gap in of_ledger)
    assert list(map(gap_of, ledger)) == of_ledger
    expected = {gap for gap in of_ledger if gap.line < lines}
    assert list(differing(ledger, real, lines)) == sorted(
        [(gap, True) for gap in expected - set(shared)] + [(gap, False) for gap in set(shared) - expected]
    )
