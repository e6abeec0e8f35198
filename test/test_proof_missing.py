"""Days that are missing are found from what is beside them, and an honest history has none, whatever the clock did."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from process import ssmd
from recorded import KALSHI, Happened, fail, over_midnight, trade, write_day
from recorded_runs import (
    BEGIN,
    DAY,
    HOUR,
    NOON,
    SECOND,
    all_findings,
    ledger_in,
    record_day,
    record_run,
    seal_all,
    verdicts,
)

from ssmd.proof.advisories import advisories
from ssmd.proof.missing import missing_files
from ssmd.reports.gather import gather
from ssmd.store.inventory import day_folders
from ssmd.store.ledger import decode_entry, encode_entry


def missing(storage: Path) -> list[str]:
    return missing_files([storage], verdicts(storage))


def test_a_day_that_a_full_disk_prevented_is_not_missing_when_the_next_start_is_on_the_day_before(tmp_path):
    record_run(tmp_path, NOON, NOON + SECOND, NOON + DAY, end="full")
    record_run(tmp_path, NOON + HOUR, NOON + HOUR + SECOND)
    assert missing(tmp_path) == []


def test_a_day_that_was_begun_at_midnight_and_removed_is_missing(tmp_path):
    record_run(tmp_path, NOON, NOON + SECOND, NOON + DAY)
    record_run(tmp_path, NOON + 2 * DAY, NOON + 2 * DAY + SECOND)
    shutil.rmtree(tmp_path / "2026-09-21")
    assert missing(tmp_path) == [
        f"{tmp_path}/2026-09-21/kalshi.jsonl: is missing; the ledger of 2026-09-20 mentions it"
    ]


@pytest.mark.parametrize("end", ["stopped", "disconnected", "killed", "torn"])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_day_in_the_middle_that_was_removed_with_all_its_files_is_missing(tmp_path, end, sealed):
    for day in range(4):
        record_run(tmp_path, NOON + day * DAY, NOON + day * DAY + HOUR, end=end)
    if sealed:
        seal_all(tmp_path, "2026-09-23")
    assert (all_findings(verdicts(tmp_path)), missing(tmp_path)) == ([], [])
    kept = shutil.copytree(tmp_path / "2026-09-21", tmp_path / "kept")
    shutil.rmtree(tmp_path / "2026-09-21")
    [text] = missing(tmp_path)
    assert text.startswith(f"{tmp_path}/2026-09-22/kalshi.jsonl: begins after an outage from 2026-09-21T13:00:0")
    assert re.search(r"of the days before ends at 2026-09-20T13:00:0[01]\.000000Z, on 2026-09-20: what was", text)
    # A day that is here and was not verified is not missing.
    kept.rename(tmp_path / "2026-09-21")
    folders = [tmp_path / "2026-09-20", tmp_path / "2026-09-22"]
    assert missing_files(folders, verdicts(*folders)) == []
    # Old days may be moved away.
    shutil.rmtree(tmp_path / "2026-09-20")
    shutil.rmtree(tmp_path / "2026-09-21")
    assert missing(tmp_path) == []


def test_a_connection_that_stayed_open_for_days_without_a_message_leaves_no_day_missing(tmp_path):
    record_run(tmp_path, NOON, NOON + SECOND, end="killed")
    idle: Happened = [(0, "started", KALSHI), (0, "connected", {}), (5, trade(1)), (3 * 86400, "stopped", {})]
    write_day(tmp_path, "2026-09-21", *idle, sealed=False)
    record_run(tmp_path, NOON + 5 * DAY, NOON + 5 * DAY + SECOND)
    [outage] = [entry for entry in verdicts(tmp_path)[-1].entries if entry.event == "outage"]
    assert outage.fields["from"] == "2026-09-24T00:00:00.000000Z"
    assert missing(tmp_path) == []


def test_a_day_on_which_nothing_connected_is_not_missing(tmp_path):
    record_run(tmp_path, NOON, NOON + SECOND)
    record_run(tmp_path, NOON + DAY, connected=False)
    record_run(tmp_path, NOON + 2 * DAY, NOON + 2 * DAY + SECOND)
    assert missing(tmp_path) == []
    shutil.rmtree(tmp_path / "2026-09-21")
    assert missing(tmp_path) == []


def test_a_day_that_was_continued_after_the_clock_went_back_leaves_no_day_missing(tmp_path):
    """The outage on the 21st begins at an end on the 20th that is no longer the last one in its file."""
    for end in ("stopped", "killed"):
        record_run(tmp_path / end, NOON, NOON + 11 * HOUR, end=end)
        record_run(tmp_path / end, NOON + 13 * HOUR, NOON + 14 * HOUR)
        record_run(tmp_path / end, NOON + 2 * HOUR, NOON + 3 * HOUR)
        assert missing(tmp_path / end) == []


jumps = st.sampled_from([SECOND, HOUR, 5 * HOUR, DAY, DAY, 3 * DAY, -HOUR, -13 * HOUR, -DAY, -3 * DAY])
ends = st.sampled_from(["stopped", "disconnected", "killed", "torn"])
runs = st.tuples(
    jumps, st.lists(st.sampled_from([1, SECOND, HOUR, 13 * HOUR, 2 * DAY]), max_size=4), ends, st.booleans()
)


@settings(max_examples=40)
@given(st.lists(runs, min_size=2, max_size=6), st.integers(0, 3))
def test_whatever_the_clock_did_an_honest_history_has_no_day_missing(histories, moved_away):
    with tempfile.TemporaryDirectory() as folder:
        storage, now = Path(folder), NOON
        for jump, later, end, connected in histories:
            now += jump
            times = list(itertools.accumulate(later, initial=now))[1:]
            record_run(storage, now, *times, end=end, connected=connected)
            now = max([now, *times])
        for day in day_folders(storage)[:moved_away]:
            shutil.rmtree(day)
        assert missing(storage) == []


def test_a_day_on_another_disk_is_a_day_of_the_storage_that_links_to_it(tmp_path):
    """Its ledger continues in the next day, and a day without a manifest is older than one that has a manifest."""
    over_midnight(tmp_path / "data", (1, trade(2)), (2, "rotated", {"to": "2026-09-22"}))
    write_day(tmp_path / "data", "2026-09-22", (0, "continued", {"from": "2026-09-21", **KALSHI}), (1, trade(3)))
    (tmp_path / "old").mkdir()
    for day in ("2026-09-20", "2026-09-21"):
        (tmp_path / "data" / day).rename(tmp_path / "old" / day)
        (tmp_path / "data" / day).symlink_to(tmp_path / "old" / day)
    (tmp_path / "old" / "2026-09-21" / "kalshi.manifest.json").unlink()
    found = verdicts(tmp_path / "data")
    assert missing_files([tmp_path / "data"], found) == []
    [advisory] = advisories(found)
    assert "2026-09-21/kalshi.jsonl: has no manifest, but a later day has one" in advisory
    (tmp_path / "old" / "2026-09-20" / "kalshi.jsonl").unlink()
    [text] = missing_files([tmp_path / "data"], verdicts(tmp_path / "data"))
    assert text.startswith(f"{tmp_path}/data/2026-09-20/kalshi.jsonl: is missing; kalshi.")


def test_a_link_of_another_name_leads_to_the_day_and_its_storage(tmp_path):
    over_midnight(tmp_path / "data", (1, trade(2)), (2, "rotated", {"to": "2026-09-22"}))
    write_day(tmp_path / "data", "2026-09-22", (0, "continued", {"from": "2026-09-21", **KALSHI}), (1, trade(3)))
    link = tmp_path / "yesterday"
    link.symlink_to(tmp_path / "data" / "2026-09-21")
    assert missing_files([link], verdicts(link)) == []


def test_days_without_a_message_on_an_open_connection_are_not_missing(tmp_path):
    """A connection is open from the 22nd to noon of the 24th, and a minute later there is another."""
    record_day(tmp_path, count=20)
    ledger = ledger_in(tmp_path)
    *lines, stopped = ledger.read_bytes().splitlines(keepends=True)
    noon = BEGIN + 2 * DAY + DAY // 2
    ledger.write_bytes(b"".join([*lines, encode_entry(decode_entry(stopped)._replace(ts_ns=noon))]))
    record_day(tmp_path, first_ns=noon + 60 * SECOND, count=20)
    assert ssmd("verify", tmp_path).returncode == 0
    found = gather(tmp_path, 7, BEGIN + 9 * DAY, trouble=fail, progress=lambda file: None)
    assert [figures.day for figures in found] == ["2025-12-22", "2025-12-23", "2025-12-24"]
    _, quiet, last = found
    assert (quiet.messages, quiet.coverage, list(quiet.outages)) == (0, 100, [])
    gap = last.outages[0]
    assert (gap.from_[:19], gap.seconds, gap.cause) == ("2025-12-24T12:00:00", 60, "stopped")


def test_a_missing_day_is_found_from_the_ledgers_of_its_neighbours(tmp_path):
    record_day(tmp_path, count=40, step_ns=6 * HOUR)
    days = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert len(days) > 3
    assert missing(tmp_path) == []
    shutil.rmtree(tmp_path / days[2])
    [path] = {text.partition(":")[0] for text in missing(tmp_path)}
    assert path.endswith(f"{days[2]}/kalshi.jsonl")
    shutil.rmtree(tmp_path / days[0])  # Old days may be moved away.
    assert missing(tmp_path)[0].startswith(path)
