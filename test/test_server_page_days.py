"""The days of the page: how much of each was listened to, and its outages."""

from __future__ import annotations

from typing import Any

from ssmd.contracts.strip import LISTENING, NOT_STARTED, OUTAGE, UNKNOWN, Piece, Strip
from ssmd.server.page.days import days_of
from ssmd.store.timestamps import DAY_NS, day_begins

BEGIN = day_begins("2026-09-21")
HOUR = 3600 * 10**9
SIX = BEGIN + 6 * HOUR
EIGHT = BEGIN + 8 * HOUR
FIRST = Strip("2026-09-21", [Piece(BEGIN, SIX, OUTAGE, NOT_STARTED), Piece(SIX, EIGHT, LISTENING)])
AWAY = Strip("2026-09-21", [Piece(BEGIN, SIX, LISTENING), Piece(SIX, EIGHT, OUTAGE, "disconnected")])


def unknown(day: str) -> Strip:
    return Strip(day, [Piece(day_begins(day), day_begins(day) + DAY_NS, UNKNOWN)])


def shown(*days: Strip, is_connected: bool = True) -> dict[str, Any]:
    return days_of(days, is_connected=is_connected)


def test_the_time_before_the_first_run_is_not_counted():
    [row] = shown(FIRST)["rows"]
    assert (row["coverage"], row["grade"]) == ("100.00 %", "good")


def test_after_other_days_such_a_time_is_an_outage():
    """The collector may have been started late after closed hours."""
    before = Strip("2026-09-20", [Piece(BEGIN - DAY_NS, BEGIN, LISTENING)])
    row, _ = shown(before, FIRST)["rows"]
    assert (row["coverage"], row["grade"]) == ("25.00 %", "bad")


def test_days_before_the_first_records_are_one_line():
    days = shown(unknown("2026-09-18"), unknown("2026-09-19"), Strip("2026-09-20", [], gaps=1), AWAY)
    assert [row["name"] for row in days["rows"]] == ["today", "09-20"]
    assert days["unrecorded"] == "09-18 to 09-19: no records"
    assert shown(unknown("2026-09-20"), AWAY)["unrecorded"] == "09-20: no records"
    assert shown(AWAY)["unrecorded"] == ""


def test_a_day_between_others_that_is_not_known_stays():
    days = shown(Strip("2026-09-19", [Piece(0, 1, LISTENING)]), unknown("2026-09-20"), AWAY)
    assert [(row["name"], row["coverage"]) for row in days["rows"]] == [
        ("today", "75.00 %"),
        ("09-20", "?"),
        ("09-19", "100.00 %"),
    ]


def test_an_outage_that_goes_on_has_no_end():
    assert shown(AWAY, is_connected=False)["outages"] == ["since 06:00:00 UTC: not listening, the connection was lost"]
    ended = "06:00:00 to 08:00:00 UTC: not listening, the connection was lost (2 h)"
    assert shown(AWAY)["outages"] == [ended]
