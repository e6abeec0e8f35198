"""The parameter `follow` of a subscription: what is wrong with it, and what it means."""

from __future__ import annotations

import pytest

from ssmd.exchange.kalshi.follow.checks import problems_of_follow
from ssmd.exchange.kalshi.follow.section import STATUSES, Follow, read_follow

CHANNELS = ["orderbook_delta", "trade"]


def problems(value, **others):
    return list(problems_of_follow({"follow": value, **others}, CHANNELS))


@pytest.mark.parametrize(
    "value",
    [
        "all",
        {"series": ["KXBTC", "KXMLBWINS-NYM"]},
        {"events": ["KXBTC-26DEC3117"]},
        {"tickers": ["KXHIGHNY-*", "*-T69499.99", "KXHIGHNY-26DEC31-T50"]},
        {"tickers": ["KXMVE*"]},
        {"status": list(STATUSES)},
        {"series": ["KXBTC"], "status": ["open"]},
    ],
)
def test_a_valid_section_has_no_problem(value):
    assert problems(value) == []


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ("ALL", (), "write `all` in small letters"),
        ("KXBTC", (), "for series, for example, write `{series: [KXBTC]}`"),
        (["KXBTC", "KXETH"], (), "must be `all` or a mapping with series, events, tickers or status; for series"),
        (True, (), "for all markets write `all`, for none leave it out"),
        (None, (), "must be `all` or a mapping"),
        ({}, (), "is empty; write `all`"),
        ({"serie": ["KXBTC"]}, ("serie",), "did you mean `series`?"),
        ({"market_tickers": ["KXA-1"]}, ("market_tickers",), "; market_tickers belongs beside `follow`, not into it"),
        ({"foo": ["KXA-1"]}, ("foo",), "is not known in `follow`, which has series, events, tickers, status"),
        ({1: ["KXA-1"]}, (1,), "is not known in `follow`"),
        ({"series": "KXBTC"}, ("series",), "must be a list, such as [KXBTC]"),
        ({"status": "open"}, ("status",), "must be a list, such as [open, unopened]"),
        ({"series": []}, ("series",), "is empty; name at least one, or leave it out"),
        ({"series": None}, ("series",), "must be a list, such as [KXBTC]"),
        ({"series": ["KXBTC", ""]}, ("series", 1), "is empty; write a name, or remove it"),
        ({"series": [5]}, ("series", 0), "write it in quotes, so that YAML takes it for text"),
        ({"series": ["KXHIGHNY-*"]}, ("series", 0), "is a pattern, but a series must be named in full; patterns are"),
        ({"series": ["kxbtc"]}, ("series", 0), "matches nothing: a series of Kalshi has only capital letters"),
        ({"series": ["kxbtc"]}, ("series", 0), "write `KXBTC`"),
        ({"events": ["KXA,KXB"]}, ("events", 0), "write each name by itself"),
        ({"tickers": ["KXHIGHNY-?"]}, ("tickers", 0), "the only wildcard is `*`, for any text"),
        ({"tickers": ["*"]}, ("tickers", 0), "matches all markets; write `follow: all` for that"),
        ({"tickers": ["KXHIGHNY"]}, ("tickers", 0), "matches no market, because every market's ticker has a `-`"),
        ({"tickers": ["KXHIGHNY"]}, ("tickers", 0), "for a series write `series: [KXHIGHNY]`, for a pattern"),
        ({"status": ["opened"]}, ("status", 0), "must be one of unopened, open, paused, closed; did you mean"),
        ({"status": ["active"]}, ("status", 0), "did you mean `open`?"),
        ({"status": ["settled"]}, ("status", 0), "Kalshi sends nothing more about a settled market; remove it"),
    ],
)
def test_each_wrong_value_has_one_error_with_its_field_and_a_remedy(value, path, message):
    [problem] = problems(value)
    assert problem.path == ("follow", *path)
    assert message in problem.message
    assert not problem.warning


def test_a_subscription_that_follows_needs_a_channel_that_takes_a_list():
    [problem] = problems_of_follow({"follow": "all"}, ["market_lifecycle_v2"])
    assert problem.path == ("follow",)
    assert "has no effect on market_lifecycle_v2: Kalshi sends these for all markets; add one of" in problem.message
    assert list(problems_of_follow({"follow": "all"}, ["market_lifecycle_v2", "trade"])) == []


def test_markets_cannot_be_named_by_their_ids_beside_it():
    [problem] = problems("all", market_ids=["1"])
    assert problem.path == ("market_ids",)
    assert "use market_tickers" in problem.message


def test_what_a_section_means():
    assert read_follow("all") == Follow()
    assert read_follow({"status": ["open"]}) == Follow(status=frozenset({"open"}))
    found = read_follow({"series": ["B", "A"], "tickers": ["X-*", "Y-1", "X-*"]})
    assert found == Follow(frozenset({"A", "B"}), tickers=("X-*", "Y-1"))
    assert found.patterns == ["X-*"]
    assert not found.is_all


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("all", "all markets, without combos: markets that are unopened, open or paused"),
        ({"series": ["B", "A"], "status": ["open"]}, "the series A and B: markets that are open"),
        (
            {"series": [f"S{n:02}" for n in range(12)], "tickers": ["X-*"]},
            "the series S00, S01, S02, S03, S04, S05, S06, S07, S08, S09 and 2 more and the tickers X-*: markets that "
            "are unopened, open or paused",
        ),
    ],
)
def test_what_people_read_of_it(value, text):
    assert str(read_follow(value)) == text
