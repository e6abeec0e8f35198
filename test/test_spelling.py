"""What a misspelt name was meant to be, and which names are other names."""

from __future__ import annotations

import time

import pytest

from ssmd.spelling import misspelling, nearest

KNOWN = ["name", "path", "subscribe", "fsync_interval_seconds", "max_message_bytes", "exchange", "market_lifecycle_v2"]
KNOWN += ["supports_trades", "use_yes_price"]


def hint(name: str) -> str:
    return f"; did you mean `{name}`?"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("subscrib", "subscribe"),
        ("subscribes", "subscribe"),
        ("susbcribe", "subscribe"),
        ("ubscribe", "subscribe"),
        ("sbuscrieb", "subscribe"),
        ("Subscribe", "subscribe"),
        ("pth", "path"),
        ("paht", "path"),
        ("nane", "name"),
        ("exchnage", "exchange"),
        ("fsyncInterval_second", "fsync_interval_seconds"),
        ("fsync-interval-seconds", "fsync_interval_seconds"),
        ("fsync_interval", "fsync_interval_seconds"),
        ("max_message", "max_message_bytes"),
        ("use_yse_price", "use_yes_price"),
        ("marketlifecycle_v2", "market_lifecycle_v2"),
    ],
)
def test_a_misspelt_name_is_recognised(word, meant):
    assert misspelling(word, KNOWN) == nearest(word, KNOWN) == hint(meant)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "owner",
        "supports_quotes",
        "exchange_code",
        "describe",
        "inscribe",
        "market_lifecycle_v3",
        "market_lifecycle",
        "$exchange",
        "_name",
        "..path",
        "sbscrb",
        "é",
    ],
)
def test_another_name_is_not_taken_for_a_misspelt_one(word):
    assert misspelling(word, KNOWN) == ""


def test_the_closest_name_is_meant():
    assert misspelling("tickr", ["trade", "ticks", "ticker"]) == hint("ticks")
    assert misspelling("tickerr", ["trade", "ticks", "ticker"]) == hint("ticker")
    assert misspelling("name", []) == nearest("name", []) == ""


@pytest.mark.parametrize(
    ("word", "name"), [("version", "versions"), ("stage", "storage"), ("formats", "format"), ("shelfs", "shelves")]
)
def test_beside_the_name_itself_another_is_not_a_misspelt_one(word, name):
    assert misspelling(word, [name]) == hint(name)
    assert misspelling(word, [name], {word: 1, name: 2}) == ""


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("subscrib", "subscribe"),
        ("feilds", "fields"),
        ("end_point", "endpoint"),
        ("Type", "type"),
        ("idle_timeout", "idle_timeout_seconds"),
    ],
)
def test_beside_the_name_itself_one_wrong_letter_makes_a_misspelt_one(word, name):
    assert misspelling(word, [name], {name}) == hint(name)


def test_a_loose_guess_reaches_further():
    assert nearest("tickers", ["market_ids", "market_tickers"]) == hint("market_tickers")
    assert misspelling("tickers", ["market_ids", "market_tickers"]) == ""
    assert nearest("owner", KNOWN) == ""


def test_long_words_cost_little():
    long = "ab_" * 100_000
    began = time.thread_time()
    assert nearest(long, KNOWN) == misspelling(long, KNOWN) == ""
    assert time.thread_time() - began < 5
