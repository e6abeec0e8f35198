"""The messages of each market of a day, and the markets without any."""

from __future__ import annotations

from collections import Counter

import pytest
from recorded import GENERIC, KALSHI, write_day

from ssmd.proof.examine import examine
from ssmd.shape.markets import EACH, LONGEST_NAME, NAMED, MarketCount
from ssmd.store.inventory import data_files
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


def large() -> MarketCount:
    """Return the count of a day after the beginning, of which all messages are counted."""
    counted = MarketCount(exact_messages=100)
    counted.expect([asked("S", *(f"M{number}" for number in range(40)))])
    for start in range(0, 40, 20):
        assert counted.wants_next
        counted.add([f"M{number}" for number in range(start, start + 20)] * 3)
    return counted


def test_on_a_large_day_messages_are_estimated_and_the_silent_ones_still_known():
    counted = large()
    # From here on only each EACH-th block counts, also where blocks alternate.
    for _ in range(EACH):
        assert counted.wants_next  # S may be in any block.
        counted.add(["LATE"] * 32)
        counted.add(["M39"] * 7)
    found = found_in(counted)
    assert not found.exact
    assert found.messages == 120 + EACH * 39
    assert list(found.top)[:3] == ["LATE", "M39", "M0"]
    assert (found.top["LATE"], found.top["M39"], found.top["M0"]) == (EACH * 32, EACH * 7 + 3, 3)
    assert (found.heard, found.asked, found.silent, found.silent_names) == (None, 41, 1, ["S"])


def test_once_all_have_been_heard_most_of_the_blocks_are_not_looked_at():
    counted = large()
    counted.add(["A"] * 3)
    counted.add(["S"])  # It is heard in a block that is not counted.
    wanted = 0
    for _ in range(10 * EACH - 2):
        wanted += counted.wants_next
        if counted.wants_next:
            counted.add(["A", "", "B", "A"])
        else:
            counted.skip(4)
    found = found_in(counted)
    assert wanted == 9
    assert (found.silent, found.exact) == (0, False)
    total = 3 + 1 + (10 * EACH - 2) * 4
    parts = {"A": (3 + 9 * 2) / 39, "B": 9 / 39, "": 9 / 39}
    assert [found.top[name] for name in ("A", "B")] == [round(total * parts[name]) for name in ("A", "B")]
    assert found.messages == 120 + total - round(total * parts[""])


@pytest.mark.parametrize("dialect", [KALSHI, {**GENERIC, "description": {"paths": {"market": "msg.market_ticker"}}}])
def test_a_whole_day_of_which_not_all_blocks_are_looked_at(tmp_path, dialect):
    names = [f"KX-{number % 7 if number % 3 else 0}" for number in range(40_000)] + ["LAST"]
    messages = (b'{"type":"trade","msg":{"market_ticker":"%s","pad":"%0150d"}}' % (name.encode(), 0) for name in names)
    asking = {"channel": "trade", "action": "subscribe", "markets": ["SILENT", "LAST", "KX-1"]}
    happened = [(1 + number / 1000, message) for number, message in enumerate(messages)]
    begun = [(0, "started", dialect), (0, "connected", {}), (0, "asked", asking)]
    write_day(tmp_path, "2026-01-01", *begun, *happened)
    (file,) = data_files([tmp_path])
    examine(file, markets=(every := MarketCount()))
    examine(file, markets=(some := MarketCount(exact_messages=1000)))
    exact, found = found_in(every), found_in(some)
    assert (exact.exact, found.exact, found.messages, found.silent_names) == (True, False, 40_001, ["SILENT"])
    assert exact.top == Counter(names)
    assert next(iter(found.top)) == "KX-0"
    assert all(abs(found.top[name] - number) < 0.02 * number for name, number in exact.top.items() if name != "LAST")
