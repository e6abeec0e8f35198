"""Which lines of a day belong to no connection of its ledger, and which were imported."""

from __future__ import annotations

import pytest
from recorded import GENERIC, KALSHI, Happened, gap, trade, write_day
from recorded_runs import all_findings, verdicts

from ssmd.proof.unconnected import imported_lines, unconnected_lines
from ssmd.store.ledger import Entry


def entries(*events: tuple[str, int]) -> list[Entry]:
    return [Entry(0, event, line, line, {}) for event, line in events]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("started", 0), ("connected", 0), ("stopped", 9), ("started", 9), ("connected", 9)], []),
        ([("continued", 0), ("rotated", 9)], []),
        ([("started", 0), ("connected", 0), ("started", 5), ("connected", 5)], []),  # Killed at 5.
        ([("started", 0), ("stopped", 5), ("started", 5), ("connected", 5)], [(1, 5)]),
        ([("started", 0), ("connected", 3), ("disconnected", 5), ("connected", 7), ("stopped", 9)], [(1, 3), (6, 7)]),
        ([("continued", 0), ("disconnected", 4), ("stopped", 4), ("outage", 4), ("started", 4)], [(5, 9)]),
        ([("imported", 0)], []),
        ([("imported", 0), ("outage", 6), ("started", 6), ("stopped", 9)], [(7, 9)]),
        ([], []),  # The ledger has no beginning: that is a finding of its own.
    ],
)
def test_lines_without_a_connection_are_found(events, expected):
    assert list(unconnected_lines(entries(*events), 9)) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("started", 0), ("connected", 0)], 0),
        ([("imported", 0)], 9),
        ([("imported", 0), ("imported", 0), ("torn", 9)], 9),
        ([("imported", 0), ("outage", 6), ("started", 6)], 6),
        ([], 0),
    ],
)
def test_imported_lines_are_those_before_the_first_run(events, expected):
    assert imported_lines(entries(*events), 9) == expected


def imported(lines: int, **fields: object) -> tuple[float, str, dict]:
    return 0, "imported", {"source": "old.jsonl", "sha256": "0" * 64, "lines": lines, **fields}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("dialect", ["kalshi", "generic", None])
def test_an_imported_day_has_no_findings_and_an_unknown_coverage(tmp_path, sealed, dialect):
    """Gaps in its sequences are found within the day, by the import as by verify."""
    fields = {} if dialect is None else {"exchange": dialect}
    gaps = [gap(6, 2, 4)] if dialect == "kalshi" else []
    write_day(tmp_path, "2026-09-20", imported(2, **fields), (5, trade(1)), *gaps, (6, trade(4)), sealed=sealed)
    [verdict] = verdicts(tmp_path)
    assert (verdict.findings, list(verdict.notes)) == ([], [])
    manifest = verdict.examination.manifest
    assert (manifest.lines, manifest.gaps, manifest.listened_seconds, manifest.coverage_percent) == (2, *[None] * 3)
    assert (manifest.sequence_gaps, manifest.missing) == ((1, 2) if dialect == "kalshi" else (None, None))


def test_a_line_that_is_missing_from_an_imported_day_is_found(tmp_path):
    write_day(tmp_path, "2026-09-20", imported(2), imported(1), (5, trade(1)), (6, trade(2)), sealed=False)
    assert all_findings(verdicts(tmp_path)) == [
        ("2026-09-20", 2, "is the last line before the first run, but the ledger has 3 imported lines")
    ]


def test_a_run_may_go_on_with_an_imported_day(tmp_path):
    start: Happened = [(10, "outage", {"from": "x"}), (10, "started", KALSHI), (10, "connected", {})]
    write_day(tmp_path, "2026-09-20", imported(2, **GENERIC), (5, trade(1)), (6, trade(4)), *start, (11, trade(7)))
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    assert verdict.examination.manifest.coverage_percent is None
