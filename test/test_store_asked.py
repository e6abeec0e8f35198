"""What is asked for after some entries of a ledger, and how long lists are divided."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.asked import MOST_MARKETS, ConnectionState, asked_fields, followed_fields
from ssmd.store.ledger import ASKED, RECONFIGURED, REFUSED, SUBSCRIBED


def asked(*markets: str, action: str = "subscribe", channel: str = "trade", subscription: int = 1, commands=()):
    names = None if markets == ("*",) else markets
    return list(asked_fields(subscription, channel, action, names, list(commands)))


def after(*entries) -> dict:
    """What is asked for after these entries, by subscription and channel."""
    state = ConnectionState()
    for fields in entries:
        state.take("asked", fields)
    return {
        (fields["subscription"], fields["channel"]): fields["markets"]
        for event, fields in state.entries()
        if event == "asked"
    }


def test_additions_and_removals_are_folded_by_subscription_and_channel():
    found = after(
        *asked("A", "B"),
        *asked("A", subscription=2),
        *asked("B", "C", action="add"),
        *asked("A", action="remove"),
        *asked("*", channel="ticker"),
        *asked("X", action="remove", channel="ticker"),
    )
    assert found == {(1, "trade"): ["B", "C"], (2, "trade"): ["A"], (1, "ticker"): "all"}


@pytest.mark.parametrize(("count", "parts"), [(0, 1), (1, 1), (MOST_MARKETS, 1), (MOST_MARKETS + 1, 2), (5000, 3)])
def test_a_long_list_is_divided_and_nothing_is_left_out(count, parts):
    names = [f"KX-{number}" for number in range(count)]
    commands = [{"id": number} for number in range(-(-count // 200))]
    found = asked(*names, commands=commands)
    assert len(found) == parts
    assert [name for fields in found for name in fields["markets"]] == names
    assert [command for fields in found for command in fields["commands"]] == commands
    assert max(len(fields["markets"]) for fields in found) <= MOST_MARKETS


def test_the_commands_of_the_subscription_are_kept_and_those_of_changes_are_not():
    state = ConnectionState()
    first, second = ({"id": 1, "use_yes_price": False}, {"id": 2})
    for fields in [*asked("A", commands=[first, second]), *asked("B", action="add", commands=[{"id": 3}])]:
        state.take("asked", fields)
    [(event, fields)] = state.entries()
    assert (event, fields["action"], fields["markets"]) == ("asked", "subscribe", ["A", "B"])
    assert fields["commands"] == [first, second]


def test_a_new_connection_begins_with_nothing():
    state = ConnectionState()
    state.take("asked", asked("A")[0])
    state.take("subscribed", {"channel": "trade", "sid": 7})
    state.take("subscribed", {"channel": "ticker", "sid": None})
    assert [fields for event, fields in state.entries() if event == "subscribed"] == [{"channel": "trade", "sid": 7}]
    state.take("connected", {})
    assert list(state.entries()) == []


@given(st.lists(st.tuples(st.sampled_from(["subscribe", "add", "remove"]), st.sets(st.sampled_from("ABCDE")))))
def test_the_entries_give_the_state_that_they_were_made_of(changes):
    entries = [fields for action, names in changes for fields in asked(*sorted(names), action=action)]
    wanted: set[str] = set()
    for action, names in changes:
        wanted = wanted - names if action == "remove" else wanted | names
    found = after(*entries)
    assert set(found.get((1, "trade"), ())) == wanted
    state = ConnectionState()
    for fields in entries:
        state.take("asked", fields)
    assert after(*[fields for event, fields in state.entries()]) == found


def test_what_is_refused_and_silent_is_part_of_the_state():
    state = ConnectionState()
    refused = {"channel": "trade", "code": 26, "text": "too many"}
    silent: Mapping[str, object] = {"channel": "ticker", "since": "2026-11-27T00:00:00.000000Z", "names": []}
    events: list[tuple[str, Mapping[str, object]]] = [
        ("refused", {**refused, "text": "many"}),
        ("refused", refused),
        ("refused", {"channel": "ticker", "code": 27, "text": "later", "for_now": True}),
        ("silent", silent),
        ("silent", {**silent, "channel": "trade"}),
        ("heard", {"channel": "trade"}),
    ]
    for event, fields in events:
        state.take(event, fields)
    assert list(state.entries()) == [("refused", refused), ("silent", silent)]
    state.take("connected", {})
    assert list(state.entries()) == []


def test_a_channel_that_is_closed_is_in_no_later_day_and_a_reload_forgets_what_was_refused():
    state = ConnectionState()
    for event, entries in [
        (ASKED, asked("A")),
        (ASKED, asked("*", channel="ticker")),
        (SUBSCRIBED, [{"channel": "ticker", "sid": 2}]),
        (REFUSED, [{"channel": "trade", "code": 26, "text": "limit", "for_now": False}]),
        (RECONFIGURED, [{"configuration": "abc"}]),
        (ASKED, asked("*", action="remove", channel="ticker")),
    ]:
        for fields in entries:
            state.take(event, fields)
    assert [(event, fields["channel"]) for event, fields in state.entries()] == [(ASKED, "trade")]


def test_what_is_followed_is_repeated():
    state = ConnectionState()
    entries: list[tuple[str, Mapping]] = [
        ("followed", {"channels": ["orderbook_delta", "trade"], "markets": {"A": (1, 2), "B": (3, None)}}),
        ("followed", {"channels": ["trade"], "markets": {"B": (3, 4), "C": (None, None)}}),
        ("followed", {"channels": ["orderbook_delta", "trade"], "markets": {"A": (1, 5)}}),
        ("unfollowed", {"markets": ["B", "X"]}),
    ]
    for event, fields in entries:
        state.take(event, fields)
    found = [
        {"channels": ["orderbook_delta", "trade"], "markets": {"A": (1, 5)}},
        {"channels": ["trade"], "markets": {"C": (None, None)}},
    ]
    assert list(state.entries()) == [("followed", fields) for fields in found]
    state.take("unfollowed", {"markets": "all"})
    assert list(state.entries()) == []


def test_many_followed_markets_are_divided_and_none_is_left_out():
    markets = {f"KX-{number}": (number, None) for number in range(MOST_MARKETS + 1)}
    found = list(followed_fields(["trade"], markets))
    assert [len(fields["markets"]) for fields in found] == [MOST_MARKETS, 1]
    assert {name: times for fields in found for name, times in fields["markets"].items()} == markets
    assert {tuple(fields["channels"]) for fields in found} == {("trade",)}


def test_a_day_begins_with_the_markets_that_are_not_confirmed():
    state = ConnectionState()
    entries: list[tuple[str, Mapping]] = [
        ("asked", asked("A", "B", "C")[0]),
        ("subscribed", {"channel": "trade", "sid": 7, "tickers": ["A", "B"], "acknowledged": 1, "unconfirmed": ["B"]}),
        # An addition is confirmed before its entry is written.
        ("subscribed", {"channel": "trade", "sid": 7, "tickers": ["D"], "acknowledged": None}),
        ("asked", asked("D", "E", action="add")[0]),
    ]
    for event, fields in entries:
        state.take(event, fields)
    [_, found] = state.entries()
    assert found == ("subscribed", {"channel": "trade", "sid": 7, "unconfirmed": ["B", "C", "E"]})
    state.take("subscribed", {"channel": "trade", "sid": 7, "tickers": [], "acknowledged": None})
    assert list(state.entries())[1] == ("subscribed", {"channel": "trade", "sid": 7})
