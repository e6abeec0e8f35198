"""Coverage of each day, of histories that the real file writer has recorded, with any clock."""

from __future__ import annotations

import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from recorded import fail
from recorded_runs import DAY, HOUR, SECOND, Run, all_findings, at, record_run, verdicts

from ssmd.errors import ClockError
from ssmd.metadata.hours import Daily, Times
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal
from ssmd.reports.columns import remark
from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.runtime.clock import RunClock
from ssmd.runtime.journal import Journal
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.open_hours import EARLY_SECONDS, next_opening, open_hours
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.inventory import data_files
from ssmd.store.manifest import Manifest, TimeGap
from ssmd.store.timestamps import day_begins

LATER = day_begins("2026-06-01")


def record(storage: Path, begin: str, *messages: str, end: str) -> None:
    """Record a run that connects at once, receives messages and is stopped, at times as at() takes them."""
    record_run(storage, at(begin), *map(at, messages), end_ns=at(end))


def figures(storage: Path, now_ns: int) -> dict[str, Figures]:
    found = gather(storage, 400, now_ns, trouble=fail, progress=lambda file: None)
    return {day.day: day for day in found}


def manifests(storage: Path) -> dict[str, Manifest]:
    """Seal every day, sealed or not, and return the manifests by day."""
    found = {file.day: seal(file, LATER) for file in data_files([storage])}
    return {day: manifest for day, manifest in found.items() if manifest is not None}


def gaps_of(storage: Path, day: str = "2025-12-22") -> list[TimeGap]:
    """Seal every day, and return the outages of one."""
    gaps = manifests(storage)[day].gaps
    assert gaps is not None
    return gaps


def test_an_outage_counts_whatever_time_the_clock_showed_when_it_was_written(tmp_path):
    """The host was off over midnight, and started with a clock that was eight hours ahead until it was set right."""
    record(tmp_path, "22T12:00:00", "22T19:59:00", end="22T20:00:00")
    record(tmp_path, "23T18:00:00", "23T18:00:01", end="23T18:00:02")  # Ahead.
    record(tmp_path, "23T10:05:00", "23T23:59:58", end="23T23:59:59")
    found = manifests(tmp_path)["2025-12-23"]
    gaps = [(gap.from_[11:19], gap.seconds, gap.cause) for gap in found.gaps]
    assert gaps == [("00:00:00", 10 * 3600 + 300, "stopped"), ("23:59:59", 1, "stopped")]
    assert found.coverage_percent == pytest.approx(57.985, abs=0.001)


def test_a_clock_that_was_ahead_over_midnight_does_not_cover_the_rest_of_the_day(tmp_path):
    record(tmp_path, "20T12:00:00", "20T12:30:00", "21T01:00:00", end="21T01:00:01")
    record(tmp_path, "20T14:00:00", "20T14:30:00", end="20T15:00:00")
    assert [(gap.from_[11:16], gap.to[11:16]) for gap in gaps_of(tmp_path, "2025-12-20")] == [
        ("00:00", "12:00"),
        ("12:30", "14:00"),
        ("15:00", "00:00"),
    ]


def a_jump_to_the_next_day(storage: Path, *, back: float, end: str = "22T01:00:01") -> list[tuple[str, str, str]]:
    """Return the outages of the 22nd after a run on the 21st whose clock jumps to 01:00:00 of the 22nd, and is then set
    back by so many hours. The run ends at `end` by its own clock.
    """
    run = Run(storage, at("21T12:00:00"))
    run.note("connected", at("21T12:00:00"))
    run.message(at("21T12:30:00"))
    run.message(at("22T01:00:00"))
    run.note("clock_stepped", at("22T01:00:01"), seconds=back * 3600)
    run.note("disconnected", at(end), code=None, reason="the clock is behind what it said before")
    run.stop(at(end))
    return [(gap.from_[11:19], gap.to[11:19], gap.cause) for gap in gaps_of(storage)]


def test_a_day_that_a_clock_jumped_to_is_not_covered_from_its_midnight(tmp_path):
    """Nor does it hide the outage after the jump, when the next start is on that day."""
    found = a_jump_to_the_next_day(tmp_path, back=12.5)
    assert found == [("00:00:00", "01:00:00", "not_started"), ("01:00:01", "00:00:00", "disconnected")]
    record(tmp_path, "22T09:00:00", "22T09:00:01", end="22T10:00:00")
    [first, second, _] = gaps_of(tmp_path)
    assert (first.from_[11:19], first.to[11:19]) == ("00:00:00", "01:00:00")
    assert (second.from_[11:19], second.to[11:19]) == ("01:00:01", "09:00:00")
    both = verdicts(tmp_path)
    assert (len(both), all_findings(both)) == (2, [])


def test_a_run_that_continued_over_the_real_midnight_covers_the_day_from_its_beginning(tmp_path):
    """After a step of less than two hours the run continues. When the clock has caught up, it is after midnight."""
    assert a_jump_to_the_next_day(tmp_path, back=1.5, end="22T01:30:00") == [("01:30:00", "00:00:00", "disconnected")]


def test_a_step_within_the_day_or_of_an_unknown_size_changes_nothing(tmp_path):
    assert a_jump_to_the_next_day(tmp_path / "a", back=0.5) == [("01:00:01", "00:00:00", "disconnected")]
    ledger = tmp_path / "b" / "2025-12-22" / "kalshi.ledger.jsonl"
    a_jump_to_the_next_day(tmp_path / "b", back=12.5)
    whole = ledger.read_bytes()
    for damaged, first in ((b'"many"', "01:00:01"), (b"null", "01:00:01"), (b"9" * 400, "00:00:00")):
        ledger.write_bytes(whole.replace(b"45000.0", damaged))
        assert gaps_of(tmp_path / "b")[0].from_[11:19] == first


def test_a_real_run_whose_clock_was_set_back_has_the_right_outages(tmp_path):
    """The real clock, journal and writer of a run, on a wall clock that jumps ahead over midnight and back."""
    status = Status()
    metrics = Metrics(CollectorRegistry(), "kalshi", status)
    journal = Journal(status, metrics, Reporter("kalshi", status))
    wall = [at("21T12:00:00")]
    clock = RunClock(lambda: wall[-1], journal.clock_stepped)
    run = Run(tmp_path, clock.now())
    run.note("connected", clock.now())
    for time in ("21T12:30:00", "22T01:00:00", "21T12:30:01"):
        wall.append(at(time))
        ns = clock.now()
        for note in journal.take([(ns, 0)]):
            run.note(note.event, note.ts_ns, **note.fields)
        run.message(ns)
    with pytest.raises(ClockError):
        clock.require_near()
    run.stop(clock.now())
    gaps = manifests(tmp_path)["2025-12-22"].gaps
    assert [(gap.from_[11:19], gap.to[11:19]) for gap in gaps] == [("00:00:00", "01:00:00"), ("01:00:00", "00:00:00")]


pauses = st.sampled_from([SECOND, HOUR, 5 * HOUR, 30 * HOUR])
set_back = st.sampled_from([-SECOND, -30 * SECOND, -HOUR, -7 * HOUR])
ends = st.sampled_from(["stopped", "disconnected", "killed", "never connected"])
messages = st.lists(st.sampled_from([SECOND, HOUR, 9 * HOUR, 26 * HOUR, 50 * HOUR]), max_size=5)
quiet = st.sampled_from([0, SECOND, HOUR, 30 * HOUR])


@settings(max_examples=40)
@given(
    st.lists(st.tuples(messages, quiet, ends, pauses | set_back), min_size=1, max_size=6),
    st.integers(0, 30 * 3600),
    st.booleans(),
)
def test_the_coverage_of_any_history_is_exact(tmp_path_factory, runs, first, sealed):
    """Where the clock was set back, it may be less: two runs may then say different things about the same time."""
    storage = tmp_path_factory.mktemp("history")
    now = at("22T00:00:00") + first * SECOND
    connected = []
    for steps, silence, end, pause in runs:
        run = Run(storage, now)
        begin = seen = now
        if end == "never connected":
            run.stop(now)
        else:
            run.note("connected", now)
            for step in steps:
                seen += step
                run.message(seen)
            now = seen + silence
            if end == "disconnected":
                run.note("disconnected", now, code=None, reason="")
            if end == "killed":
                run.kill()
            else:
                run.stop(now)
            connected.append((begin, seen if end == "killed" else now))
        now += pause
    if sealed:
        manifests(storage)
    found = verdicts(storage)
    assert all_findings(found) == []
    assert missing_files([storage], found) == []
    exact = all(pause > 0 for *_, pause in runs[:-1])
    for day, each in figures(storage, now + 3 * DAY).items():
        assert each.coverage is not None
        covered = each.coverage / 100 * each.known_ns / SECOND
        expected = seconds_of(day_begins(day), day_begins(day) + each.known_ns, connected)
        assert covered < expected + 0.01
        assert covered > expected - 0.01 or not exact


def seconds_of(begin: int, end: int, times: list[tuple[int, int]]) -> float:
    """Return how many seconds from `begin` to `end` lie within `times`, which may overlap."""
    total, cursor = 0, begin
    for since, until in sorted(times):
        since, until = max(since, cursor), min(until, end)
        if until > since:
            total, cursor = total + until - since, until
    return total / SECOND


HOURS = Times([Daily(ZoneInfo("UTC"), 9 * 3600, 17 * 3600, frozenset(range(5)))])
"""From Monday to Friday; 22 December 2025 is a Monday."""


class Scheduled:
    """Runs in the hours of HOURS, as the collector records them, and the times in which each was connected."""

    def __init__(self, storage: Path, begin: str) -> None:
        self._storage = storage
        self.now = at(begin)
        self.connected: list[tuple[int, int]] = []

    def run(self, connects_after: int, lasts: int, end: str) -> None:
        """Start a run now, or at the opening; let it end after a time, or at the closing."""
        hours = open_hours(HOURS, self.now / SECOND)
        if hours is None:
            opening = next_opening(HOURS, self.now / SECOND)
            assert opening is not None
            self.now = (opening - EARLY_SECONDS) * SECOND
            hours = open_hours(HOURS, self.now / SECOND)
        assert hours is not None
        assert hours.closes is not None
        run = Run(self._storage, self.now)
        run.note("opened", self.now, **hours.opened_fields())
        begin, closes = self.now + connects_after, hours.closes * SECOND
        until = min(begin + lasts, closes)
        if end != "never connected" and begin < closes:
            run.note("connected", begin)
            run.message(begin)
            self.connected.append((begin, begin if end == "killed" else until))
        self.now = max(until, self.now)
        if end == "killed":
            run.kill()
            return
        if until == closes:
            run.note("closed", until, **hours.closed_fields())
        run.stop(self.now)


def test_closed_hours_are_no_outage_and_a_late_start_counts_from_the_opening(tmp_path):
    scheduled = Scheduled(tmp_path, "18T08:59:58")
    scheduled.run(0, 20 * HOUR, "stopped")
    scheduled.run(0, 20 * HOUR, "stopped")  # On Friday.
    scheduled.now = at("22T09:10:00")
    scheduled.run(SECOND, 2 * HOUR, "killed")
    scheduled.now = at("23T12:00:00")
    scheduled.run(0, 20 * HOUR, "stopped")
    found = manifests(tmp_path)
    gaps = {
        day: [(gap.from_[11:19], gap.to[11:19], gap.cause) for gap in manifest.gaps] for day, manifest in found.items()
    }
    closed = {
        day: [(time.from_[11:19], time.to[11:19]) for time in manifest.closed] for day, manifest in found.items()
    }
    assert gaps == {
        "2025-12-18": [],
        "2025-12-19": [],
        "2025-12-22": [("09:00:00", "09:10:01", "not_started"), ("09:10:01", "17:00:00", "killed")],
        "2025-12-23": [("09:00:00", "12:00:00", "not_started")],
    }
    assert closed["2025-12-19"] == [("00:00:00", "08:59:55"), ("17:00:00", "00:00:00")]
    assert closed["2025-12-22"] == closed["2025-12-23"] == [("00:00:00", "09:00:00"), ("17:00:00", "00:00:00")]
    assert found["2025-12-19"].coverage_percent == 100
    week = figures(tmp_path, at("24T08:00:00"))
    assert [(day, each.coverage, remark(each)) for day, each in week.items() if not each.messages] == [
        ("2025-12-20", 100, "closed"),
        ("2025-12-21", 100, "closed"),
        ("2025-12-24", 100, "until 08:00, closed"),
    ]
    assert [missing_files([tmp_path], verdicts(tmp_path)), all_findings(verdicts(tmp_path))] == [[], []]


def test_a_day_that_was_removed_between_closed_hours_is_missed(tmp_path):
    scheduled = Scheduled(tmp_path, "22T08:00:00")
    for _ in range(3):
        scheduled.run(0, 20 * HOUR, "stopped")
    shutil.rmtree(tmp_path / "2025-12-23")
    [missing] = missing_files([tmp_path], verdicts(tmp_path))
    assert "begins after closed hours from 2025-12-23T17:00:00" in missing
    assert "what was recorded in between is missing" in missing


def test_a_run_that_never_connected_until_the_closing_leaves_an_outage_of_the_open_hours(tmp_path):
    scheduled = Scheduled(tmp_path, "22T08:00:00")
    scheduled.run(0, 20 * HOUR, "stopped")
    scheduled.run(0, 20 * HOUR, "never connected")
    scheduled.run(0, 20 * HOUR, "stopped")
    gaps = {day: [(gap.from_[11:16], gap.to[11:16]) for gap in each.gaps] for day, each in manifests(tmp_path).items()}
    assert gaps == {"2025-12-22": [], "2025-12-23": [("09:00", "17:00")], "2025-12-24": []}
    assert missing_files([tmp_path], verdicts(tmp_path)) == []


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, SECOND, HOUR]),
            st.sampled_from([HOUR, 3 * HOUR, 20 * HOUR]),
            ends,
            st.sampled_from([SECOND, HOUR, 5 * HOUR, 13 * HOUR]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 100),
    st.booleans(),
)
def test_the_coverage_of_any_history_with_a_schedule_is_exact(tmp_path_factory, runs, first, sealed):
    storage = tmp_path_factory.mktemp("history")
    scheduled = Scheduled(storage, "18T00:00:00")
    scheduled.now += first * HOUR
    for connects_after, lasts, end, pause in runs:
        scheduled.run(connects_after, lasts, end)
        scheduled.now += pause
    if sealed:
        manifests(storage)
    found = verdicts(storage)
    assert all_findings(found) == []
    assert missing_files([storage], found) == []
    for day, each in figures(storage, scheduled.now).items():
        begin = day_begins(day)
        end = begin + each.known_ns
        is_open = [(since * SECOND, until * SECOND) for since, until in HOURS.parts[0].spans(begin / SECOND, 1)]
        connected = seconds_of(begin, end, scheduled.connected)
        needed = seconds_of(begin, end, [*is_open, *scheduled.connected])
        assert each.coverage is not None
        covered = each.coverage / 100 * each.open_ns / SECOND
        assert connected - 0.01 < covered < connected + 0.01 or not each.open_ns
        assert needed - 0.01 < each.open_ns / SECOND < needed + 0.01
