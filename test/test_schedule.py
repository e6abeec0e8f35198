"""A schedule that is enforced, in real processes whose clock the tests set: `ssmd run` opens, closes and waits."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from exchange_server import eventually
from moved_clock import MovedClock
from patience import PATIENCE
from process import Collector

from ssmd.store.ledger import decode_entry

HOUR = 3600


@pytest.fixture
def clock(tmp_path) -> MovedClock:
    return MovedClock(tmp_path)


UNREACHABLE = "ws://127.0.0.1:1/none"
SIMULATED = "sim://kalshi?rate=200"
"""In the process of the collector, and so with its clock."""


def at(clock: MovedClock, ahead: float) -> str:
    """A local time in UTC, so many seconds after what the clock shows; whole minutes."""
    return f"{datetime.fromtimestamp(clock.now() + ahead, UTC):%H:%M}"


def open_between(clock: MovedClock, begin: float, end: float, weekdays: str = "") -> str:
    return f"schedule: {{enforce: true, day_start: {at(clock, begin)}, day_end: {at(clock, end)}{weekdays}}}\n"


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def entries(collector: Collector) -> list[tuple[str, dict]]:
    """The entries of all ledgers, oldest first."""
    files = sorted(collector.data.glob("*/*.ledger.jsonl"))
    found = [decode_entry(line) for file in files for line in file.read_bytes().splitlines()]
    return [(entry.event, dict(entry.fields)) for entry in found]


class Scheduled(Collector):
    """A collector with a schedule."""

    def closed(self) -> float:
        """Wait until it is closed; return until when, and take the address of its probes."""
        event = self.wait_for("closed by schedule")
        self.listen = event["listen"]
        return moment(event["until"])


def shows(collector: Collector, series: str) -> bool:
    return series in collector.get("/metrics")[1]


@contextmanager
def always_answered(collector: Collector) -> Iterator[None]:
    """Ask /health again and again meanwhile; fail when one is not answered with 200."""
    over = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        while not over.is_set():
            with urllib.request.urlopen(f"http://{collector.listen}/health", timeout=PATIENCE) as response:
                answers.append(response.status)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            over.set()
        asking.result()
    assert set(answers) == {200}


def test_it_waits_for_the_opening_collects_and_waits_again_in_one_process(tmp_path, clock):
    environment = open_between(clock, 2 * HOUR, 4 * HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        opening = collector.closed()
        assert 1.9 * HOUR < opening - clock.now() <= 2 * HOUR
        assert collector.get("/health") == (200, '{"status":"ok"}\n')
        assert collector.get("/ready") == (200, '{"state":"closed","status":"ready"}\n')
        assert 'ssmd_scheduled{feed="test",shard=""} 0.0' in collector.get("/metrics")[1]
        assert "ssmd_opened_timestamp{" not in collector.get("/metrics")[1]
        described = json.loads(collector.get("/status")[1])
        assert (described["state"], described["connected"], described["missing"]) == ("closed", False, [])
        assert moment(described["schedule"]["closed_until"]) == opening
        assert not collector.data.exists()

        clock.forward(int(opening - clock.now()))
        collector.start_up()
        collector.wait_for("connected")
        collector.wait_for_lines(50)
        assert 'ssmd_scheduled{feed="test",shard=""} 1.0' in collector.get("/metrics")[1]
        assert json.loads(collector.get("/status")[1])["schedule"]["open"] is True

        clock.forward(2 * HOUR)
        stopped = collector.wait_for("stopped")
        assert stopped["exit_code"] == 0
        assert stopped["reason"].startswith("closed by schedule until ")
        assert collector.closed() == opening + 24 * HOUR
        assert len(collector.lines()) == stopped["messages"]
        assert collector.end() == 0
        assert (collector.events[-1]["event"], collector.events[-1]["reason"]) == ("stopped", "SIGTERM")
    assert collector.other == []
    found = entries(collector)
    events = [event for event, _ in found]
    assert events[:2] == ["started", "opened"]
    assert events[-2:] == ["closed", "stopped"]
    opened, closed = (dict(found)[name] for name in ("opened", "closed"))
    assert (opened["by"], moment(opened["at"])) == ("schedule", opening)
    assert [moment(opened[name]) - opening for name in ("closes", "until")] == [2 * HOUR, 24 * HOUR]
    assert moment(opened["since"]) == opening - 22 * HOUR
    assert (closed["by"], moment(closed["until"])) == ("schedule", opening + 24 * HOUR)
    assert "outage" not in events


def test_the_probes_are_answered_at_the_same_address_over_openings_and_closings(tmp_path, clock):
    environment = open_between(clock, 2 * HOUR, 4 * HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        opening = collector.closed()
        listen = collector.listen
        with always_answered(collector):
            clock.forward(int(opening - clock.now()))
            collector.start_up()
            collector.wait_for("connected")
            clock.forward(2 * HOUR)
            collector.closed()
        assert collector.listen == listen
        assert collector.end() == 0


def test_sigterm_while_it_is_closed_ends_it_at_once(tmp_path, clock):
    environment = open_between(clock, 2 * HOUR, 4 * HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        collector.closed()
        began = time.monotonic()
        assert collector.end() == 0
        assert time.monotonic() - began < 60  # It is closed for two hours.


def test_a_closing_during_which_a_signal_comes_ends_the_process(tmp_path, clock):
    environment = open_between(clock, -2 * HOUR, HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for("connected")
        clock.forward(HOUR)
        collector.wait_for("stopping")
        # Wherever it is by now, in the drain, between two programs or closed: it ends in order.
        assert collector.end() == 0


def test_at_the_opening_the_metadata_is_loaded_again(tmp_path, clock):
    environment = open_between(clock, 2 * HOUR, 4 * HOUR)
    with Scheduled(tmp_path, UNREACHABLE, environment=environment, variables=clock.variables) as collector:
        opening = collector.closed()
        feed = tmp_path / "conf" / "feeds" / "test.yaml"
        feed.write_text(feed.read_text().replace(UNREACHABLE, SIMULATED))
        clock.forward(int(opening - clock.now()))
        collector.start_up()
        collector.wait_for("connected")
        assert collector.end() == 0


def test_a_missing_key_shows_while_it_is_closed(tmp_path, clock):
    environment = open_between(clock, 2 * HOUR, 4 * HOUR)
    variables = clock.variables | {"KALSHI_API_KEY": ""}
    with Collector(tmp_path, UNREACHABLE, environment=environment, variables=variables) as collector:
        assert collector.wait() == 78


def test_a_day_that_is_over_is_sealed_while_it_is_closed(tmp_path, clock):
    clock.forward(int(-(clock.now() % (24 * HOUR)) + 12 * HOUR))  # Noon.
    environment = open_between(clock, -HOUR, HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(50)
        [day] = collector.data.glob("20*")
        clock.forward(HOUR)
        collector.closed()
        assert not (day / "test.manifest.json").exists()
        clock.forward(12 * HOUR)
        until = time.monotonic() + PATIENCE
        while not (day / "test.manifest.json").exists():
            assert time.monotonic() < until
            time.sleep(0.1)
        assert collector.end() == 0


def test_a_clock_that_is_set_back_over_the_opening_does_not_end_the_run(tmp_path, clock):
    environment = open_between(clock, -HOUR, 2 * HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(50)
        clock.forward(-2 * HOUR + 60)
        collector.wait_for("clock stepped back")
        lines = len(collector.lines())
        collector.wait_for_lines(lines + 200)
        assert collector.end() == 0
    assert "closed" not in [event for event, _ in entries(collector)]


def test_a_clock_that_was_wrong_at_the_start_is_believed_when_it_is_set(tmp_path, clock):
    environment = open_between(clock, -HOUR, HOUR)
    clock.forward(-300 * 24 * HOUR - 12 * HOUR)
    with Scheduled(tmp_path, SIMULATED, environment=environment, variables=clock.variables) as collector:
        collector.closed()
        clock.forward(300 * 24 * HOUR + 12 * HOUR)
        collector.start_up()
        collector.wait_for("connected")
        assert collector.end() == 0


QUIET = "sim://kalshi?rate=200&silent-after=20"


def test_an_expected_silence_raises_no_alarm_and_is_followed_by_the_usual_time_outs(tmp_path, clock):
    """Nothing comes at all. While that is expected, no time-out ends the run; afterwards the shortest does."""
    silence = f"expected_silence: [{{from: {at(clock, -HOUR)}, to: {at(clock, HOUR)}}}]\n"
    limits = "data_timeout_seconds: 4\nsilent_after_seconds: 1\nsubscribe: {channels: [trade]}\n"
    with Collector(tmp_path, QUIET, environment=silence + limits, variables=clock.variables) as collector:
        collector.start_up()
        expected = collector.wait_for("silence expected")
        until = time.monotonic() + 8
        while time.monotonic() < until:
            assert collector.get("/ready") == (200, '{"status":"ready"}\n')
            time.sleep(0.5)
        described = json.loads(collector.get("/status")[1])
        assert described["state"] == "collecting"
        assert described["expected_silence_until"][:19] == expected["until"][:19]
        assert [channel["silent"] for channel in described["channels"]] == [False]
        metrics = collector.get("/metrics")[1]
        assert 'ssmd_silence_expected{feed="test"' in metrics
        clock.forward(2 * HOUR)
        stopped = collector.wait_for("stopped")
        assert "data_timeout_seconds" in stopped["reason"]
        assert collector.wait() == 75
    found = [fields for event, fields in entries(collector) if event == "silence_expected"]
    assert [moment(fields["until"]) for fields in found] == [moment(expected["until"])]
    assert "channel silent" in [event["event"] for event in collector.events]


def test_a_clock_that_is_set_back_ends_an_expected_silence_that_has_not_begun(tmp_path, clock):
    if clock.now() % (24 * HOUR) > 20 * HOUR:
        clock.forward(-6 * HOUR)  # So that it is one day.
    silence = f"expected_silence: [{{from: {at(clock, HOUR)}, to: {at(clock, 3 * HOUR)}}}]\n"
    with Collector(tmp_path, SIMULATED, environment=silence, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(50)
        for ahead, expected in ((2 * HOUR, 1), (-2 * HOUR, 0), (2 * HOUR, 1)):
            clock.forward(ahead)
            series = f'ssmd_silence_expected{{feed="test",shard=""}} {expected}.0\n'
            eventually(partial(shows, collector, series))
        assert collector.end() == 0
    assert [event for event, _ in entries(collector)].count("silence_expected") == 2


def test_a_new_version_of_the_feed_ends_the_run_at_its_midnight_so_that_a_restart_takes_it(tmp_path, clock):
    today = datetime.fromtimestamp(clock.now(), UTC).date()
    versions = "".join(
        f"- {{version: {label}, effective_from: {day}, endpoint: {SIMULATED}, exchange: kalshi}}\n"
        for label, day in (("v2", today + timedelta(1)), ("v3", today + timedelta(9)))
    )
    with Collector(tmp_path, SIMULATED, version=versions, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(50)
        midnight = clock.to_midnight()
        stopped = collector.wait_for("stopped")
        since = f"is in force since {today + timedelta(1)}; a restart takes it"
        assert stopped["reason"] == f"version v2 of the feed {since}"
        assert midnight <= moment(stopped["ts"]) < midnight + 30
        assert collector.wait() == 75
    assert ("stopped", stopped["reason"]) in [(event, fields.get("reason")) for event, fields in entries(collector)]


def test_and_not_when_the_version_in_force_stays_the_same(tmp_path, clock):
    today = datetime.fromtimestamp(clock.now(), UTC).date()
    of_v9 = f"effective_from: {today + timedelta(9)}, endpoint: {SIMULATED}, exchange: kalshi"
    version = f"- {{version: v9, {of_v9}}}\n"
    with Collector(tmp_path, SIMULATED, version=version, variables=clock.variables) as collector:
        collector.start_up()
        collector.wait_for_lines(50)
        clock.to_midnight()
        collector.wait_for("rotated")
        collector.wait_for_lines(len(collector.lines()) + 200)
        assert collector.end() == 0
