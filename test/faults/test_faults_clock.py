"""Clocks that pass midnight, run fast, and jump, by libfaketime in the collector's process.

Only the wall clock is faked. Timers go on unchanged, as they do when a clock is set.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest
from patience import PATIENCE
from process import Collector, Simulator

from ssmd.proof.verify import verify
from ssmd.store.inventory import data_files
from ssmd.store.line import decode_line
from ssmd.store.timestamps import timestamp

pytestmark = pytest.mark.needs("libfaketime")
RATE = 5000
RECORDED_SECONDS = 240
"""As long as a test may take, since on a busy machine it may."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory) -> Iterator[Simulator]:
    """Sends numbered messages to every client, at a rate that does not depend on the wall clock."""
    recording = tmp_path_factory.mktemp("clock") / "recording.jsonl"
    numbers = range(1, RECORDED_SECONDS * RATE)
    recording.write_bytes(b"".join(b'{"type":"trade","sid":1,"seq":%d,"msg":{}}\n' % number for number in numbers))
    with Simulator("--replay", recording, "--rate", str(RATE)) as simulator:
        yield simulator


class Clock:
    """The wall clock of one process."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self.variables = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def set(self, when: datetime, speed: float = 1) -> None:
        """Set it to `when`. With a `speed` that was the time when the process started, and it has run so fast since."""
        ahead = (when - datetime.now(UTC)).total_seconds()
        self._write(f"{ahead:+.6f} x1" if speed == 1 else f"@{when:%Y-%m-%d %H:%M:%S} x{speed}")

    def _write(self, text: str) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(text + "\n")
        part.replace(self._file)


@pytest.fixture
def clock(tmp_path, faketime_library) -> Clock:
    return Clock(tmp_path, faketime_library)


def next_midnight() -> datetime:
    now = datetime.now(UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


@contextmanager
def collecting(folder: Path, simulator: Simulator, clock: Clock) -> Iterator[Collector]:
    """Run a collector; at the end stop it, and check that every message is in the file of its date, in order."""
    with Collector(folder, simulator.generic, variables=clock.variables) as collector:
        collector.start_up()
        yield collector
        assert collector.end() == 0, collector.events[-1]
    assert collector.other == []
    stopped = collector.events[-1]
    assert (stopped["event"], stopped["gaps"]) == ("stopped", 0)
    times, numbers = [], []
    for path in files(collector):
        content = path.read_bytes()
        assert content.endswith(b"\n")
        for line in content.splitlines():
            record = decode_line(line)
            assert timestamp(record.received_ns)[:10] == path.parent.name
            times.append(record.received_ns)
            numbers.append(json.loads(record.payload)["seq"])
    assert times == sorted(times)
    assert numbers == list(range(1, stopped["messages"] + 1))


def files(collector: Collector) -> list[Path]:
    return sorted(collector.data.glob("*/test.jsonl"))


def days(collector: Collector) -> list[str]:
    return [path.parent.name for path in files(collector)]


def wait_until_it_grows(path: Path) -> None:
    size = path.stat().st_size
    until = time.monotonic() + PATIENCE
    while path.stat().st_size < size + 50_000:
        assert time.monotonic() < until, "the file does not grow any more"
        time.sleep(0.05)


def test_at_midnight_under_load_every_message_goes_to_the_file_of_its_date(tmp_path, simulator, clock):
    midnight = next_midnight()
    clock.set(midnight - timedelta(hours=1))
    with collecting(tmp_path, simulator, clock) as collector:
        collector.wait_for_lines(RATE)
        clock.set(midnight - timedelta(seconds=1))
        rotated = collector.wait_for("rotated")
        wait_until_it_grows(Path(rotated["to"]))
    before, after = files(collector)
    assert (rotated["from"], rotated["to"]) == (str(before), str(after))
    assert after.parent.name == f"{midnight:%Y-%m-%d}"
    assert before.stat().st_size > 50_000


def test_each_of_several_days_that_pass_in_seconds_has_its_file(tmp_path, simulator, clock):
    late = datetime(2025, 12, 29, 23, 59, tzinfo=UTC)
    last = late + timedelta(days=365, hours=12)
    clock.set(late)
    with collecting(tmp_path, simulator, clock) as collector:
        collector.wait_for_lines(RATE)
        clock.set(late, speed=28_800)
        time.sleep(18)  # Six days.
        # Then one of the usual length, so that a busy disk can catch up with them before the run ends.
        clock.set(last)
        while Path(collector.wait_for("rotated")["to"]).parent.name != f"{last:%Y-%m-%d}":
            pass
    rotations = [event for event in collector.events if event["event"] == "rotated"]
    assert [event["from"] for event in rotations] == [str(path) for path in files(collector)[:-1]]
    assert len(days(collector)) == len(rotations) + 1 >= 5


def test_a_step_back_over_midnight_does_not_reopen_yesterday(tmp_path, simulator, clock):
    midnight = next_midnight()
    clock.set(midnight - timedelta(hours=1))
    with collecting(tmp_path, simulator, clock) as collector:
        collector.wait_for_lines(RATE)
        clock.set(midnight - timedelta(seconds=1))
        rotated = collector.wait_for("rotated")
        yesterday, today = Path(rotated["from"]), Path(rotated["to"])
        wait_until_it_grows(today)
        size = yesterday.stat().st_size
        clock.set(midnight - timedelta(hours=1))
        stepped = collector.wait_for("clock stepped back")
        assert 3590 < stepped["seconds"] < 3630
        wait_until_it_grows(today)
        scrape = collector.get("/metrics")[1]
        assert re.search(r'^ssmd_clock_steps_total\{feed="test",shard=""\} 1\.0$', scrape, re.MULTILINE)
        clock.set(midnight + timedelta(hours=1))
        wait_until_it_grows(today)
        assert yesterday.stat().st_size == size
    assert files(collector) == [yesterday, today]
    lines = today.read_bytes().splitlines()
    # The first line may be of some seconds after midnight, on a busy machine.
    assert decode_line(lines[-1]).received_ns > (midnight + timedelta(hours=1)).timestamp() * 1e9
    assert decode_line(lines[0]).received_ns < decode_line(lines[-1]).received_ns
    assert [event["event"] for event in collector.events].count("clock stepped back") == 1


def test_after_a_step_forward_messages_go_to_the_file_of_the_new_day(tmp_path, simulator, clock):
    noon = next_midnight() + timedelta(hours=12)
    clock.set(noon)
    with collecting(tmp_path, simulator, clock) as collector:
        collector.wait_for_lines(RATE)
        clock.set(noon + timedelta(days=2))
        wait_until_it_grows(Path(collector.wait_for("rotated")["to"]))
    assert days(collector) == [f"{noon + timedelta(days=number):%Y-%m-%d}" for number in (0, 2)]


def test_a_clock_that_was_days_ahead_ends_the_run_and_the_next_run_writes_to_the_right_day(tmp_path, simulator, clock):
    noon = next_midnight() + timedelta(hours=12)
    clock.set(noon + timedelta(days=2))
    with Collector(tmp_path, simulator.generic, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(RATE)
        clock.set(noon)
        stopped = collector.wait_for("stopped")
        assert re.match(r"the clock is 172\d\d\d s behind its earlier time", stopped["reason"])
        assert collector.wait() == 75
        [ahead] = files(collector)
        assert ahead.read_bytes().count(b"\n") == stopped["messages"]
    with Collector(tmp_path, simulator.generic, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(1)
        assert collector.end() == 0
    assert days(collector) == [f"{noon + timedelta(days=number):%Y-%m-%d}" for number in (0, 2)]
    assert [verify(file).findings for file in data_files([collector.data])] == [[], []]


HOURS = "schedule: {enforce: true, timezone: America/New_York, day_start: '09:30', day_end: '16:00'}\n"


@pytest.mark.parametrize(
    ("before", "opening", "closing"),  # The closing on the day before, and what follows it.
    [
        # New York sets its clock forward on 8 March 2026 at 07:00 UTC, and back on 1 November at 06:00 UTC.
        ("2026-03-07 21:00:00", "2026-03-08 13:30:00", "2026-03-08 20:00:00"),
        ("2026-10-31 20:00:00", "2026-11-01 14:30:00", "2026-11-01 21:00:00"),
    ],
    ids=["to summer time", "to winter time"],
)
def test_a_schedule_opens_at_its_local_time_on_the_day_of_a_change(tmp_path, clock, before, opening, closing):
    before, opening, closing = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (before, opening, closing))
    clock.set(before - timedelta(hours=1))
    with Collector(tmp_path, "sim://kalshi?rate=200", environment=HOURS, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(100)
        clock.set(before - timedelta(seconds=3))
        closed = collector.wait_for("closed by schedule")
        assert datetime.fromisoformat(closed["until"]) == opening
        clock.set(opening - timedelta(minutes=30))
        with pytest.raises(TimeoutError), gevent.Timeout(4, TimeoutError):
            collector.wait_for("starting")
        clock.set(opening - timedelta(seconds=4))
        collector.start_up()
        collector.wait_for("connected")
        clock.set(closing - timedelta(seconds=3))
        assert collector.wait_for("stopped")["exit_code"] == 0
        collector.wait_for("closed by schedule")
        assert collector.end() == 0
    found = {file.day: verify(file) for file in data_files([collector.data])}
    assert [verdict.findings for verdict in found.values()] == [[], []]
    examination = found[f"{opening:%Y-%m-%d}"].examination
    assert examination is not None
    night, *_, evening = list(examination.manifest.closed or ())
    assert night.from_.endswith("T00:00:00.000000Z")
    assert evening.to.endswith("T00:00:00.000000Z")
    assert timedelta(0) <= opening - datetime.fromisoformat(night.to) < timedelta(seconds=5)


def test_a_trading_day_over_midnight_is_one_run(tmp_path, clock):
    """It opens on Sunday evening in Chicago, and closes on Monday afternoon."""
    hours = "day_start: '17:00', day_end: '16:00', weekdays: [sunday, monday, tuesday, wednesday, thursday]"
    environment = f"schedule: {{enforce: true, timezone: America/Chicago, {hours}}}\n"
    clock.set(datetime(2026, 6, 14, 23, 30, tzinfo=UTC))  # Sunday, 18:30 in Chicago.
    with Collector(tmp_path, "sim://kalshi?rate=200", environment=environment, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for("connected")
        clock.set(datetime(2026, 6, 14, 23, 59, 58, tzinfo=UTC))
        collector.wait_for("rotated")
        collector.wait_for_lines(500)
        clock.set(datetime(2026, 6, 15, 20, 59, 57, tzinfo=UTC))
        closed = collector.wait_for("closed by schedule")
        assert closed["until"] == "2026-06-15T22:00:00Z"
        assert collector.end() == 0
    assert days(collector) == ["2026-06-14", "2026-06-15"]
    found = [verify(file) for file in data_files([collector.data])]
    assert [verdict.findings for verdict in found] == [[], []]
    # Week end until 22:00 on Sunday; the hour between two trading days on Monday.
    sunday, monday = (verdict.examination.manifest.closed for verdict in found)
    assert [(time.from_[11:19], time.to[11:19]) for time in sunday] == [("00:00:00", "22:00:00")]
    assert [time.to[11:19] for time in monday] == ["22:00:00"]
