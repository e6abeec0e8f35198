"""A day is read back together with its ledger, each connection by its own dialect."""

from __future__ import annotations

import pytest
from recorded import GENERIC, KALSHI, Happened, gap, trade, write_day
from recorded_runs import (
    all_findings,
    data_in,
    findings_in,
    ledger_in,
    record_day,
    verdicts,
)

from ssmd.proof import examine as examining
from ssmd.store.ledger import decode_entry
from ssmd.store.ledger_file import read_ledger


def test_what_is_written_while_a_day_is_examined_is_no_finding(tmp_path, monkeypatch):
    """The rest of the day, with a gap and the end of the run, is written after the size or the ledger was read."""
    record_day(tmp_path)
    ledger = ledger_in(tmp_path)
    whole, entries = data_in(tmp_path).read_bytes(), ledger.read_bytes()
    early = b"".join(line for line in entries.splitlines(keepends=True) if decode_entry(line).line < 20)
    read = read_ledger

    def written_after(path):
        seen = read(path)
        ledger.write_bytes(entries)
        data_in(tmp_path).write_bytes(whole)
        return seen

    def written_before(path):
        ledger.write_bytes(entries)
        data_in(tmp_path).write_bytes(whole)
        return read(path)

    for writes in (written_after, written_before):
        ledger.write_bytes(early)
        data_in(tmp_path).write_bytes(b"".join(whole.splitlines(keepends=True)[:20]) + b'{"ts":')
        monkeypatch.setattr(examining, "read_ledger", writes)
        assert findings_in(tmp_path) == []


@pytest.mark.parametrize("dialects", [(GENERIC, KALSHI), (KALSHI, GENERIC), (KALSHI, GENERIC, KALSHI)])
@pytest.mark.parametrize("sealed", [True, False])
def test_each_connection_of_a_day_is_read_by_its_own_dialect(tmp_path, dialects, sealed):
    happened: list[tuple] = []
    for number, dialect in enumerate(dialects):
        entries = [gap(10 * number + 3, 2, 5)] if dialect is KALSHI else []
        happened += [(10 * number, "started", dialect), (10 * number + 1, "connected", {}), (10 * number + 2, trade(1))]
        happened += [*entries, (10 * number + 3, trade(5))]
    write_day(tmp_path, "2026-09-20", *happened, sealed=sealed)
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    # What a connection without numbers has lost is not known, so the sum of the day is not known either.
    assert verdict.examination.manifest.sequence_gaps is None
    gaps = [one.gaps for session in verdict.examination.manifest.sessions for one in session.sequences]
    assert gaps == [1] * dialects.count(KALSHI)
    numbered = [len(session.sequences) for session in verdict.examination.manifest.sessions]
    assert numbered == [int(dialect is KALSHI) for dialect in dialects]


def test_a_connection_that_began_the_day_before_is_read_by_its_own_dialect(tmp_path):
    day: Happened = [
        (1, trade(2)),
        (2, trade(9)),
        (3, "stopped", {}),
        (4, "started", KALSHI),
        (4, "connected", {}),
        (5, trade(1)),
    ]
    write_day(tmp_path, "2026-09-20", (0, "continued", {"from": "2026-09-19", **GENERIC}), *day)
    assert all_findings(verdicts(tmp_path)) == []
