"""Drift: what changes in the shape of messages is found, with its first message, and what is only rare is not."""

from __future__ import annotations

import pytest
from drifting import PLANTED, Message, learned, messages

from ssmd.shape.drift import Drift, Known, drifts

BEFORE, NOW, CHANGED_FROM = 15_000, 15_000, 4_321


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(learned(list(messages(BEFORE))), {})


def found(known: Known, now: list[Message]) -> list[Drift]:
    return drifts(known, learned(now))


def without_lines(drifts: list[Drift]) -> list[tuple[str, ...]]:
    return sorted(drift[:5] for drift in drifts)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_ordinary_days_have_no_drift(known, seed):
    assert found(known, list(messages(NOW, seed=seed + 10))) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_change_is_found_and_nothing_else(known, name):
    change, reported = PLANTED[name]
    assert without_lines(found(known, [change(one) for one in messages(NOW, seed=5)])) == sorted(reported)


@pytest.mark.parametrize("name", [name for name, planted in PLANTED.items() if planted.reported[0][0] != "vanished"])
def test_what_is_new_is_found_with_the_first_message_that_shows_it(known, name):
    change, reported = PLANTED[name]
    now = list(messages(NOW, seed=5))
    before = [str(one) for one in now]
    now[CHANGED_FROM:] = map(change, now[CHANGED_FROM:])
    first = next(line for line, (old, new) in enumerate(zip(before, now, strict=True), 1) if old != str(new))
    assert [(drift.kind, drift.line) for drift in found(known, now)] == [(reported[0][0], first)]


@pytest.mark.parametrize("name", [name for name, planted in PLANTED.items() if planted.reported[0][0] == "vanished"])
def test_what_is_missing_only_at_times_has_not_vanished(known, name):
    change, _ = PLANTED[name]
    now = list(messages(NOW, seed=5))
    now[CHANGED_FROM:] = map(change, now[CHANGED_FROM:])
    assert found(known, now) == []


def test_nothing_vanishes_on_a_quiet_day(known):
    change, _ = PLANTED["vanished"]
    assert found(known, [change(one) for one in messages(900, seed=5)]) == []


def test_one_message_with_a_change_is_enough(known):
    now = list(messages(NOW, seed=5))
    at = next(at for at, one in enumerate(now) if at > 9_000 and one["type"] == "quote")
    now[at]["msg"]["market"] = 17
    assert found(known, now) == [Drift("retyped", "quote", "msg.market", "text", "integer", at + 1)]


def test_of_what_was_hardly_seen_nothing_is_known():
    known = Known(learned(list(messages(40))), {})
    for change, _ in PLANTED.values():
        assert found(known, [change(one) for one in messages(NOW, seed=5)]) == []


def test_what_the_exchange_documents_is_no_news(known):
    documented = Known(known.types, {"quote": {("msg", "spread")}, "trade2": set()})
    for name in ("new field", "new type"):
        change, _ = PLANTED[name]
        assert found(documented, [change(one) for one in messages(NOW, seed=5)]) == []


def test_an_object_whose_keys_become_many_is_no_drift():
    """With 60 keys they are fields, and with 80 they are data."""

    def day(keys: int) -> list[Message]:
        return [{"type": "all", "prices": {f"K{key}": {"bid": 1} for key in range(keys)}} for _ in range(1200)]

    for before, now in ((60, 80), (80, 60), (80, 90)):
        assert found(Known(learned(day(before)), {}), day(now)) == []


def test_values_that_say_nothing_are_no_change(known):
    def emptied(message: Message) -> Message:
        if message["type"] == "trade":
            message["msg"]["price"] = "" if message["seq"] % 20 else None
        return message

    assert found(known, [emptied(one) for one in messages(NOW, seed=5)]) == []


def test_a_drift_is_a_sentence(known):
    texts = {
        "new type": "messages of type trade2 are new",
        "new field": "messages of type quote: the field msg.spread is new (decimal text)",
        "text to number": "messages of type trade: the field msg.price was decimal text, and is number",
        "vanished": "messages of type quote: the field msg.volume (number) is in none any more",
    }
    for name, text in texts.items():
        change, _ = PLANTED[name]
        assert [str(one) for one in found(known, [change(one) for one in messages(NOW, seed=5)])] == [text]
