"""How much of each day was listened to, of histories that the file writer has recorded."""

from __future__ import annotations

import fcntl
from pathlib import Path

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ssmd.contracts.writer import Batch, Note
from ssmd.errors import ClockError
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.reports.figures import Figures, gather
from ssmd.runtime.clock import RunClock
from ssmd.runtime.journal import Journal
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.inventory import data_files
from ssmd.store.manifest import Manifest
from ssmd.store.timestamps import day_begins, parse_timestamp
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
LATER = day_begins("2026-06-01")


class Run:
    """One run of a collector, which begins at `ns` by its clock."""

    def __init__(self, storage: Path, ns: int) -> None:
        status = Status()
        self._writer = FileWriter(
            LocalStorage(type="local", path=str(storage)),
            "kalshi",
            status=status,
            metrics=Metrics(CollectorRegistry(), "kalshi", status),
            clock=lambda: ns,
        )
        self._writer.open()
        self.note("started", ns, version="1", exchange="kalshi")

    @classmethod
    def whole(cls, storage: Path, begin: str, *heard: str, end: str) -> None:
        """A run that connects at once, hears its messages and is stopped, at times of `at()`."""
        run = cls(storage, at(begin))
        run.note("connected", at(begin))
        for time in heard:
            run.message(at(time))
        run.stop(at(end))

    def note(self, event: str, ns: int, **fields: object) -> None:
        self._put(ns, b"", 0, (Note(event, ns, 0, fields),))

    def message(self, ns: int) -> None:
        self._put(ns, self._writer.encode(ns, [b"{}"], True), 1, ())

    def _put(self, ns: int, data: bytes, messages: int, notes: tuple[Note, ...]) -> None:
        self._writer.write(Batch("kalshi", ns, data, messages, notes))
        self._writer.flush()

    def stop(self, ns: int) -> None:
        self.note("stopped", ns, reason="SIGTERM")
        self.kill()

    def kill(self) -> None:
        """What the ledger tells of it: nothing."""
        self._writer.close()


def at(text: str) -> int:
    """Of `22T18:00:00`, a time in December 2025."""
    return parse_timestamp(f"2025-12-{text}.000000Z")


def figures(storage: Path, now_ns: int) -> dict[str, Figures]:
    found = gather(storage, 400, now_ns, trouble=pytest.fail, progress=lambda file: None)
    return {day.day: day for day in found}


def manifests(storage: Path) -> dict[str, Manifest]:
    found = {file.day: seal(file, LATER) for file in data_files([storage])}
    return {day: manifest for day, manifest in found.items() if manifest is not None}


def test_an_outage_counts_wherever_the_clock_stood_when_it_was_told(tmp_path):
    """The host was off over midnight, and booted with a clock that was eight hours ahead until it was set right."""
    Run.whole(tmp_path, "22T12:00:00", "22T19:59:00", end="22T20:00:00")
    Run.whole(tmp_path, "23T18:00:00", "23T18:00:01", end="23T18:00:02")  # Ahead.
    Run.whole(tmp_path, "23T10:05:00", "23T23:59:58", end="23T23:59:59")
    found = manifests(tmp_path)["2025-12-23"]
    gaps = [(gap.from_[11:19], gap.seconds, gap.cause) for gap in found.gaps]
    assert gaps == [("00:00:00", 10 * 3600 + 300, "stopped"), ("23:59:59", 1, "stopped")]
    assert found.coverage_percent == pytest.approx(57.985, abs=0.001)


def test_a_clock_that_was_ahead_over_midnight_does_not_cover_the_rest_of_the_day(tmp_path):
    Run.whole(tmp_path, "20T12:00:00", "20T12:30:00", "21T01:00:00", end="21T01:00:01")
    Run.whole(tmp_path, "20T14:00:00", "20T14:30:00", end="20T15:00:00")
    found = manifests(tmp_path)["2025-12-20"]
    assert [(gap.from_[11:16], gap.to[11:16]) for gap in found.gaps] == [
        ("00:00", "12:00"),
        ("12:30", "14:00"),
        ("15:00", "00:00"),
    ]


def a_jump_to_the_next_day(storage: Path, *, back: float, end: str = "22T01:00:01") -> list[tuple[str, str, str]]:
    """The gaps of the 22nd, to whose 01:00:00 the clock jumps from the 21st; then it is set back by so many hours, and
    the run ends at `end`, by its own clock.
    """
    run = Run(storage, at("21T12:00:00"))
    run.note("connected", at("21T12:00:00"))
    run.message(at("21T12:30:00"))
    run.message(at("22T01:00:00"))
    run.note("clock_stepped", at("22T01:00:01"), seconds=back * 3600)
    run.note("disconnected", at(end), code=None, reason="the clock is behind what it said before")
    run.stop(at(end))
    found = manifests(storage)["2025-12-22"]
    return [(gap.from_[11:19], gap.to[11:19], gap.cause) for gap in found.gaps]


def test_a_day_that_a_clock_jumped_to_is_not_listened_to_from_its_midnight(tmp_path):
    """Nor does it hide that nobody has listened since, when the next start is on that day."""
    found = a_jump_to_the_next_day(tmp_path, back=12.5)
    assert found == [("00:00:00", "01:00:00", "not_started"), ("01:00:01", "00:00:00", "disconnected")]
    Run.whole(tmp_path, "22T09:00:00", "22T09:00:01", end="22T10:00:00")
    [first, second, _] = manifests(tmp_path)["2025-12-22"].gaps
    assert (first.from_[11:19], first.to[11:19]) == ("00:00:00", "01:00:00")
    assert (second.from_[11:19], second.to[11:19]) == ("01:00:01", "09:00:00")
    assert [verify(file).findings for file in data_files([tmp_path])] == [[], []]


def test_when_the_run_has_gone_on_over_the_real_midnight_all_of_the_day_was_listened_to(tmp_path):
    """After a step of less than two hours the run goes on; once the clock has caught up, midnight lies behind it."""
    assert a_jump_to_the_next_day(tmp_path, back=1.5, end="22T01:30:00") == [("01:30:00", "00:00:00", "disconnected")]


def test_a_step_within_the_day_or_that_tells_nothing_changes_nothing(tmp_path):
    assert a_jump_to_the_next_day(tmp_path / "a", back=0.5) == [("01:00:01", "00:00:00", "disconnected")]
    ledger = tmp_path / "b" / "2025-12-22" / "kalshi.ledger.jsonl"
    a_jump_to_the_next_day(tmp_path / "b", back=12.5)
    whole = ledger.read_bytes()
    for damaged, first in ((b'"many"', "01:00:01"), (b"null", "01:00:01"), (b"9" * 400, "00:00:00")):
        ledger.write_bytes(whole.replace(b"45000.0", damaged))
        assert manifests(tmp_path / "b")["2025-12-22"].gaps[0].from_[11:19] == first


def test_a_run_whose_clock_really_was_set_back_is_told_as_it_was(tmp_path):
    """The clock, the journal and the writer of a run, on a wall clock that jumps ahead over midnight and back."""
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
        for note in journal.take():
            run.note(note.event, note.ts_ns, **note.fields)
        run.message(ns)
    with pytest.raises(ClockError):
        clock.require_near()
    run.stop(clock.now())
    gaps = manifests(tmp_path)["2025-12-22"].gaps
    assert [(gap.from_[11:19], gap.to[11:19]) for gap in gaps] == [("00:00:00", "01:00:00"), ("01:00:00", "00:00:00")]


def test_a_session_is_open_while_its_collector_is_at_work(tmp_path):
    """Without a message since noon of the 20th; then it is killed, and another has not connected yet."""
    run = Run(tmp_path, at("20T12:00:00"))
    run.note("connected", at("20T12:00:00"))
    run.message(at("20T12:00:01"))
    assert figures(tmp_path, at("20T18:00:00"))["2025-12-20"].known_ns == at("20T12:00:01") - at("20T00:00:00")
    open_ = {day: round(each.coverage, 2) for day, each in figures(tmp_path, at("30T10:00:00")).items()}
    assert open_ == {f"2025-12-{day}": 50 if day == 20 else 100 for day in range(20, 31)}
    assert figures(tmp_path / "2025-12-20", at("30T10:00:00"))["2025-12-20"].seconds_out == 12 * 3600
    run.kill()
    assert list(figures(tmp_path, at("30T10:00:00"))) == ["2025-12-20"]
    killed = figures(tmp_path, at("22T10:00:00"))
    assert [(day, round(each.coverage, 2), each.seconds_out) for day, each in killed.items()] == [
        ("2025-12-20", 0, 24 * 3600 - 1),
        ("2025-12-21", 0, 24 * 3600),
        ("2025-12-22", 0, 10 * 3600),
    ]
    again = Run(tmp_path, at("20T15:00:00"))
    [waiting] = figures(tmp_path, at("20T16:00:00")).values()
    assert [(gap.from_[11:19], gap.cause) for gap in waiting.outages][1:] == [("12:00:01", "killed")]
    again.note("connected", at("20T16:00:00"))
    again.message(at("20T17:00:00"))
    [open_again] = figures(tmp_path, at("20T18:00:00")).values()
    assert [gap.to[11:19] for gap in open_again.outages] == ["12:00:00", "16:00:00"]
    again.kill()


def test_a_collector_that_starts_beside_a_report_is_not_turned_away(tmp_path, monkeypatch):
    run = Run(tmp_path, at("20T12:00:00"))
    run.note("connected", at("20T12:00:00"))
    run.kill()
    starting: list[gevent.Greenlet[Run]] = []
    ask = fcntl.flock

    def flock(fd: int, operation: int) -> None:
        ask(fd, operation)
        if operation & fcntl.LOCK_SH:
            starting.append(gevent.spawn(Run, tmp_path, at("20T13:00:00")))
            gevent.sleep(0.3)  # However long it takes to give the lock back.

    monkeypatch.setattr(fcntl, "flock", flock)
    assert figures(tmp_path, at("20T14:00:00"))["2025-12-20"].outages[-1].to[11:19] == "14:00:00"
    [start] = starting
    start.get(timeout=30).kill()


def test_a_quiet_day_that_a_later_message_proves_was_listened_to(tmp_path):
    Run.whole(tmp_path, "20T12:00:00", "20T12:00:01", "22T12:00:00", end="22T13:00:00")
    for _ in range(2):
        found = figures(tmp_path, LATER)
        assert {day: (round(each.coverage, 2), len(each.outages)) for day, each in found.items()} == {
            "2025-12-20": (50, 1),
            "2025-12-21": (100, 0),
            "2025-12-22": (54.17, 1),
        }
        assert len(manifests(tmp_path)) == 2  # And once more when they are sealed.


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
def test_any_history_is_told_as_it_was(tmp_path_factory, runs, first, sealed):
    """Where the clock was set back it may tell of less: what two runs say of the same time need not agree."""
    storage = tmp_path_factory.mktemp("history")
    now = at("22T00:00:00") + first * SECOND
    heard = []
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
            heard.append((begin, seen if end == "killed" else now))
        now += pause
    if sealed:
        manifests(storage)
    verdicts = [verify(file) for file in data_files([storage])]
    assert [verdict.findings for verdict in verdicts if verdict.findings] == []
    assert missing_files([storage], verdicts) == []
    exact = all(pause > 0 for *_, pause in runs[:-1])
    for day, found in figures(storage, now + 3 * 24 * HOUR).items():
        assert found.coverage is not None
        covered = found.coverage / 100 * found.known_ns / SECOND
        expected = seconds_of(day_begins(day), day_begins(day) + found.known_ns, heard)
        assert covered < expected + 0.01
        assert covered > expected - 0.01 or not exact


def seconds_of(begin: int, end: int, times: list[tuple[int, int]]) -> float:
    """How many of a stretch lie within some times, which may overlap."""
    total, cursor = 0, begin
    for since, until in sorted(times):
        since, until = max(since, cursor), min(until, end)
        if until > since:
            total, cursor = total + until - since, until
    return total / SECOND
