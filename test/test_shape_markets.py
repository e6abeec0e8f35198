"""The messages of each market of a day, and the markets without any."""

from __future__ import annotations

import pytest

from ssmd.shape.markets import EACH, LONGEST_NAME, NAMED, MarketCount
from ssmd.store.ledger import Entry


def asked(*names: str, event: str = "asked") -> Entry:
    return Entry(0, event, 0, 0, {"subscription": 1, "channel": "trade", "action": "subscribe", "markets": [*names]})


def found_in(counted: MarketCount):
    found = counted.found()
    assert found is not None
    return found


def test_the_markets_with_the_most_messages_come_first_and_those_without_any_are_named():
    counted = MarketCount()
    counted.expect([asked("A", "B", "C"), Entry(0, "followed", 0, 0, {"markets": {"D": None, "A": [1, 2]}})])
    counted.add(["B", "", "A", "B"])
    counted.add(["B", "X"])
    found = found_in(counted)
    assert (found.messages, found.exact, found.heard) == (5, True, 3)
    assert list(found.top.items()) == [("B", 3), ("A", 1), ("X", 1)]
    assert (found.asked, found.silent, found.silent_names) == (4, 2, ["C", "D"])


def test_only_some_markets_are_named():
    counted = MarketCount()
    counted.expect([asked(*(f"S{number:02}" for number in range(50)))])
    counted.add([f"M{number:02}" for number in range(50) for _ in range(number + 1)])
    found = found_in(counted)
    assert list(found.top) == [f"M{number:02}" for number in range(49, 49 - NAMED, -1)]
    assert (found.silent, found.silent_names) == (50, [f"S{number:02}" for number in range(NAMED)])


@pytest.mark.parametrize("markets", ["all", None, 7, [1, None]])
def test_without_names_that_were_asked_for_none_is_known_to_be_silent(markets):
    counted = MarketCount()
    counted.expect([Entry(0, "asked", 0, 0, {"markets": markets})])
    counted.add(["A"])
    found = found_in(counted)
    assert (found.heard, found.asked, found.silent, found.silent_names) == (1, None, None, [])


def test_nothing_is_said_of_a_day_without_markets_or_with_messages_of_which_they_are_not_known():
    counted = MarketCount()
    counted.add(["", ""])
    assert counted.found() is None
    counted.expect([asked("A")])
    assert found_in(counted).silent_names == ["A"]
    counted.add(None)
    assert counted.found() is None


def test_the_memory_is_bounded_in_markets_and_in_their_names():
    counted = MarketCount(most=3)
    counted.expect([asked("E")])
    counted.add(["A", "B", "A" * (LONGEST_NAME + 1), "A"])
    counted.add(["C", "D", "E", "D", "A"])
    found = found_in(counted)
    assert found.messages == 9
    assert found.top == {"A": 3, "B": 1, "C": 1}
    # Which of the others had a message is not known.
    assert (found.heard, found.asked, found.silent) == (None, 1, None)


def test_on_a_large_day_with_many_markets_messages_are_estimated_and_the_silent_ones_still_known():
    counted = MarketCount(exact_markets=10, exact_messages=100)
    counted.expect([asked("S", *(f"M{number}" for number in range(40)))])
    for start in range(0, 40, 20):
        counted.add([f"M{number}" for number in range(start, start + 20)] * 3)
    # From here on only each EACH-th message counts, wherever the blocks end.
    for _ in range(33):
        counted.add(["LATE"] * 32)
        counted.add(["M39"] * 7)
    found = found_in(counted)
    assert not found.exact
    assert found.messages == 120 + 33 * 39
    assert list(found.top)[:2] == ["LATE", "M39"]
    assert abs(found.top["LATE"] - 33 * 32) <= 2 * EACH
    assert abs(found.top["M39"] - 33 * 7 - 3) <= 4 * EACH
    assert (found.heard, found.asked, found.silent, found.silent_names) == (None, 41, 1, ["S"])


def test_many_markets_alone_or_many_messages_alone_are_counted_exactly():
    few = MarketCount(exact_markets=10, exact_messages=100)
    for _ in range(100):
        few.add(["A", "B"])
    assert found_in(few).top == {"A": 100, "B": 100}
    many = MarketCount(exact_markets=10, exact_messages=100)
    many.add([f"M{number}" for number in range(90)])
    assert (found_in(many).exact, found_in(many).heard) == (True, 90)
