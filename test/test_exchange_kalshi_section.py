"""An environment's `subscribe` section for Kalshi: what is wrong with it, and the commands that it is made into."""

from __future__ import annotations

import pytest

from ssmd.contracts.configuration import FieldProblem
from ssmd.exchange.kalshi.channels import CHANNELS
from ssmd.exchange.kalshi.checks import problems_of
from ssmd.exchange.kalshi.section import TICKERS_PER_COMMAND, channels_of, commands_of, markets_of

BOOKS = {"channels": ["orderbook_delta"], "market_tickers": ["KXA-1"]}


@pytest.mark.parametrize(
    ("subscribe", "problems"),
    [
        ([BOOKS, {"channels": ["ticker", "trade"]}], []),
        ([BOOKS, {}], []),
        ([], [((), "is empty; name at least one subscription", False)]),
        ([BOOKS, {"chanels": ["trade"]}], [((1, "chanels"), "did you mean `channels`?", False)]),
        ([{"channels": "trade"}, BOOKS], [((0, "channels"), "must be a list of names", False)]),
        ([BOOKS, {"channels": ["trade", "tickr"]}], [((1, "channels", 1), "did you mean `ticker`?", False)]),
        ([BOOKS, {"zzz": 1}], [((1, "zzz"), "it is sent as it is", True)]),
        (
            [{"channels": ["ticker", "trade"]}, BOOKS, {"channels": ["fill", "trade"]}],
            [((2, "channels", 1), "trade is in subscription 1 too; Kalshi would merge both", False)],
        ),
        ([{"channels": ["trade"]}, {}], [((1,), "trade is in subscription 1 too; Kalshi would merge both", False)]),
    ],
)
def test_each_subscription_of_a_list_is_checked(subscribe, problems):
    found = list(problems_of(subscribe))
    assert [(problem.path, problem.warning) for problem in found] == [(path, warning) for path, _, warning in problems]
    for problem, (_, message, _) in zip(found, problems, strict=True):
        assert message in problem.message


NOT_ONE_NAME = "has white space or a comma, which no market's name has; write each name by itself"
NUMBER = "; YAML takes this for a number, so write it in quotes"
TRUTH = "; YAML takes this for true or false, so write it in quotes"
WRONG_NAMES: list[object] = [None, ["A"], {"A": 1}]
WRONG_FLAGS: list[object] = ["yes", 1, None, "", []]


@pytest.mark.parametrize(
    ("name", "value", "where", "message"),
    [
        ("market_tickers", "A", (), "must be a list of names"),
        ("market_tickers", ["A", 5], (1,), f"must be a name{NUMBER}"),
        ("market_tickers", [1.5, "A"], (0,), f"must be a name{NUMBER}"),
        ("market_tickers", ["A", False], (1,), f"must be a name{TRUTH}"),
        ("market_tickers", ["A", ["B"]], (1,), "must be a name"),
        ("market_tickers", [None], (0,), "is empty; write a name, or remove it"),
        ("market_tickers", [], (), "is empty; name at least one, or leave it out"),
        ("market_tickers", ["A", ""], (1,), "is empty; write a name, or remove it"),
        ("channels", ["trade", ""], (1,), "is empty; write a name, or remove it"),
        *[("market_tickers", ["A", value], (1,), NOT_ONE_NAME) for value in ("A ", " ", "A,B", "A B", "A\t")],
        ("market_ids", ["a,b"], (0,), NOT_ONE_NAME),
        ("market_ticker", "A, B", (), NOT_ONE_NAME),
        *[("market_ticker", value, (), "must be one name") for value in WRONG_NAMES],
        ("market_id", 7, (), f"must be one name{NUMBER}"),
        ("market_ticker", True, (), f"must be one name{TRUTH}"),
        ("market_ticker", "", (), "is empty; name at least one, or leave it out"),
        *[("use_yes_price", value, (), "must be true or false") for value in WRONG_FLAGS],
        ("skip_ticker_ack", "on", (), "must be true or false"),
        ("send_initial_snapshot", "true", (), "must be true or false"),
    ],
)
def test_a_value_that_cannot_be_right_is_an_error(name, value, where, message):
    section = {"channels": ["ticker", "trade"], name: value}
    found = [(problem.path, problem.message) for problem in problems_of(section) if not problem.warning]
    assert found == [((name, *where), message)]


def test_each_entry_that_is_no_name_is_an_error():
    found = list(problems_of({"market_tickers": [1, "KXA", 2]}))
    assert [problem.path for problem in found] == [("market_tickers", 0), ("market_tickers", 2)]


ONLY = "a ticker of Kalshi has only capital letters, digits, `-` and `.`, unlike"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("market_tickers", ["KXA-26DEC31-T1.5", "kxa-1"], f"{ONLY} `kxa-1`; write `KXA-1`"),
        ("market_ticker", "Kxa-1", f"{ONLY} `Kxa-1`; write `KXA-1`"),
        ("market_tickers", ["kx", "KXA_1"], f"{ONLY} `kx`, `KXA_1`; write `KX` for the first of them"),
        ("market_tickers", ["KXÅ"], f"{ONLY} `KXÅ`; copy the names from Kalshi"),
        ("market_tickers", list("abcde"), f"{ONLY} `a`, `b`, `c` and 2 more; write `A` for the first of them"),
    ],
)
def test_a_name_that_cannot_be_a_ticker_is_a_warning(name, value, message):
    found = list(problems_of({"channels": ["ticker"], name: value}))
    assert found == [FieldProblem((name,), message, warning=True)]


@pytest.mark.parametrize("value", [["KXA-26DEC31-T1.5"], ["all"], ["kx a"], [""], 5, None])
def test_other_names_get_no_warning_about_their_letters(value):
    assert [problem for problem in problems_of({"market_tickers": value}) if problem.warning] == []


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ({"channels": ["market_lifecycle_v2"], "market_tickers": ["A"]}, ["market_tickers"]),
        ({"channels": ["market_lifecycle_v2", "trade"], "market_tickers": ["A"]}, []),
        ({"channels": ["market_lifecycle_v2", "of_the_future"], "market_tickers": ["A"]}, []),
        ({"channels": ["trade"], "market_ids": ["A"], "index_ids": ["B"]}, ["market_ids", "index_ids"]),
        ({"index_ids": ["B"]}, ["index_ids"]),
        ({"channels": ["trade"], "use_yes_price": True, "shard_key": 1}, ["use_yes_price", "shard_key"]),
        ({"channels": ["trade"], "skip_ticker_ack": True}, []),
        ({"channels": [], "market_tickers": ["A"]}, []),
    ],
)
def test_a_parameter_that_no_channel_takes_is_a_warning(section, names):
    found = [problem for problem in problems_of(section) if "has no effect" in problem.message]
    assert [problem.path for problem in found] == [(name,) for name in names]
    assert all(problem.warning and problem.lenient for problem in found)


@pytest.mark.parametrize("channel", sorted(name for name, channel in CHANNELS.items() if not channel.lists))
def test_a_channel_without_a_list_of_markets_is_subscribed_once(channel):
    tickers = [f"KXLONG-{number}" for number in range(2 * TICKERS_PER_COMMAND + 1)]
    section = {"channels": [channel, "trade"], "market_tickers": tickers}
    assert [params["channels"] for params in commands_of(section)] == [[channel, "trade"], ["trade"], ["trade"]]
    assert [params["channels"] for params in commands_of({**section, "channels": [channel]})] == [[channel]]


def test_a_market_that_is_named_twice_is_asked_for_once():
    tickers = [f"KXLONG-{number}" for number in range(TICKERS_PER_COMMAND)]
    [params] = commands_of({"channels": ["trade"], "market_tickers": [*tickers, *tickers]})
    assert params["market_tickers"] == tickers


@pytest.mark.parametrize(
    ("section", "channel", "markets"),
    [
        ({}, "ticker", None),
        ({"market_tickers": ["A", "B", "A"]}, "trade", ("market_ticker", ["A", "B"])),
        ({"market_ticker": "A"}, "orderbook_delta", ("market_ticker", ["A"])),
        ({"market_ids": ["1"]}, "ticker", ("market_id", ["1"])),
        ({"market_ids": ["1"]}, "trade", None),
        ({"market_tickers": ["A"]}, "market_lifecycle_v2", None),
        ({"index_ids": ["BRTI"]}, "cfbenchmarks_value", ("index_id", ["BRTI"])),
        ({"index_ids": ["all"]}, "cfbenchmarks_value", None),
        ({"market_tickers": ["A"]}, "of_the_future", ("market_ticker", ["A"])),
    ],
)
def test_the_markets_of_a_channel_are_those_of_the_list_that_it_takes(section, channel, markets):
    assert markets_of(section, channel) == markets


def test_a_channel_that_is_named_twice_is_one_channel():
    assert channels_of({"channels": ["trade", "ticker", "trade"]}) == ["trade", "ticker"]


def test_order_books_may_be_of_markets_that_are_followed():
    books = {"channels": ["orderbook_delta"]}
    assert list(problems_of({**books, "follow": "all"})) == []
    [missing] = problems_of(books)
    assert "needs market_tickers or follow" in missing.message
    found = [problem.message for problem in problems_of({**books, "market_tickers": ["KXA-1"], "folow": "all"})]
    assert ["did you mean `follow`?" in message for message in found] == [True]
    [fault] = problems_of([{}, {**books, "follow": {"series": ["kxa"]}}])
    assert fault.path == (1, "follow", "series", 0)
