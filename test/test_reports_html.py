"""The figures above the table of the report's page say what is known, and no more."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ssmd.contracts.exchange import LOSS_NOT_DETECTED
from ssmd.reports.figures import Figures
from ssmd.reports.html import page
from ssmd.store.manifest import ClosedTime, TimeGap
from ssmd.store.timestamps import day_begins, timestamp

HOUR = 3600 * 10**9


def tiles(*days: Figures) -> dict[str, tuple[str, str]]:
    """Return the text and the grade of each figure above the table."""
    drawn = page(days, now_ns=day_begins("2026-09-30"), storage="data", version="1")
    found = re.findall(r'<div class="(\w+)"><dt>(.*?)</dt><dd>(.*?)</dd></div>', drawn)
    return {name: (text, grade) for grade, name, text in found}


def day(number: int, **figures: Any) -> Figures:
    return Figures(f"2026-09-{20 + number}", "kalshi", **{"messages": 10, "coverage": 100.0, **figures})


def outage(number: int, begin: int, end: int) -> TimeGap:
    midnight = day_begins(f"2026-09-{20 + number}")
    first, last = (timestamp(midnight + hour * HOUR) for hour in (begin, end))
    return TimeGap(first, last, (end - begin) * 3600.0, "killed")


@pytest.mark.parametrize(
    ("missing", "shown"),
    [
        ([0, 0], ("0", "good")),
        ([0, 1234], ("1,234", "fair")),
        ([None, None], ("?", "plain")),
        ([None, 0], ("?", "plain")),
        ([None, 3], ("at least 3", "fair")),
    ],
)
def test_lost_messages_are_added_up_as_far_as_they_are_known(missing, shown):
    days = [day(number, missing=count) for number, count in enumerate(missing)]
    assert tiles(*days)["messages lost"] == shown
    # On a day without data there is nothing that could be lost.
    assert tiles(*days, day(5, messages=0, coverage=0.0))["messages lost"] == shown


@pytest.mark.parametrize(
    ("peaks", "shown"),
    [([7], "7"), ([7, 1234], "1,234 on 09-21"), ([None, 3], "at least 3 on 09-21"), ([None], "?"), ([0, 0], "0")],
)
def test_the_busiest_second_of_all_days(peaks, shown):
    days = [day(number, peak_second=count) for number, count in enumerate(peaks)]
    assert tiles(*days)["in the busiest second"] == (shown, "plain")


def test_gaps_of_an_unknown_size_are_not_shown_as_nothing():
    assert tiles(day(0, sequence_gaps=2, missing=None), day(1, sequence_gaps=0, missing=0))["messages lost"] == (
        "?",
        "fair",
    )


def test_a_sentence_says_that_lost_messages_do_not_show():
    drawn = page([day(0)], now_ns=day_begins("2026-09-30"), storage="data", version="1")
    assert f"<p class=\"legend\">L{LOSS_NOT_DETECTED[1:]}.</p>" in drawn
    drawn = page([day(0, sequence_gaps=0)], now_ns=day_begins("2026-09-30"), storage="data", version="1")
    assert LOSS_NOT_DETECTED[1:] not in drawn


def test_outages_are_not_known_when_they_are_unknown_for_every_day():
    assert [tiles(day(0, coverage=None))[name] for name in ("covered", "outages", "not connected")] == [
        ("?", "none"),
        ("?", "plain"),
        ("?", "plain"),
    ]
    assert tiles(day(0, coverage=None), day(1))["outages"] == ("0", "good")


def test_an_outage_over_midnight_is_one():
    days = (
        day(0, coverage=90.0, outages=[outage(0, 3, 4), outage(0, 22, 24)]),
        day(1, coverage=0.0, messages=0, outages=[outage(1, 0, 24)]),
        day(2, coverage=90.0, outages=[outage(2, 0, 2), outage(2, 5, 6)]),
    )
    found = tiles(*days)
    assert (found["outages"], found["not connected"]) == (("3", "fair"), ("1 d 06:00:00", "fair"))


def test_closed_hours_are_drawn_and_do_not_count():
    midnight = day_begins("2026-09-21")
    closed = [ClosedTime(timestamp(midnight), timestamp(midnight + 12 * HOUR), 12 * 3600.0)]
    half = day(1, closed=closed, outages=[outage(1, 12, 15)], coverage=75.0)
    assert tiles(half, day(2))["covered"] == ("91.66 %", "poor")
    drawn = page([half], now_ns=day_begins("2026-09-30"), storage="data", version="1")
    assert "00:00:00 to 12:00:00: closed by schedule" in drawn
    assert "</i>closed by schedule" in drawn
    assert "closed by schedule" not in page([day(2)], now_ns=day_begins("2026-09-30"), storage="data", version="1")
