"""The days of the report and their figures: those of the manifest or counted, and right for days that are not over."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from recorded import DAY, KALSHI, fail, make_day, write_day

from ssmd.errors import UsageError
from ssmd.proof.compact import candidates, compact
from ssmd.proof.pack_zst import ZstPacker
from ssmd.reports.columns import remark
from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.store.layout import DayFile
from ssmd.store.timestamps import day_begins
from ssmd.words import percent

LATER = day_begins("2026-12-01")


def figures(storage, *, days=7, now_ns=LATER, read=None):
    read = [] if read is None else read
    found = gather(storage, days, now_ns, trouble=fail, progress=lambda file: read.append(file.path.name))
    return {(each.feed, each.day): each for each in found}


def test_a_sealed_day_is_not_read_and_an_unsealed_one_gives_the_same(tmp_path):
    path = make_day(tmp_path, "2026-09-21", lost_after=100, connected=[(0, 40_000, "killed"), (50_000, DAY, "stopped")])
    read: list[str] = []
    sealed = figures(tmp_path, read=read)["kalshi", "2026-09-21"]
    assert (read, sealed.sealed) == ([], True)
    path.with_name("kalshi.manifest.json").unlink()
    counted = figures(tmp_path, read=read)["kalshi", "2026-09-21"]
    assert (read, counted.sealed) == (["kalshi.jsonl"], False)
    assert counted == Figures(**(sealed.__dict__ | {"sealed": False}))
    lines = path.read_bytes().count(b"\n")
    assert (sealed.messages, sum(sealed.by_hour), sum(sealed.by_type.values())) == (lines, lines, lines)
    assert (sealed.bytes, sealed.stored_bytes) == (path.stat().st_size,) * 2
    assert (sealed.sequence_gaps, sealed.missing) == (1, 3)
    [outage] = sealed.outages
    assert (outage.to[11:19], outage.cause) == ("13:53:20", "killed")
    assert sealed.coverage == pytest.approx(100 - outage.seconds / 864)
    assert (sealed.over, remark(sealed), remark(counted)) == (True, "", "not sealed")


def test_a_day_without_data_between_days_with_data_is_an_outage(tmp_path):
    make_day(tmp_path, "2026-09-21")
    make_day(tmp_path, "2026-09-24")
    make_day(tmp_path, "2026-09-22", feed="other")
    found = figures(tmp_path)
    assert list(found) == [("kalshi", f"2026-09-2{n}") for n in (1, 2, 3, 4)] + [
        ("other", f"2026-09-2{n}") for n in (2, 3, 4)
    ]
    empty = found["kalshi", "2026-09-23"]
    assert (empty.messages, empty.coverage, empty.seconds_out, remark(empty)) == (0, 0.0, DAY, "no data")
    assert list(figures(tmp_path, days=2)) == [(feed, f"2026-09-2{n}") for feed in ("kalshi", "other") for n in (3, 4)]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_day_without_an_import_between_imported_days_is_unknown(tmp_path, sealed):
    """Nobody knows whether the other program was connected then. After a run that ended it is an outage."""
    fields = {"source": "old.jsonl", "sha256": "0" * 64, "lines": 1, "version": "0.2.0", "layout": {}}
    imported = (0, "imported", fields), (1, b"{}")
    write_day(tmp_path, "2026-09-21", *imported, sealed=sealed)
    write_day(tmp_path, "2026-09-24", *imported, sealed=sealed)
    make_day(tmp_path, "2026-09-26")
    make_day(tmp_path, "2026-09-28")
    found = {day: each for (_, day), each in figures(tmp_path, days=30).items()}
    for number in (2, 3, 5):
        empty = found[f"2026-09-2{number}"]
        assert (empty.messages, empty.coverage, empty.outage_count, remark(empty)) == (0, None, None, "no data")
    assert percent(found["2026-09-22"].coverage) == "?"
    assert (found["2026-09-27"].coverage, found["2026-09-27"].outage_count) == (0, 1)


def never_connected(storage: Path, day: str) -> None:
    write_day(storage, day, (0, "started", KALSHI), (100, "stopped", {}), sealed=day < "2026-09-21")


@pytest.mark.parametrize("compacted", [False, True])
def test_a_run_that_never_connected_does_not_begin_or_prolong_the_table(tmp_path, compacted):
    """Between days with data it is an outage like any other."""
    never_connected(tmp_path, "2026-09-18")
    if compacted:
        [empty] = candidates(tmp_path, "2026-09-30", "jsonl.zst")
        assert compact(empty, ZstPacker(1), dry_run=False, progress=lambda done: None)
        assert not empty.path.exists()
    assert figures(tmp_path) == {}
    make_day(tmp_path, "2026-09-19")
    never_connected(tmp_path, "2026-09-20")
    make_day(tmp_path, "2026-09-21")
    never_connected(tmp_path, "2026-09-30")
    found = figures(tmp_path, days=30)
    assert [day for _, day in found] == ["2026-09-19", "2026-09-20", "2026-09-21"]
    assert [each.coverage for each in found.values()] == [100, 0, 100]


def test_a_connection_without_a_message_begins_the_table(tmp_path):
    write_day(tmp_path, "2026-09-21", (0, "started", KALSHI), (0, "connected", {}), (DAY, "stopped", {}), sealed=False)
    [found] = figures(tmp_path).values()
    assert (found.messages, found.coverage, remark(found)) == (0, 100, "no data")


@pytest.mark.parametrize("ahead", ["2027-03-01", "9999-12-31"])
def test_a_day_in_the_future_is_not_the_newest(tmp_path, ahead):
    make_day(tmp_path, "2026-09-21")
    (tmp_path / ahead).mkdir()
    (tmp_path / ahead / "kalshi.jsonl").touch()
    assert list(figures(tmp_path)) == [("kalshi", "2026-09-21")]


def test_the_folder_of_a_day_gives_the_same_as_the_storage_folder(tmp_path, monkeypatch):
    make_day(tmp_path, "2026-09-20")
    path = make_day(tmp_path, "2026-09-21")
    whole = figures(tmp_path)["kalshi", "2026-09-21"]
    assert whole.sealed
    assert figures(path.parent) == {("kalshi", "2026-09-21"): whole}
    monkeypatch.chdir(path.parent)
    assert figures(Path()) == {("kalshi", "2026-09-21"): whole}


def test_the_runs_of_a_day_may_be_out_of_order(tmp_path):
    make_day(tmp_path, "2026-09-21", connected=[(40_000, 50_000, "stopped"), (20_000, 30_000, "stopped")])
    [day] = figures(tmp_path).values()
    begins = [outage.from_[11:19] for outage in day.outages]
    assert begins == ["00:00:00", "08:20:00", "13:53:20"]
    assert day.coverage == pytest.approx(20_000 / 864)


def test_the_rest_of_today_is_not_an_outage(tmp_path):
    begin = day_begins("2026-09-21")
    path = make_day(tmp_path, "2026-09-21", connected=[(0, 36_000, "killed")], sealed=False)
    with path.open("rb") as held:  # As its collector does.
        fcntl.flock(held, fcntl.LOCK_EX)
        collecting = figures(tmp_path, now_ns=begin + 36_010 * 10**9)["kalshi", "2026-09-21"]
    # The ledger has no end of the connection, and a collector holds the file: it counts as connected.
    assert collecting.outages == []
    assert collecting.coverage == 100
    assert remark(collecting) == "until 09:59"
    assert collecting.mean_rate == pytest.approx(collecting.messages * 1e9 / collecting.known_ns)
    assert collecting.rates[8] == collecting.by_hour[8] / 3600
    make_day(tmp_path, "2026-09-21", connected=[(3_600, 36_000, "stopped")], sealed=False)
    stopped = figures(tmp_path, now_ns=begin + 72_000 * 10**9)["kalshi", "2026-09-21"]
    assert [(outage.from_[11:19], outage.to[11:19], outage.cause) for outage in stopped.outages] == [
        ("00:00:00", "01:00:00", "not_started"),
        ("10:00:00", "20:00:00", "stopped"),
    ]
    assert stopped.coverage == pytest.approx(45)
    assert stopped.mean_rate == pytest.approx(stopped.messages / 32_400)  # While listening, not of the day so far.
    assert remark(stopped) == "until 20:00"


@pytest.mark.parametrize("sealed", [False, True])
def test_an_outage_that_still_lasts_is_shown_up_to_now(tmp_path, sealed):
    make_day(tmp_path, "2026-09-21", connected=[(0, 43_200, "killed")], sealed=sealed)
    later = figures(tmp_path, now_ns=day_begins("2026-09-21") + 64_800 * 10**9)["kalshi", "2026-09-21"]
    assert [(outage.to[11:19], outage.cause) for outage in later.outages] == [("18:00:00", "killed")]
    assert (round(later.coverage), remark(later)) == (67, "until 18:00")
    found = figures(tmp_path, now_ns=day_begins("2026-09-24") + 36_000 * 10**9)
    assert list(found) == [("kalshi", f"2026-09-2{n}") for n in (1, 2, 3, 4)]
    killed, *whole, today = found.values()
    assert (round(killed.coverage), killed.outages[0].to[:10]) == (50, "2026-09-22")
    assert [(each.coverage, each.seconds_out, remark(each)) for each in whole] == [(0, DAY, "no data")] * 2
    assert (today.coverage, today.seconds_out, remark(today)) == (0, 36_000, "until 10:00, no data")


def test_a_feed_without_recent_data_has_an_outage_up_to_now(tmp_path):
    make_day(tmp_path, "2026-09-21", connected=[(0, 43_200, "stopped")])
    make_day(tmp_path, "2026-09-22", feed="other")
    found = figures(tmp_path, now_ns=day_begins("2026-09-23") + 1)
    assert list(found) == [("kalshi", f"2026-09-2{n}") for n in (1, 2, 3)] + [
        ("other", f"2026-09-2{n}") for n in (2, 3)
    ]


@pytest.mark.parametrize(
    ("days", "now", "shown", "newest"),
    [
        (7, "2026-09-21", ["20", "21"], []),
        (7, "2026-09-27", ["21", "22", "23", "24", "25", "26", "27"], []),
        (7, "2026-09-28", ["20", "21"], ["2026-09-21"]),
        (400, "2026-09-28", ["20", "21"], ["2026-09-21"]),
        (400, "2027-09-28", ["20", "21"], ["2026-09-21"]),
        (2, "2026-09-22", ["21", "22"], []),
        (2, "2026-09-23", ["20", "21"], ["2026-09-21"]),
        (1, "2026-09-22", ["21"], ["2026-09-21"]),
    ],
)
def test_an_archive_that_is_over_ends_with_its_newest_day(tmp_path, days, now, shown, newest):
    make_day(tmp_path, "2026-09-20")
    path = make_day(tmp_path, "2026-09-21", connected=[(0, 40_000, "killed")], sealed=False)
    ended: list[str] = []

    def gathered(storage: Path) -> list[str]:
        found = gather(
            storage, days, day_begins(now), trouble=fail, progress=lambda file: None, ended=ended.append
        )
        return [each.day[-2:] for each in found]

    assert (gathered(tmp_path), ended) == (shown, newest)
    ended.clear()
    assert (gathered(path.parent), ended) == (["21"], [])  # The folder of one day says nothing about other days.


def test_the_coverage_of_a_day_without_a_ledger_is_unknown(tmp_path):
    path = make_day(tmp_path, "2026-09-21", sealed=False)
    path.with_name("kalshi.ledger.jsonl").unlink()
    found = figures(tmp_path)["kalshi", "2026-09-21"]
    assert (found.coverage, found.outages, percent(found.coverage)) == (None, [], "?")
    assert (found.outage_count, found.mean_rate, found.missing) == (None, None, None)
    assert found.messages > 0


def test_a_day_with_only_a_manifest_has_its_figures(tmp_path):
    path = make_day(tmp_path, "2026-09-21")
    before = figures(tmp_path)["kalshi", "2026-09-21"]
    path.unlink()
    assert figures(tmp_path)["kalshi", "2026-09-21"] == Figures(**(before.__dict__ | {"stored_bytes": 0}))


def test_a_day_that_cannot_be_read_is_reported_and_the_others_are_shown(tmp_path):
    make_day(tmp_path, "2026-09-21").with_name("kalshi.manifest.json").write_bytes(b"{")
    make_day(tmp_path, "2026-09-22")
    troubles: list[str] = []
    found = gather(tmp_path, 7, LATER, trouble=lambda error: troubles.append(str(error)), progress=lambda file: None)
    assert [each.day for each in found] == ["2026-09-22"]
    assert len(troubles) == 1
    assert "2026-09-21/kalshi.manifest.json: " in troubles[0]
    with pytest.raises(UsageError, match="there is no such folder"):
        figures(tmp_path / "none")


def test_the_data_files_that_were_found_are_handed_over(tmp_path):
    paths = [make_day(tmp_path, f"2026-09-2{number}") for number in range(3)]
    files: list[DayFile] = []
    gather(tmp_path, 1, LATER, trouble=fail, progress=fail, listed=files.extend)
    assert [file.path for file in files] == paths
