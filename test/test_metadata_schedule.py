"""The fields about hours: what is accepted, refused with a near miss, or has no effect."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from process import make_tree

from ssmd import wiring
from ssmd.errors import ConfigError
from ssmd.metadata.loader import check, load
from ssmd.metadata.schedule import hours_of, silences_of

TODAY = date(2026, 6, 1)
TRADES = "subscribe: {channels: [trade]}\n"


def tree(folder: Path, environment: str, calendar: str = "") -> Path:
    root = make_tree(folder, "sim://kalshi", "kalshi", "", environment + TRADES)
    if calendar:
        feed = root / "feeds" / "test.yaml"
        feed.write_text(f"{feed.read_text().rstrip()}\ncalendar: {calendar}\n")
    return root


def problems(folder: Path, environment: str, calendar: str = "") -> list[str]:
    """What is wrong, warnings included, without the folders and lines."""
    root = tree(folder, environment, calendar)
    try:
        found = list(map(str, load(root, "test", TODAY, wiring.parts()).warnings))
    except ConfigError as error:
        found = str(error).split("\n")
    return [text.partition(": ")[2] for text in found]


def hours(folder: Path, environment: str, calendar: str = ""):
    deployment = load(tree(folder, environment, calendar), "test", TODAY, wiring.parts())
    return hours_of(deployment.environment, deployment.feed)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_without_a_schedule_that_is_enforced_there_are_no_hours(tmp_path):
    assert hours(tmp_path / "a", "") is None
    assert hours(tmp_path / "b", "schedule: {day_start: 10:00, day_end: 11:00}\n") is None


def test_the_hours_are_those_of_the_schedule_and_the_calendar(tmp_path):
    found = hours(
        tmp_path,
        "schedule: {enforce: true, timezone: Europe/London, day_start: 08:00, day_end: 15:00:30}\n",
        "{timezone: America/New_York, open_time: 09:30, close_time: 16:00, weekdays: [monday, Tuesday], "
        "holidays: [2026-06-02]}",
    )
    assert found.include(moment("2026-06-01T13:30"))
    assert not found.include(moment("2026-06-01T13:29:59"))
    assert found.next_change(moment("2026-06-01T13:30")) == moment("2026-06-01T14:00:30")
    assert found.next_change(moment("2026-06-01T15:00")) == moment("2026-06-08T13:30")


def test_what_is_left_out_is_the_whole_day(tmp_path):
    found = hours(tmp_path, "schedule: {enforce: true, day_start: 08:00}\n")
    assert found.next_change(moment("2026-06-01T08:00")) == moment("2026-06-02T00:00")
    weekend = hours(tmp_path / "b", "schedule: {enforce: true, weekdays: [saturday, sunday]}\n")
    assert weekend.next_change(moment("2026-06-01T08:00")) == moment("2026-06-06T00:00")
    assert weekend.next_change(moment("2026-06-06T08:00")) == moment("2026-06-08T00:00")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "timezone: America/New York",
            "schedule.timezone: `America/New York` is not a time zone; did you mean `America/New_York`?",
        ),
        (
            "timezone: europe/berlin",
            "schedule.timezone: `europe/berlin` is not a time zone; did you mean `Europe/Berlin`?",
        ),
        (
            "timezone: ../etc/passwd",
            "schedule.timezone: `../etc/passwd` is not a time zone; give a name of the tz database, such as "
            "America/New_York",
        ),
        ("timezone: America", "schedule.timezone: `America` is not a time zone; did you mean"),
        (
            "day_start: 9:30",
            "schedule.day_start: must be a time such as 09:30 or 17:00, not `9:30`; did you mean `09:30`?",
        ),
        (
            "day_start: 0930",
            "schedule.day_start: must be a time such as 09:30 or 17:00, not `0930`; did you mean `09:30`?",
        ),
        (
            "day_start: 5 PM",
            "schedule.day_start: must be a time such as 09:30 or 17:00, not `5 PM`; did you mean `17:00`?",
        ),
        (
            "day_start: 12.15am",
            "schedule.day_start: must be a time such as 09:30 or 17:00, not `12.15am`; did you mean `00:15`?",
        ),
        ("day_end: noon", "schedule.day_end: must be a time such as 09:30 or 17:00, not `noon`"),
        ("day_end: 25:00", "schedule.day_end: must be a time such as 09:30 or 17:00, not `25:00`"),
        ("day_end: 24:01", "schedule.day_end: must be a time such as 09:30 or 17:00, not `24:01`"),
        ("day_start: 24:00", "schedule.day_start: 24:00 can only be an end; use 00:00"),
        (
            "day_start: 09:00, day_end: 09:00",
            "schedule.day_end: is the same as day_start; leave both out to be open all day",
        ),
        (
            "weekdays: [mon]",
            "schedule.weekdays[0]: must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday, not "
            "`mon`; did you mean `monday`?",
        ),
        (
            "weekdays: [thirsday]",
            "schedule.weekdays[0]: must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday, not "
            "`thirsday`; did you mean `thursday`?",
        ),
        ("weekdays: []", "schedule.weekdays: is an empty list; add at least one entry"),
        ("enforced: true", "schedule.enforced: ssmd does not know this key; did you mean `enforce`?"),
        (
            "auto_roll: true, day_end: 10:00",
            "schedule.auto_roll: has no effect: a new file always begins at midnight, UTC",
        ),
        (
            "timezone: UTC",
            "schedule: is always open, so `enforce` has no effect; give `day_start` and `day_end`, or `weekdays`",
        ),
    ],
)
def test_what_is_wrong_gets_one_clear_problem(tmp_path, text, problem):
    found = problems(tmp_path, f"schedule: {{enforce: true, {text}}}\n")
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_all_that_is_wrong_is_reported_at_once(tmp_path):
    found = problems(tmp_path, "schedule: {enforce: true, timezone: Mars, day_start: noon, weekdays: [mon]}\n")
    fields = {problem.partition(": ")[0] for problem in found}
    assert fields == {"schedule.timezone", "schedule.day_start", "schedule.weekdays[0]"}


@pytest.mark.parametrize(
    "text",
    ["{from: 00:00, to: 24:00}", "{from: 00:00, to: 12:00}, {from: 12:00, to: 00:00}"],
)
def test_silence_that_is_always_expected_is_an_error(tmp_path, text):
    """It would switch every alarm about silence off, for ever."""
    problem = "expected_silence: is all of the time; name the hours of silence, or leave it out"
    assert problems(tmp_path, f"expected_silence: [{text}]\n") == [problem]



@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "{open_time: 09:30}",
            "calendar.timezone: is required where an environment enforces its schedule; add it, such as "
            "America/New_York",
        ),
        (
            "{timezone: Asia/Tokio, open_time: 09:00}",
            "calendar.timezone: `Asia/Tokio` is not a time zone; did you mean `Asia/Tokyo`?",
        ),
        (
            "{timezone: UTC, open_time: 09:00, close_time: 9h45}",
            "calendar.close_time: must be a time such as 09:30 or 17:00, not `9h45`; did you mean `09:45`?",
        ),
        ("{timezone: UTC, holidays: [2026-02-30]}", "calendar.holidays[0]: `2026-02-30` is not a day of the calendar"),
        (
            "{timezone: UTC, holidays: [25.12.2026]}",
            "calendar.holidays[0]: must be a date such as 2025-12-22, not `25.12.2026`",
        ),
        (
            "{timezone: UTC, holiday_calendar: us}",
            "calendar.holiday_calendar: ssmd knows no holidays by a name; list the days in `holidays`, such as "
            "[2026-12-25]",
        ),
        (
            "{timezone: UTC, open_time: 13:00}",
            "schedule: is never open within the next 400 days that its feed's `calendar` is open too; correct the "
            "times, weekdays or holidays",
        ),
    ],
)
def test_a_calendar_that_acts_is_checked(tmp_path, text, problem):
    found = problems(tmp_path, "schedule: {enforce: true, day_end: 12:00}\n", text)
    assert found == [problem]


def test_without_enforce_the_texts_of_existing_trees_are_not_checked_and_a_warning_says_so(tmp_path):
    found = problems(
        tmp_path,
        "schedule: {timezone: New York, day_start: morning, auto_roll: true}\n",
        "{timezone: Eastern, open_time: 9, holiday_calendar: us}",
    )
    what = "has no effect without `enforce: true` in the environment's `schedule`"
    assert found == [f"schedule: {what}: ssmd collects until it is stopped", f"calendar: {what}"]


def test_a_calendar_acts_when_one_of_the_environments_of_its_feed_enforces_its_schedule(tmp_path):
    root = tree(tmp_path, "", "{timezone: UTC, open_time: 09:00}")
    environment = root / "environments" / "test.yaml"
    other = environment.with_name("another.yaml")
    other.write_text(environment.read_text().replace("name: test", "name: another"))
    warned = [problem.field for problem in check(root, TODAY, wiring.parts()).problems if problem.lenient]
    assert warned == ["calendar"]
    other.write_text(other.read_text() + "schedule: {enforce: true}\n")
    assert [problem for problem in check(root, TODAY, wiring.parts()).problems if problem.field == "calendar"] == []
    # The calendar alone is enough.
    assert check(root, TODAY, wiring.parts(), ["another"]).problems == []


def test_silence_is_expected_on_its_weekday(tmp_path):
    silence = "expected_silence: [{timezone: US/Eastern, weekday: thursday, from: 03:00, to: 05:00}]\n"
    deployment = load(tree(tmp_path, silence), "test", TODAY, wiring.parts())
    found = silences_of(deployment.environment)
    assert found.next_change(moment("2026-06-01T00:00")) == moment("2026-06-04T07:00")
    assert found.next_change(moment("2026-06-04T07:00")) == moment("2026-06-04T09:00")
    assert silences_of(load(tree(tmp_path / "b", ""), "test", TODAY, wiring.parts()).environment).next_change(0) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("from: 03:00", "expected_silence[0].to: is required; add it"),
        ("to: 03:00", "expected_silence[0].from: is required; add it"),
        (
            "from: 3, to: 05:00",
            "expected_silence[0].from: must be a time such as 09:30 or 17:00, not `3`; did you mean `03:00`?",
        ),
        (
            "from: 03:00, to: 03:00",
            "expected_silence[0].to: is the same as `from`; for a whole day use 00:00 and 24:00",
        ),
        ("from_: 03:00, to: 04:00", "expected_silence[0].from_: ssmd does not know this key; did you mean `from`?"),
        (
            "from: 03:00, to: 05:00, weekday: thu",
            "expected_silence[0].weekday: must be one of monday, tuesday, wednesday, thursday, friday, saturday, "
            "sunday, not `thu`; did you mean `thursday`?",
        ),
        (
            "from: 03:00, to: 05:00, timezone: US/Easter",
            "expected_silence[0].timezone: `US/Easter` is not a time zone; did you mean `US/Eastern`?",
        ),
        (
            "from: 03:00, to: 05:00, time_zone: UTC",
            "expected_silence[0].time_zone: ssmd does not know this key; did you mean `timezone`?",
        ),
    ],
)
def test_a_silence_that_is_wrong_gets_a_clear_error(tmp_path, text, problem):
    assert problem in problems(tmp_path, f"expected_silence: [{{{text}}}]\n")
