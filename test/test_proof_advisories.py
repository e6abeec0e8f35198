"""What may be in order is an advisory, and no finding."""

from __future__ import annotations

import shutil

import zstandard
from process import ssmd
from recorded import GENERIC, KALSHI, trade, write_day
from recorded_runs import (
    DAY,
    HOUR,
    NOON,
    SECOND,
    all_findings,
    data_in,
    record_day,
    record_run,
    seal_all,
    verdicts,
)

from ssmd.contracts.exchange import LOSS_NOT_DETECTED
from ssmd.proof.advisories import advisories
from ssmd.proof.missing import missing_files
from ssmd.store.ledger import decode_entry, encode_entry


def test_what_may_have_been_moved_away_is_a_note_and_0(tmp_path):
    record_day(tmp_path, count=40, step_ns=6 * HOUR)
    first, second, *_, last = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    seal_all(tmp_path, last)
    assert "note:" not in ssmd("verify", tmp_path).stdout
    assert "note:" not in ssmd("verify", tmp_path / second, tmp_path / last).stdout  # The others are here.
    shutil.rmtree(tmp_path / first)
    (tmp_path / second / "kalshi.manifest.json").unlink()
    ledger = tmp_path / last / "kalshi.ledger.jsonl"
    line = decode_entry(ledger.read_bytes().splitlines()[-1])
    ledger.write_bytes(ledger.read_bytes() + encode_entry(line._replace(event="torn", fields={"bytes": 3})))
    done = ssmd("verify", tmp_path)
    assert done.returncode == 0
    notes = [text for text in done.stdout.splitlines() if text.startswith("note: ")]
    assert len(notes) == 3
    assert f"{second}/kalshi.jsonl: has no manifest, but a later day has one" in notes[0]
    assert f"{second}/kalshi.jsonl: continues {first}, which is not here" in notes[1]
    assert f"{last}/kalshi.jsonl.torn: is not here" in notes[2]


def test_two_forms_of_a_day_are_an_advisory_when_they_have_the_same_lines_and_else_a_finding(own_storage):
    """A compaction that was killed leaves both forms."""
    plain = data_in(own_storage)
    packed = plain.with_name("kalshi.jsonl.zst")
    packed.write_bytes(zstandard.compress(plain.read_bytes()))
    [verdict] = verdicts(own_storage)
    assert verdict.findings == []
    [advisory] = advisories([verdict])
    assert advisory == f"{plain}: the same lines are also in kalshi.jsonl.zst; `ssmd compact` keeps one"
    for other in (plain.read_bytes()[:-1], plain.read_bytes() + b"x", b""):
        packed.write_bytes(zstandard.compress(other))
        [verdict] = verdicts(own_storage)
        [finding] = verdict.findings
        assert finding.text == "is also here as kalshi.jsonl.zst, which has other lines"
        assert list(advisories([verdict])) == []
    packed.write_bytes(b"")
    [(_, _, text)] = all_findings(verdicts(own_storage))
    assert "kalshi.jsonl.zst: cannot be read: it is empty" in text


def test_a_collector_that_ended_at_midnight_before_it_could_begin_the_new_day_is_an_advisory(tmp_path):
    record_run(tmp_path, NOON, NOON + SECOND, NOON + DAY, end="full")
    [text] = missing_files([tmp_path], verdicts(tmp_path))  # It looks the same as a newest day that was removed.
    assert text == f"{tmp_path}/2026-09-21/kalshi.jsonl: is missing; the ledger of 2026-09-20 mentions it"
    record_run(tmp_path, NOON + 2 * DAY, NOON + 2 * DAY + SECOND)
    seal_all(tmp_path)
    found = verdicts(tmp_path)
    assert (all_findings(found), missing_files([tmp_path], found)) == ([], [])
    [advisory] = advisories(found)
    day = tmp_path / "2026-09-21" / "kalshi.jsonl"
    assert advisory.startswith(f"{day}: is not here, although 2026-09-20 should continue in it")
    alone = [tmp_path / "2026-09-20"]
    assert missing_files(alone, verdicts(*alone)) == []


def test_a_feed_on_which_lost_messages_do_not_show_has_one_note(tmp_path):
    path = write_day(tmp_path, "2026-09-20", (0, "started", GENERIC), (0, "connected", {}), (1, b"{}"))
    [verdict] = verdicts(tmp_path)
    assert list(advisories([verdict])) == [f"{path}: {LOSS_NOT_DETECTED}"]
    write_day(tmp_path, "2026-09-21", (0, "started", GENERIC), (0, "connected", {}), (1, b"{}"))
    write_day(tmp_path, "2026-09-22", (0, "started", KALSHI), (0, "connected", {}), (1, trade(1)))
    write_day(tmp_path, "2026-09-23", (0, "started", GENERIC))  # Without a message nothing can be lost.
    found = [note for note in advisories(verdicts(tmp_path)) if LOSS_NOT_DETECTED in note]
    assert found == [f"{tmp_path}: on 2 of 4 days of kalshi {LOSS_NOT_DETECTED}"]
