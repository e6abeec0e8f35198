"""The last 15 minutes of a run, by a clock that the test sets."""

from __future__ import annotations

import pytest

from ssmd.runtime.channel_status import ChannelStatus
from ssmd.runtime.histogram import Histogram
from ssmd.runtime.recent import CHART_SECONDS, STEP_SECONDS, Recent
from ssmd.runtime.status import Status


class Run:
    """A run of which one second after the other passes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.status = Status(day="2026-03-01")
        self.age = Histogram("age", "", (0.0, 0.01, 0.1, 1.0))
        self.recent = Recent(self.status, self.age, lambda: self.now)
        self.recent.sample()

    def seconds(self, count: int, *, messages: int = 0, size: int = 0, age: float | None = None) -> None:
        for _ in range(count):
            self.now += 1
            self.status.messages += messages
            self.status.received_bytes += size
            self.status.written_bytes += 2 * size
            if age is not None:
                self.age.observe(age)
            self.recent.sample()


def channel(name: str, numbered: int | None) -> ChannelStatus:
    return ChannelStatus(name, None, None, None, True, False, None, None, None, False, numbered=numbered)


def test_nothing_is_known_at_first():
    run = Run()
    assert [run.recent.rates(), run.recent.ages(), run.recent.bytes_per_day()] == [None] * 3
    assert run.recent.chart() == []


def test_the_present_rate_is_that_of_five_seconds():
    run = Run()
    run.seconds(60, messages=1000, size=5)
    run.seconds(5, messages=10, size=300)
    rates = run.recent.rates()
    assert (rates.messages, rates.bytes) == (10, 300)


def test_a_process_that_was_stopped_has_a_rate_over_the_time_that_passed():
    run = Run()
    run.seconds(5, messages=10)
    run.now += 95
    run.seconds(1, messages=0)
    assert run.recent.rates().messages == pytest.approx(40 / 100)


def test_a_rate_of_long_ago_is_not_shown_as_the_present_one():
    run = Run()
    run.seconds(5, messages=10)
    run.now += 61
    assert run.recent.rates() is None


def test_rates_by_channel_of_those_whose_messages_have_numbers():
    run = Run()
    run.status.channels = [channel("trade", 50), channel("ticker", None)]
    run.seconds(1)
    assert run.recent.rates().channels == {"trade": 0}  # Nobody knows how many of the 50 came in this second.
    for count in range(60, 110, 10):
        run.status.channels = [channel("trade", count), channel("ticker", None)]
        run.seconds(1)
    assert run.recent.rates().channels == {"trade": 10.0}


def test_a_counter_that_begins_anew_gives_no_rate_below_0():
    run = Run()
    run.status.channels = [channel("trade", 50)]
    run.seconds(5)
    run.status.channels = [channel("trade", 2)]
    run.seconds(1)
    assert run.recent.rates().channels == {"trade": 0}


def test_the_chart_has_a_point_each_ten_seconds_of_the_last_fifteen_minutes():
    run = Run()
    run.seconds(30, messages=1)
    assert [(ago, rates.messages) for ago, rates in run.recent.chart()] == [(20, 1), (10, 1), (0, 1)]
    run.seconds(2000, messages=2)
    chart = run.recent.chart()
    assert len(chart) == CHART_SECONDS // STEP_SECONDS
    assert {rates.messages for _, rates in chart} == {2}
    assert chart[0][0] < CHART_SECONDS


def test_the_ages_are_those_of_the_last_minute():
    run = Run()
    run.seconds(300, age=0.5)
    run.seconds(80, age=0.05)
    assert 0.01 < run.recent.ages().p99 <= 0.1
    run.seconds(300)
    assert run.recent.ages() is None


def test_the_ages_of_a_run_that_has_just_begun():
    run = Run()
    run.seconds(3, age=0.05)
    assert 0.01 < run.recent.ages().p50 <= 0.1


def test_what_a_day_writes_is_known_after_a_minute_and_anew_each_day():
    run = Run()
    run.seconds(59, size=5)
    assert run.recent.bytes_per_day() is None
    run.seconds(41, size=5)
    assert run.recent.bytes_per_day() == pytest.approx(10 * 86_400)
    run.status.day = "2026-03-02"
    run.seconds(1, size=5)
    assert run.recent.bytes_per_day() is None
