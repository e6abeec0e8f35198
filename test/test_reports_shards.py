"""A feed that shards share has one row a day in the report, and each outage says which shards were missing."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from process import ssmd
from recorded import DAY, fail, make_day

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.proof.verify import verify
from ssmd.reports.comparison import joined_outages, missing_shards
from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.reports.shards import together
from ssmd.store.inventory import data_files
from ssmd.store.layout import data_path, ledger_path
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.manifest import ClosedTime, TimeGap
from ssmd.store.timestamps import day_begins, parse_timestamp, timestamp

LATER = day_begins("2026-12-01")
HOUR = 3600
Connected = Sequence[tuple[float, float, str]]


def record(storage: Path, day: str, of: int, usual: Connected, **others: Connected) -> None:
    """Write a day of `of` shards. `others`: when shards by their names, such as `of4_2`, were connected instead."""
    for index in range(1, of + 1):
        connected = others.get(f"of{of}_{index}", usual)
        if connected:
            make_day(storage, day, shard=Shard(index, of), connected=connected, per_hour=20)


def report(storage: Path, days: int = 7, now_ns: int = LATER) -> list[Figures]:
    return gather(storage, days, now_ns, trouble=fail, progress=lambda file: None)


def outages(days: Sequence[Figures]) -> list[tuple[str, str, str, str]]:
    """Return the outages of a feed's days as the report shows them: from, to, cause and shards."""
    found = joined_outages(days)
    return [
        (outage.from_[8:19], outage.to[8:19], outage.cause, shards)
        for outage, shards in zip(found, missing_shards(days, found), strict=True)
    ]


def test_the_counts_of_a_day_are_the_sums_over_its_shards(tmp_path):
    record(tmp_path, "2026-09-20", 3, [(0, DAY, "stopped")])
    make_day(tmp_path / "one", "2026-09-20", per_hour=20, lost_after=10)
    [one] = report(tmp_path / "one")
    make_day(tmp_path, "2026-09-20", shard=Shard(3, 3), per_hour=20, lost_after=10)
    [found] = report(tmp_path)
    assert (found.feed, found.sealed, found.coverage, found.outages, found.absences) == ("kalshi", True, 100, [], [])
    assert found.messages == sum(found.by_hour) == sum(found.by_type.values())
    assert found.messages == pytest.approx(3 * one.messages, abs=3)
    assert found.bytes == found.stored_bytes == sum(path.stat().st_size for path in tmp_path.glob("2*/*+*of3.jsonl"))
    assert (found.sequence_gaps, found.missing, found.peak_second) == (1, 3, one.peak_second)
    assert found.mean_rate == pytest.approx(found.messages / DAY)


def test_a_feed_is_covered_while_all_of_its_shards_listen(tmp_path):
    record(
        *(tmp_path, "2026-09-20", 4, [(0, DAY, "stopped")]),
        of4_2=[(0, 11 * HOUR, "disconnected"), (13 * HOUR, DAY, "stopped")],
        of4_3=[(0, 10 * HOUR, "stopped"), (12 * HOUR, 20 * HOUR, "stopped"), (21 * HOUR, DAY, "stopped")],
    )
    [day] = report(tmp_path)
    assert outages([day]) == [
        ("20T10:00:00", "20T13:00:00", "stopped, disconnected", "2of4 02:00:00, 3of4 02:00:00"),
        ("20T20:00:00", "20T21:00:00", "stopped", "3of4"),
    ]
    assert (day.outage_count, day.seconds_out) == (2, 4 * HOUR)
    assert day.coverage == pytest.approx(100 * 20 / 24)
    assert day.mean_rate == pytest.approx(day.messages / DAY)  # The others listened all day.


def test_a_shard_without_any_file_was_missing(tmp_path):
    record(tmp_path, "2026-09-20", 4, [(0, DAY, "stopped")], of4_4=[])
    record(tmp_path, "2026-09-21", 4, [(0, DAY, "stopped")])
    days = report(tmp_path)
    assert [day.coverage for day in days] == [0, 100]
    assert outages(days) == [("20T00:00:00", "21T00:00:00", "no data", "4of4")]


def test_four_shards_become_five_without_an_outage_when_the_five_listen_first(tmp_path):
    record(tmp_path, "2026-09-20", 4, [(0, 12 * HOUR, "stopped")])
    record(tmp_path, "2026-09-20", 5, [(12 * HOUR - 60, DAY, "stopped")], of5_5=[(12 * HOUR - 1, DAY, "stopped")])
    record(tmp_path, "2026-09-21", 5, [(0, DAY, "stopped")])
    days = report(tmp_path)
    assert [(day.coverage, day.outages) for day in days] == [(100, []), (100, [])]


def test_a_change_of_the_number_with_a_pause_names_the_number_in_force(tmp_path):
    """Four end at noon, five begin after it, one of them a minute later. In the night one of the five is missing."""
    record(tmp_path, "2026-09-20", 4, [(0, 12 * HOUR, "stopped")])
    later, early = [(12 * HOUR + 60, DAY, "stopped")], [(12 * HOUR + 10, DAY, "stopped")]
    record(tmp_path, "2026-09-20", 5, early, of5_2=later, of5_3=[(12 * HOUR + 10, 23 * HOUR, "disconnected")])
    record(tmp_path, "2026-09-21", 5, [(0, DAY, "stopped")], of5_3=[(HOUR, DAY, "stopped")])
    days = report(tmp_path)
    noon = "2of5 50.0 s, 1of4 10.0 s, 2of4 10.0 s, 3of4 10.0 s, and 1 more"
    assert outages(days) == [
        ("20T12:00:00", "20T12:01:00", "stopped, not_started", noon),
        ("20T23:00:00", "21T01:00:00", "disconnected", "3of5"),
    ]


def test_a_feed_may_begin_and_end_without_shards(tmp_path):
    make_day(tmp_path, "2026-09-20", per_hour=20)
    make_day(tmp_path, "2026-09-21", connected=[(0, 6 * HOUR, "stopped")], per_hour=20)
    record(tmp_path, "2026-09-21", 2, [(6 * HOUR, 18 * HOUR, "stopped")], of2_2=[(7 * HOUR, 18 * HOUR, "stopped")])
    make_day(tmp_path, "2026-09-22", connected=[(HOUR, DAY, "stopped")], per_hour=20)
    days = report(tmp_path)
    assert [day.day for day in days] == ["2026-09-20", "2026-09-21", "2026-09-22"]
    assert outages(days)[0] == ("21T06:00:00", "21T07:00:00", "not_started", "2of2")
    assert outages(days)[1][:2] == ("21T18:00:00", "22T01:00:00")


def test_while_all_shards_are_missing_the_report_says_all(tmp_path):
    record(tmp_path, "2026-09-20", 3, [(0, DAY, "stopped")])
    record(tmp_path, "2026-09-22", 3, [(0, DAY, "stopped")])
    assert outages(report(tmp_path)) == [("21T00:00:00", "22T00:00:00", "no data", "all")]


def test_all_were_missing_also_when_they_did_not_end_and_begin_at_the_same_moment(tmp_path):
    ragged = {f"of3_{index}": [(0, HOUR + index / 100, "stopped"), (2 * HOUR, DAY, "stopped")] for index in (1, 2, 3)}
    record(tmp_path, "2026-09-20", 3, [], **ragged)
    assert [shards for _, _, _, shards in outages(report(tmp_path))] == ["all"]


def test_an_old_number_of_shards_does_not_count_for_later_days(tmp_path):
    record(tmp_path, "2026-08-01", 12, [(0, DAY, "stopped")])
    record(tmp_path, "2026-09-01", 2, [(0, DAY, "stopped")])
    record(tmp_path, "2026-09-20", 2, [(0, DAY, "stopped")])
    days = report(tmp_path, days=2)
    assert outages(days) == [("19T00:00:00", "20T00:00:00", "no data", "all")]
    assert {absence.shard for absence in days[0].absences} == {Shard(1, 2), Shard(2, 2)}


def test_today_a_shard_that_listens_is_not_missing_however_old_its_last_line_is(tmp_path):
    begin = day_begins("2026-09-20")
    paths = [
        make_day(tmp_path, "2026-09-20", shard=Shard(index, 2), connected=[(0, end, "killed")], sealed=False)
        for index, end in ((1, 36_000), (2, 30_000))
    ]
    with contextlib.ExitStack() as held:
        for path in paths:  # As their collectors do.
            fcntl.flock(held.enter_context(path.open("rb")), fcntl.LOCK_EX)
        [day] = report(tmp_path, now_ns=begin + 36_010 * 10**9)
        assert (day.coverage, day.outages, day.over) == (100, [], False)
        assert 35_900e9 < day.known_ns <= 36_000e9  # Up to the last line of both.
        held.pop_all().close()
        fcntl.flock(held.enter_context(paths[0].open("rb")), fcntl.LOCK_EX)
        [day] = report(tmp_path, now_ns=begin + 36_010 * 10**9)
        [(start, end, cause, shards)] = outages([day])
        assert (end, cause, shards) == ("20T10:00:10", "killed", "2of2")
        assert "20T08:15:00" < start < "20T08:20:00"
    assert report(tmp_path / "2026-09-20", now_ns=begin + 36_010 * 10**9)[0].messages == day.messages


def test_a_shard_without_messages_listens_on_days_of_which_it_has_no_file(tmp_path):
    """Nothing may be for it: its connection is open for days, and the ledger of its first day has the end of it."""
    for day in ("2026-09-20", "2026-09-21", "2026-09-22"):
        make_day(tmp_path, day, shard=Shard(1, 2), per_hour=20)
    data_path(tmp_path / "2026-09-20", "kalshi+2of2").touch()
    begin, fields = day_begins("2026-09-20"), {"shard": "2of2", "version": "9.9", "exchange": "kalshi"}
    end = {"reason": "SIGTERM", "lines": 0, "bytes": 0}
    happened: list[tuple[int, str, dict]] = [(0, "started", fields), (0, "connected", {})]
    happened.append((2 * DAY + 12 * HOUR, "stopped", end))
    entries = [Entry(begin + second * 10**9, event, 0, 0, more) for second, event, more in happened]
    ledger_path(tmp_path / "2026-09-20", "kalshi+2of2").write_bytes(b"".join(map(encode_entry, entries)))
    days = report(tmp_path)
    assert [day.coverage for day in days] == [100, 100, 50]
    assert outages(days) == [("22T12:00:00", "23T00:00:00", "no data", "2of2")]
    assert [verify(file).findings for file in data_files([tmp_path])] == [[]] * 4


def test_the_coverage_is_unknown_when_that_of_a_shard_is(tmp_path):
    record(tmp_path, "2026-09-20", 2, [(0, DAY, "stopped")])
    path = make_day(tmp_path, "2026-09-20", shard=Shard(2, 2), per_hour=20, sealed=False)
    path.with_name("kalshi+2of2.manifest.json").unlink()
    path.with_name("kalshi+2of2.ledger.jsonl").unlink()
    [day] = report(tmp_path)
    assert (day.coverage, day.outage_count, day.mean_rate, day.sealed) == (None, None, None, False)


def test_a_day_of_which_one_shard_cannot_be_read_is_left_out(tmp_path):
    for day in ("2026-09-20", "2026-09-21"):
        record(tmp_path, day, 2, [(0, DAY, "stopped")])
    (tmp_path / "2026-09-20" / "kalshi+2of2.manifest.json").write_text("{}")
    ended = ssmd("report", tmp_path)
    assert ended.returncode == 65
    assert "kalshi+2of2.manifest.json" in ended.stderr
    assert "2026-09-21" in ended.stdout
    assert "2026-09-20 " not in ended.stdout


def test_the_text_and_the_page_name_the_shards(tmp_path):
    record(tmp_path, "2026-09-20", 2, [(0, DAY, "stopped")], of2_2=[(HOUR, DAY, "stopped")])
    text = ssmd("report", tmp_path).stdout
    assert "cause        shards" in text
    assert "01:00:00  not_started  2of2" in text
    page = ssmd("report", "--html", tmp_path).stdout
    assert "not connected for 01:00:00, not_started; shards: 2of2" in page
    assert '<td class="left">not started</td><td class="left">2of2</td>' in page
    make_day(tmp_path / "whole", "2026-09-20", connected=[(HOUR, DAY, "stopped")], per_hour=20)
    assert "shards" not in ssmd("report", tmp_path / "whole").stdout
    assert '<th class="left">shards</th>' not in ssmd("report", "--html", tmp_path / "whole").stdout


def test_the_listings_of_a_feed_are_a_feed_of_their_own(tmp_path):
    record(tmp_path, "2026-09-20", 2, [(0, DAY, "stopped")])
    for shard in (WHOLE, Shard(1, 2)):
        make_day(tmp_path, "2026-09-20", feed="kalshi.listing", shard=shard, per_hour=20)
    assert [day.feed for day in report(tmp_path)] == ["kalshi", "kalshi.listing"]


def closed_hours(*spans: tuple[int, int]) -> list[tuple[str, str, float]]:
    def at(hour: int) -> str:
        return timestamp(day_begins("2026-09-20") + hour * HOUR * 10**9)

    return [(at(begin), at(end), 3600.0 * (end - begin)) for begin, end in spans]


def test_closed_hours_are_those_of_all_shards(tmp_path):
    """The second was killed before the closing and not started again, so its own ledger does not know the evening."""
    closed = [ClosedTime(*each) for each in closed_hours((0, 8), (16, 24))]
    one = Figures("2026-09-20", "f", messages=8, closed=closed, coverage=100.0)
    out = [TimeGap(*each, "killed") for each in closed_hours((12, 24))]
    other = Figures("2026-09-20", "f", messages=4, outages=out, closed=closed[:1], coverage=25.0)
    day, _ = together({Shard(1, 2): one, Shard(2, 2): other}, 2)
    assert day.coverage == 50
    assert outages([day]) == [("20T12:00:00", "20T16:00:00", "killed", "2of2")]
    assert [(time.from_[11:13], time.to[11:13]) for time in day.closed] == [("00", "08"), ("16", "00")]
    assert day.mean_rate == pytest.approx(12 / (8 * HOUR))


def test_a_shard_of_which_there_is_nothing_was_not_missing_in_closed_hours():
    closed = [ClosedTime(*each) for each in closed_hours((0, 8), (16, 24))]
    day, _ = together({Shard(1, 2): Figures("2026-09-20", "f", messages=8, closed=closed, coverage=100.0)}, 2)
    assert (day.coverage, day.seconds_out, day.mean_rate) == (0, 8 * HOUR, 8 / (8 * HOUR))
    assert outages([day]) == [("20T08:00:00", "20T16:00:00", "no data", "2of2")]


all_shards = [Shard(index, of) for of in (1, 2, 3) for index in range(1, of + 1)]
hours = st.sets(st.integers(0, 23), max_size=24)


@given(st.dictionaries(st.sampled_from(all_shards), hours, min_size=1), st.sampled_from([1, 2, 3]))
def test_what_was_missing_is_what_an_hour_by_hour_look_at_the_shards_gives(out, before):
    """`out`: the hours in which each shard did not listen."""
    days = {}
    for shard, missed in out.items():
        gaps = [TimeGap(*each, f"{shard}") for each in closed_hours(*((hour, hour + 1) for hour in sorted(missed)))]
        days[shard] = Figures("2026-09-20", "f", outages=gaps, coverage=100 * (1 - len(missed) / 24))
    day, _ = together(days, before)
    expected: set[tuple[int, Shard]] = set()
    in_force = before
    for hour in range(24):
        there = [shard for shard, missed in out.items() if hour not in missed]
        parts = {of: sum(shard.of == of for shard in there) / of for of in (1, 2, 3)}
        if there:
            in_force = max(parts, key=lambda of: (parts[of], of == in_force, of))
        expected |= {(hour, shard) for shard in all_shards if shard.of == in_force and shard not in there}

    def hours_of(gap: TimeGap) -> range:
        begins, ends = ((parse_timestamp(time) - day_begins(day.day)) // (HOUR * 10**9) for time in (gap.from_, gap.to))
        return range(begins, ends)

    assert {(hour, shard) for shard, gap in day.absences for hour in hours_of(gap)} == expected
    assert [hour for gap in day.outages for hour in hours_of(gap)] == sorted({hour for hour, _ in expected})
    assert day.coverage == pytest.approx(100 * (1 - len({hour for hour, _ in expected}) / 24))
    assert all(gap.cause == (f"{shard}" if shard in days else "no data") for shard, gap in day.absences)
