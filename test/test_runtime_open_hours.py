"""The hours of a schedule around a moment: what a run, a wait and the ledger are given."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ssmd.metadata.hours import Daily, Times
from ssmd.runtime.open_hours import EARLY_SECONDS, OpenHours, next_opening, open_hours, second

HOURS = Times([Daily(ZoneInfo("UTC"), 9 * 3600, 17 * 3600, frozenset(range(5)))])


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-06-{text}").replace(tzinfo=UTC).timestamp())


MONDAY = OpenHours(at("05T17:00"), at("08T09:00"), at("08T17:00"), at("09T09:00"))


@pytest.mark.parametrize("now", ["08T09:00", "08T12:00", "08T16:59:54"])
def test_within_the_hours_they_are_known_with_the_closed_ones_beside_them(now):
    assert open_hours(HOURS, at(now)) == MONDAY
    assert next_opening(HOURS, at(now)) is None


def test_a_run_begins_a_little_before_the_opening_and_none_begins_as_little_before_the_closing():
    assert open_hours(HOURS, at("08T09:00") - EARLY_SECONDS) == MONDAY
    assert open_hours(HOURS, at("08T09:00") - EARLY_SECONDS - 1) is None
    assert next_opening(HOURS, at("08T09:00") - EARLY_SECONDS - 1) == at("08T09:00")
    assert open_hours(HOURS, at("08T17:00") - EARLY_SECONDS) is None
    assert next_opening(HOURS, at("08T17:00") - EARLY_SECONDS) == at("09T09:00")


def test_what_never_closes_has_no_hours_and_no_opening():
    assert open_hours(Times([]), 0) is None
    assert next_opening(Times([]), 0) is None


def test_the_times_are_written_as_the_ledger_has_them():
    assert MONDAY.opened_fields() == {
        "by": "schedule",
        "since": "2026-06-05T17:00:00.000000Z",
        "at": "2026-06-08T09:00:00.000000Z",
        "closes": "2026-06-08T17:00:00.000000Z",
        "until": "2026-06-09T09:00:00.000000Z",
    }
    assert MONDAY.closed_fields() == {"by": "schedule", "until": "2026-06-09T09:00:00.000000Z"}
    assert MONDAY.reason == "closed by schedule until 2026-06-09T09:00:00Z"
    assert second(None) == "further notice"
