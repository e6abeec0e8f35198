"""The hours that were closed by schedule: what a ledger says of them, and what is left of an outage."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import HOUR, at

from ssmd.store.closed_hours import Piece, closed_times, closed_until, divide, joined
from ssmd.store.ledger import Entry
from ssmd.store.timestamps import timestamp


def entry(event: str, when: str, **times: str) -> Entry:
    return Entry(at(when), event, 0, 0, {name: timestamp(at(time)) for name, time in times.items()})


STARTED, CLOSING = entry("started", "22T09:00:00"), entry("closed", "22T17:00:00", until="23T09:00:00")


def test_a_run_that_ends_at_the_closing_says_until_when():
    entries = [STARTED, CLOSING, entry("stopped", "22T17:00:01")]
    assert closed_times(entries) == [(at("22T17:00:00"), at("23T09:00:00"))]
    assert closed_until(entries) == at("23T09:00:00")


def test_a_start_says_since_when():
    opened = entry("opened", "23T08:59:56", since="22T17:00:00", at="23T09:00:00")
    assert closed_times([opened]) == [(at("22T17:00:00"), at("23T09:00:00"))]
    at_start = entry("closed", "23T08:59:56", **{"from": "22T17:00:02", "until": "23T09:00:00"})
    assert closed_times([at_start, opened]) == [(at("22T17:00:00"), at("23T09:00:00"))]


def test_a_start_says_when_it_closes_even_if_it_is_killed_before():
    times = {"since": "21T17:00:00", "at": "22T09:00:00", "closes": "22T17:00:00", "until": "23T09:00:00"}
    expected = [(at("21T17:00:00"), at("22T09:00:00")), (at("22T17:00:00"), at("23T09:00:00"))]
    assert closed_times([STARTED, entry("opened", "22T09:00:00", **times)]) == expected


def test_a_start_within_closed_hours_ends_them():
    """The schedule was changed, or is not enforced any more."""
    entries = [STARTED, CLOSING, entry("started", "22T18:00:00")]
    assert closed_times(entries) == [(at("22T17:00:00"), at("22T18:00:00"))]
    assert closed_until(entries) is None


def test_a_time_that_is_not_there_is_for_ever_or_since_ever():
    assert closed_until([Entry(5, "closed", 0, 0, {"until": None})]) == 1 << 63
    assert closed_times([Entry(5, "closed", 0, 0, {"until": "soon"})]) == [(5, 1 << 63)]
    assert closed_times([Entry(5, "opened", 0, 0, {"since": None, "at": timestamp(9000)})]) == [(0, 9000)]
    assert closed_times([Entry(5, "opened", 0, 0, {})]) == []


def test_an_outage_is_divided_where_it_was_closed():
    closed = [(at("22T17:00:00"), at("22T18:00:00"))]
    begin, end = at("22T16:00:00"), at("22T20:00:00")
    assert list(divide(begin, end, closed)) == [
        Piece(begin, begin + HOUR, False),
        Piece(begin + HOUR, begin + 2 * HOUR, True),
        Piece(begin + 2 * HOUR, end, False),
    ]


moments = st.integers(0, 30)
stretches = st.lists(st.tuples(moments, moments), max_size=8)


@given(stretches, moments, moments)
def test_the_pieces_are_the_whole_and_each_moment_is_closed_or_not(times, begin, end):
    closed = joined(times)
    pieces = list(divide(begin, end, closed))
    found = {moment: piece.closed for piece in pieces for moment in range(piece.begin_ns, piece.end_ns)}
    expected = {moment: any(since <= moment < until for since, until in times) for moment in range(begin, end)}
    assert found == expected
    assert sum(piece.end_ns - piece.begin_ns for piece in pieces) == len(expected)
    assert all(one[1] < other[0] for one, other in pairwise(closed))
