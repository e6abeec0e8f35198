"""The days of a feed beside each other: compared with the days before, and their outages joined."""

from __future__ import annotations

import pytest

from ssmd.contracts.exchange import LOSS_NOT_DETECTED
from ssmd.reports.comparison import change, joined_outages, loss_note
from ssmd.reports.figures import Figures
from ssmd.store.manifest import TimeGap


def test_a_day_is_compared_with_the_mean_of_the_days_before_it():
    usual = [Figures(f"2026-09-{day}", "kalshi", 240, by_hour=[10] * 24) for day in range(10, 18)]
    more = Figures("2026-09-18", "kalshi", 360, by_hour=[15] * 24)
    empty = Figures("2026-09-18", "kalshi")
    half = Figures("2026-09-18", "kalshi", 60, by_hour=[5] * 12 + [0] * 12, known_ns=12 * 3600 * 10**9)
    assert change([*usual, more], 8) == pytest.approx(50)
    assert change([usual[0], empty, more], 2) == pytest.approx(50)  # A day without messages does not count.
    assert change([*usual, half], 8) == pytest.approx(-50)
    assert change(usual, 0) is None


def outage(begin: str, end: str, seconds: float, cause: str = "killed") -> TimeGap:
    return TimeGap(f"2026-09-{begin}:00:00.000000Z", f"2026-09-{end}:00:00.000000Z", seconds, cause)


def test_outages_that_meet_at_midnight_are_one_with_the_cause_of_the_first():
    days = [
        Figures("2026-09-20", "kalshi", outages=[outage("20T03", "20T04", 3600), outage("20T22", "21T00", 7200)]),
        Figures("2026-09-21", "kalshi", outages=[outage("21T00", "22T00", 86_400, "no data")]),
        Figures("2026-09-22", "kalshi", outages=[outage("22T00", "22T01", 3600), outage("22T01", "22T02", 3600)]),
        Figures("2026-09-24", "kalshi", outages=[outage("24T00", "24T01", 3600)]),
    ]
    assert joined_outages(days) == [
        outage("20T03", "20T04", 3600),
        outage("20T22", "22T01", 97_200),
        outage("22T01", "22T02", 3600),  # Within a day there are two, with a connection of no length between them.
        outage("24T00", "24T01", 3600),
    ]
    assert joined_outages([]) == []


def test_the_days_on_which_lost_messages_do_not_show_are_counted():
    shown = Figures("2026-09-20", "a", messages=5, sequence_gaps=0, missing=0)
    hidden = Figures("2026-09-20", "a", messages=5)
    empty = Figures("2026-09-20", "a")
    assert loss_note([shown, shown, empty]) == loss_note([empty]) == ""
    assert loss_note([hidden, empty]) == LOSS_NOT_DETECTED
    assert loss_note([shown, hidden, hidden, empty]) == f"on 2 of 3 days {LOSS_NOT_DETECTED}"
