"""The hours of a schedule: when they begin and end, over every change of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.metadata.hours import DAY_SECONDS, EVERY_DAY, Daily, Times

NEW_YORK, LONDON = ZoneInfo("America/New_York"), ZoneInfo("Europe/London")
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "America/New_York", "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo",
        "Australia/Lord_Howe",  # Its clock is set by half an hour.
        "America/Santiago", "Africa/Cairo",  # At midnight.
        "Pacific/Apia",  # 30 December 2011 was left out.
        "Africa/Casablanca",  # Back during Ramadan.
        "Antarctica/Troll",  # By two hours.
    )
]  # fmt: skip
YEARS = st.integers(*(int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2011, 2030)))


def hours(hour: float) -> int:
    return int(3600 * hour)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


WORKDAYS = frozenset(range(5))
STOCKS = Daily(NEW_YORK, hours(9.5), hours(16), WORKDAYS, frozenset({date(2026, 12, 25)}))


def changes(times: Times, begin: str, count: int) -> list[str]:
    moment = utc(begin)
    found = []
    for _ in range(count):
        following = times.next_change(moment)
        assert following is not None
        moment = following
        found.append(f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M}")
    return found


def test_a_market_opens_at_its_local_time_on_both_sides_of_the_change_to_summer_time():
    # 8 March 2026 is the Sunday on which New York sets its clock forward.
    assert changes(Times([STOCKS]), "2026-03-06T00:00", 4) == [
        "2026-03-06T14:30", "2026-03-06T21:00", "2026-03-09T13:30", "2026-03-09T20:00",
    ]  # fmt: skip


def test_and_on_both_sides_of_the_change_to_winter_time():
    assert changes(Times([STOCKS]), "2026-10-30T00:00", 4) == [
        "2026-10-30T13:30", "2026-10-30T20:00", "2026-11-02T14:30", "2026-11-02T21:00",
    ]  # fmt: skip


def test_a_holiday_and_a_weekend_are_closed():
    assert changes(Times([STOCKS]), "2026-12-24T15:00", 2) == ["2026-12-24T21:00", "2026-12-28T14:30"]


def test_a_trading_day_over_midnight_belongs_to_the_day_on_which_it_begins():
    futures = Daily(ZoneInfo("America/Chicago"), hours(17), hours(16), frozenset({6, 0, 1, 2, 3}))
    assert changes(Times([futures]), "2026-06-12T00:00", 4) == [
        "2026-06-12T21:00", "2026-06-14T22:00", "2026-06-15T21:00", "2026-06-15T22:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "begin", "changed"),
    [
        # 02:30 does not exist on 8 March: the hour before it does no harm, the hour after it might.
        (2.5, 9, "2026-03-08T00:00", ["2026-03-08T06:30", "2026-03-08T13:00"]),
        (1, 2.5, "2026-03-08T00:00", ["2026-03-08T06:00", "2026-03-08T07:30"]),
        # 01:30 exists twice on 1 November.
        (1.5, 9, "2026-11-01T00:00", ["2026-11-01T05:30", "2026-11-01T14:00"]),
        (0, 1.5, "2026-11-01T00:00", ["2026-11-01T04:00", "2026-11-01T06:30"]),
    ],
)
def test_a_time_that_does_not_exist_or_exists_twice_makes_the_hours_longer(start, end, begin, changed):
    assert changes(Times([Daily(NEW_YORK, hours(start), hours(end))]), begin, 2) == changed


def test_the_schedule_and_the_calendar_must_both_be_open():
    both = Times([Daily(LONDON, hours(8), hours(15)), STOCKS])
    assert changes(both, "2026-06-01T00:00", 2) == ["2026-06-01T13:30", "2026-06-01T14:00"]


def test_either_of_several_silences_is_one():
    either = Times([Daily(LONDON, 0, hours(1)), Daily(LONDON, hours(1), hours(2))], any)
    assert changes(either, "2026-06-01T12:00", 2) == ["2026-06-01T23:00", "2026-06-02T01:00"]


def test_whole_days_one_after_the_other_never_close_and_no_part_at_all_is_always_open():
    for times in (Times([Daily(zone) for zone in ZONES]), Times([])):
        assert times.include(utc("2026-03-08T07:00"))
        assert times.next_change(utc("2026-01-01T00:00")) is times.last_change(utc("2026-01-01T00:00")) is None


def test_hours_that_never_meet_are_never_open():
    never = Times([Daily(NEW_YORK, 0, hours(3)), Daily(NEW_YORK, hours(9), hours(16))])
    assert not never.include(utc("2026-06-01T05:00"))
    assert never.next_change(utc("2026-06-01T05:00")) is None
    assert Times([], any).next_change(0) is None


def test_the_only_day_of_the_year_is_found_from_far_away():
    fridays = frozenset(date(2026, 1, 2) + timedelta(7 * week) for week in range(52))
    once = Daily(LONDON, weekdays=frozenset({4}), holidays=fridays)
    assert changes(Times([once]), "2026-01-01T00:00", 2) == ["2027-01-01T00:00", "2027-01-02T00:00"]


dailies = st.builds(
    Daily,
    st.sampled_from(ZONES),
    st.integers(0, 95).map(lambda quarter: quarter * 900),
    st.integers(0, 96).map(lambda quarter: quarter * 900),
    st.frozensets(st.integers(0, 6), min_size=1).map(frozenset) | st.just(EVERY_DAY),
)
times = st.builds(Times, st.lists(dailies, min_size=1, max_size=2), st.sampled_from([all, any]))


@given(dailies, st.dates(date(2011, 1, 1), date(2030, 1, 1)))
def test_the_hours_have_a_beginning_and_an_end_and_are_never_shorter_than_their_clock_says(daily, day):
    span = daily.span(day)
    if span is None:
        assert day.weekday() not in daily.weekdays
        return
    said = (daily.end - daily.start) % DAY_SECONDS or DAY_SECONDS
    # A clock that is set forward skips up to a day, and one that is set back adds up to two hours, at either end.
    assert said - hours(2) <= span.end - span.begin <= said + DAY_SECONDS + hours(2)
    assert span.end > span.begin
    if daily.zone.key != "Pacific/Apia":
        begin, end = (datetime.fromtimestamp(each, daily.zone) for each in span)
        exact = timedelta(seconds=daily.start), timedelta(seconds=daily.end)
        for local, seconds in zip((begin, end), exact, strict=True):
            since = timedelta(hours=local.hour, minutes=local.minute)
            apart = (since - seconds) % timedelta(days=1)
            assert min(apart, timedelta(days=1) - apart) <= timedelta(hours=2)


@given(dailies, YEARS)
def test_on_a_day_without_a_change_of_the_clock_it_is_open_when_the_local_clock_says_so(daily, moment):
    local = datetime.fromtimestamp(moment, daily.zone)
    around = [datetime.fromtimestamp(moment + days * DAY_SECONDS, daily.zone) for days in (-2, -1, 0, 1, 2)]
    if len({each.utcoffset() for each in around}) > 1:
        return
    now = local.hour * 3600 + local.minute * 60 + local.second
    today, yesterday = (each in daily.weekdays for each in (local.weekday(), (local.weekday() - 1) % 7))
    if daily.end > daily.start:
        expected = today and daily.start <= now < daily.end
    else:
        expected = (today and now >= daily.start) or (yesterday and now < daily.end)
    assert daily.include(moment) is expected


@given(times, YEARS)
def test_between_two_changes_nothing_changes(hours, moment):
    following = hours.next_change(moment)
    now = hours.include(moment)
    if following is None:
        following = moment + 30 * DAY_SECONDS
    else:
        assert hours.include(following) is not now
        assert hours.include(following - 1) is now
    steps = range(moment, following, max(1, (following - moment) // 50))
    assert {hours.include(step) for step in steps} == {now}


@given(times, YEARS)
def test_the_change_before_the_next_change_is_the_last_one(hours, moment):
    last, following = hours.last_change(moment), hours.next_change(moment)
    if last is not None:
        assert last <= moment
        assert hours.include(last) is not hours.include(last - 1)
    if following is not None:
        assert hours.last_change(following) == following
        assert hours.last_change(following - 1) == last
