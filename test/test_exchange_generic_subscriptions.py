"""What is asked for, confirmed and heard on a connection of the generic dialect, as exchanges have it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from generic_connection import SECRET, Run, connection, texts

from ssmd.contracts.events import Acknowledged, Asked, ChannelState, NotAsked
from ssmd.exchange.generic.asking import EVERYTHING
from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.generic.hearing import MOST_NOT_ASKED

KRAKEN = {
    "asked": {"when": {"method": "subscribe"}, "channel": "params.channel", "market": "params.symbol[*]"},
    "confirmed": {
        "when": {"method": "subscribe", "success": True},
        "channel": "result.channel",
        "market": "result.symbol",
    },
    "paths": {"type": "channel", "market": "data[0].symbol"},
    "ignore": {"channel": "heartbeat"},
}
BINANCE = {
    "asked": {
        "channel": {"path": "params[*]", "split": "@", "part": 2},
        "market": {"path": "params[*]", "split": "@", "part": 1},
        "id": "id",
    },
    "confirmed": {"when": {"result": None}, "id": "id"},
    "paths": {"channel": {"path": "stream", "split": "@", "part": 2}, "market": "data.s"},
}
OKX = {
    "asked": {"when": {"op": "subscribe"}, "channel": "args[*].channel", "market": "args[*].instId"},
    "confirmed": {"when": {"event": "subscribe"}, "channel": "arg.channel", "market": "arg.instId"},
    "paths": {"type": "arg.channel", "market": "arg.instId"},
}


def subscribe(channel: str, *markets: str) -> dict[str, Any]:
    return {"method": "subscribe", "params": {"channel": channel, "symbol": list(markets)}}


def confirm(channel: str, market: str) -> dict[str, Any]:
    return {"method": "subscribe", "success": True, "result": {"channel": channel, "symbol": market}}


def states(exchange: Any) -> dict[str, ChannelState]:
    return {state.channel: state for state in exchange.channels()}


def asked_of(description: dict[str, Any], *messages: Any) -> dict[str, list[str] | None]:
    found = connection(description, *messages).asked()
    return {asked.channel: None if asked.markets is None else list(asked.markets) for asked in found}


# What is asked for.


@pytest.mark.parametrize(
    ("asking", "message", "asked"),
    [
        pytest.param(
            {"channel": "args[*].channel", "market": "args[*].instId"},
            {"args": [{"channel": "trades", "instId": "A"}, {"channel": "books", "instId": "B"}]},
            {"trades": ["A"], "books": ["B"]},
            id="the same item",
        ),
        pytest.param(
            {"channel": "channels[*]", "market": "ids[*]"},
            {"channels": ["trades", "books"], "ids": ["A", "B"]},
            {"trades": ["A", "B"], "books": ["A", "B"]},
            id="all pairs",
        ),
        pytest.param(
            {name: {"path": "args[*]", "split": ".", "part": part} for name, part in (("channel", 1), ("market", -1))},
            {"args": ["publicTrade.BTC", "orderbook.50.ETH"]},
            {"publicTrade": ["BTC"], "orderbook": ["ETH"]},
            id="parts of one text",
        ),
        pytest.param({"channel": "c"}, {"c": "trades", "m": "A"}, {"trades": None}, id="no market"),
        pytest.param({"channel": "c", "market": "m[*]"}, {"c": "trades"}, {"trades": None}, id="all markets"),
        pytest.param({"market": "ids[*]"}, {"ids": ["1", 2]}, {EVERYTHING: ["1", "2"]}, id="no channels"),
        pytest.param(
            {"channel": "a[*].c", "market": "a[*].m[*]"},
            {"a": [{"c": "x", "m": ["A", "B"]}, {"c": "y", "m": ["C"]}]},
            {"x": ["A", "B"], "y": ["C"]},
            id="lists in items",
        ),
        pytest.param(
            {"channel": "args[*].channel", "market": ["args[*].instId", "args[*].instFamily"]},
            {"args": [{"channel": "x", "instFamily": "A"}, {"channel": "y", "instId": "B"}]},
            {"x": ["A"], "y": ["B"]},
            id="alternatives",
        ),
        *(
            pytest.param(
                {"channel": "c", "market": [{"path": "p[*]", "split": ".", "part": 2}, "p[*]"]},
                {"c": "x", "p": names},
                {"x": ["BTC_USDT", "ETH_USDT"]},
                id=f"alternatives for a part: {names[0]}",
            )
            for names in (["ob.BTC_USDT.50", "ob.ETH_USDT.50"], ["BTC_USDT", "ETH_USDT"])
        ),
        pytest.param({"channel": "c", "market": "m"}, "a text", {}, id="a text"),
        pytest.param({"channel": "c[*]", "market": "m"}, {"c": "x", "m": None}, {}, id="another form"),
    ],
)
def test_what_a_message_asks_for(asking, message, asked):
    assert asked_of({"asked": asking}, message) == asked


def test_only_the_messages_that_ask_count_and_those_of_one_channel_count_together():
    messages = [{"method": "ping"}, subscribe("book", "A"), subscribe("trade"), subscribe("book", "B", "A")]
    exchange = connection(KRAKEN, *messages)
    assert list(exchange.asked()) == [
        Asked(1, "book", "subscribe", ["A", "B"], [messages[1], messages[3]]),
        Asked(1, "trade", "subscribe", None, [messages[2]]),
    ]


def test_the_ledger_gets_messages_before_keys_are_put_in():
    message = {**subscribe("book", "A"), "token": "${key.token}"}
    exchange = connection(KRAKEN, message, token=SECRET)
    assert SECRET in exchange.commands()[0].decode()
    assert SECRET not in json.dumps([asked._asdict() for asked in exchange.asked()])


def test_channels_and_markets_are_known_before_there_is_a_connection():
    dialect = Generic().described(KRAKEN)
    section = {"messages": [subscribe("book", "A", "B"), subscribe("trade", "B")]}
    assert list(dialect.channel_names(section)) == ["book", "trade"]
    assert set(dialect.markets(section)) == {"A", "B"}
    others: list[Any] = [{}, [], {"messages": None}, {"messages": ["x", None, 5]}]
    for other in others:
        assert list(dialect.channel_names(other)) == []
        assert not dialect.markets(other)


# What is confirmed.


def test_markets_are_confirmed_one_by_one_and_a_channel_is_reported_once():
    exchange = connection(KRAKEN, subscribe("book", "A", "B"), subscribe("trade"))
    assert states(exchange)["book"] == ChannelState("book", 1, 2, 0, 0, True, 0)
    assert states(exchange)["trade"] == ChannelState("trade", 1, None, None, None, True, 0)
    assert list(exchange.unacknowledged()) == ["book (2 of 2 markets)", "trade"]
    first = exchange.inspect(texts({}, confirm("book", "A")))
    assert first.events == ()
    assert list(exchange.unconfirmed("book")) == ["B"]
    second = exchange.inspect(texts(confirm("trade", "anything"), confirm("book", "B")))
    assert list(second.events) == [Acknowledged("trade", None, 0, []), Acknowledged("book", None, 1, ["A", "B"])]
    assert (states(exchange)["book"].confirmed, states(exchange)["book"].pending) == (2, False)
    assert list(exchange.unacknowledged()) == []
    assert exchange.inspect(texts(confirm("book", "B"))).events == ()


def test_an_id_confirms_all_that_its_message_has_asked_for():
    trades = {"params": ["btcusdt@trade", "ethusdt@trade"], "id": 1}
    run = Run(connection(BINANCE, trades, {"params": ["btcusdt@depth"], "id": "${now_ms}"}))
    run.take({"result": None, "id": "1"})
    assert states(run.exchange)["trade"].confirmed == 0, "another type of JSON"
    run.take({"result": None, "id": 1})
    assert states(run.exchange)["trade"].confirmed == 2
    assert states(run.exchange)["depth"].confirmed == 0
    run.take({"result": None, "id": run.now})
    assert list(run.exchange.unacknowledged()) == []


def test_a_list_confirms_what_it_names():
    description = {
        "asked": {"channel": "params.channels[*]"},
        "confirmed": {"when": {"result": {"exists": True}}, "channel": "result[*]"},
    }
    exchange = connection(description, {"params": {"channels": ["trades.A", "book.B", "wrong"]}})
    exchange.inspect(texts({"result": ["trades.A", "book.B"]}))
    assert {name: state.pending for name, state in states(exchange).items()} == {
        "trades.A": False,
        "book.B": False,
        "wrong": True,
    }


def test_how_the_exchange_confirms_may_be_unknown():
    description = {name: value for name, value in KRAKEN.items() if name != "confirmed"}
    exchange = connection(description, subscribe("book", "A", "B"))
    assert (states(exchange)["book"].confirmed, states(exchange)["book"].pending) == (None, None)
    assert list(exchange.unacknowledged()) == list(exchange.unconfirmed("book")) == []


def test_without_asked_nothing_is_known():
    exchange = connection({"paths": {"type": "channel"}}, subscribe("book", "A"))
    assert [*exchange.channels(), *exchange.asked()] == []


@pytest.mark.parametrize(
    ("answer", "channel"),
    [({"result": {"channel": "book"}}, "book"), ({"result": {"channel": "other"}}, ""), ({}, ""), ("refused", "")],
)
def test_a_refusal_without_an_id_may_name_its_channel(answer, channel):
    description = {**KRAKEN, "end_when": [{"when": [{"bad": 1}, {"text": "refused"}], "as": "refused"}]}
    exchange = connection(description, subscribe("book", "A"))
    inspection = exchange.inspect(texts(answer | {"bad": 1} if isinstance(answer, dict) else answer))
    assert [event.channel for event in inspection.events] == [channel]


# What is heard.


def test_messages_show_which_channels_and_markets_are_heard():
    exchange = connection(KRAKEN, subscribe("book", "A", "B"), subscribe("trade", "A"))
    exchange.inspect(texts({"channel": "book", "data": [{"symbol": "A"}]}, {"channel": "other", "data": []}))
    assert (states(exchange)["book"].heard, states(exchange)["trade"].heard) == (1, 0)
    assert list(exchange.unheard("book")) == ["B"]
    before = states(exchange)
    assert before["book"].activity > 0
    assert before["trade"].activity == 0
    exchange.inspect(texts({"channel": "book", "data": [{"symbol": "B"}]}))
    assert states(exchange)["book"].heard == 2
    assert states(exchange)["book"].activity > before["book"].activity
    exchange.inspect(texts({"channel": "trade", "data": [{"symbol": "A"}]}))
    exchange.inspect(texts({"channel": "book", "data": [{"symbol": "C"}]}, "text", []))
    assert [state.heard for state in exchange.channels()] == [2, 1]


def test_what_is_no_data_is_not_heard():
    exchange = connection(OKX, {"op": "subscribe", "args": [{"channel": "trades", "instId": "A"}]})
    exchange.inspect(texts({"event": "subscribe", "arg": {"channel": "trades", "instId": "A"}}))
    [state] = exchange.channels()
    assert (state.confirmed, state.heard, state.activity) == (1, 0, 0)
    exchange.inspect(texts({"arg": {"channel": "trades", "instId": "A"}, "data": []}))
    [state] = exchange.channels()
    assert (state.heard, state.activity > 0) == (1, True)


def test_channels_that_come_and_were_not_asked_for_are_reported_once_each_and_only_a_few():
    exchange = connection(KRAKEN, subscribe("book", "A"))
    update = {"channel": "book.update", "data": [{"symbol": "A"}]}
    own = {"channel": "book", "data": [{"symbol": "A"}]}
    found = [exchange.inspect(texts({"channel": "status"} if number == 0 else own, update)) for number in range(40)]
    assert [event.channel for each in found for event in each.events if isinstance(event, NotAsked)] == ["book.update"]
    others = texts(*({"channel": f"x{number}"} for number in range(50)))
    found = [exchange.inspect(others) for _ in range(40)]
    assert len([event for each in found for event in each.events]) == MOST_NOT_ASKED - 1


def test_where_a_message_asks_for_what_is_not_known_any_channel_may_come():
    exchange = connection(KRAKEN, subscribe("book", "A"), {"method": "other", "params": {"channel": "level2"}})
    found = [exchange.inspect(texts({"channel": "l2_data"})) for _ in range(40)]
    assert [event for each in found for event in each.events] == []


ALIKE = {"method": "subscribe", "code": 0}
"""What both data and confirmations have."""


def alike(**confirmed: str) -> Any:
    description = {
        "asked": {"channel": "params.channel", "market": "params.symbol", "id": "id"},
        "confirmed": {"when": ALIKE, **confirmed},
        "paths": {"channel": "result.channel", "market": "result.symbol"},
    }
    exchange = connection(description, {"params": {"channel": "book", "symbol": "A"}, "id": 1})
    exchange.commands()
    return exchange


@pytest.mark.parametrize("update", [{"id": -1}, {"id": None}, {}])
def test_what_has_the_fields_of_a_confirmation_but_confirms_nothing_is_data(update):
    exchange = alike(id="id")
    exchange.inspect(texts({**ALIKE, **update, "result": {"channel": "book", "symbol": "A"}}))
    [state] = exchange.channels()
    assert (state.confirmed, state.heard, state.activity > 0) == (0, 1, True)


@pytest.mark.parametrize("confirmed", [{"id": "id"}, {"channel": "result.channel", "market": "result.symbol"}])
def test_what_is_confirmed_already_is_confirmed_no_second_time_so_it_is_data(confirmed):
    exchange = alike(**confirmed)
    update = {**ALIKE, "id": 1, "result": {"channel": "book", "symbol": "A"}}
    for heard in (0, 1):
        exchange.inspect(texts(update))
        [state] = exchange.channels()
        assert (state.confirmed, state.heard, min(state.activity, 1)) == (1, heard, heard)


def test_a_market_may_be_written_in_other_letters_than_in_the_message_that_asks():
    exchange = connection(BINANCE, {"params": ["btcusdt@trade"], "id": 1})
    exchange.inspect(texts({"stream": "btcusdt@trade", "data": {"s": "BTCUSDT"}}))
    assert [state.heard for state in exchange.channels()] == [1]


def test_without_channels_in_the_messages_each_counts_for_all():
    description = {"asked": {"market": "ids[*]"}, "paths": {"type": "event", "market": "id"}}
    exchange = connection({**description, "ignore": {"text": "PONG"}}, {"ids": ["1", "2"]})
    exchange.inspect(texts("PONG"))
    assert [state.activity for state in exchange.channels()] == [0]
    exchange.inspect(texts({"event": "book", "id": "1"}))
    [state] = exchange.channels()
    assert (state.channel, state.asked, state.heard, state.activity > 0) == (EVERYTHING, 2, 1, True)


def test_markets_that_messages_do_not_name_are_unknown():
    description = {"asked": KRAKEN["asked"], "paths": {"type": "channel"}}
    exchange = connection(description, subscribe("book", "A"))
    exchange.inspect(texts({"channel": "book"}))
    [state] = exchange.channels()
    assert (state.asked, state.heard, state.activity > 0) == (1, None, True)
    assert list(exchange.unheard("book")) == []


def test_a_channel_whose_message_waits_for_the_pace_says_so():
    run = Run(connection(KRAKEN, subscribe("book", "A"), subscribe("trade"), per_second=1))
    assert {name: state.unsent for name, state in states(run.exchange).items()} == {"book": False, "trade": True}
    run.until(1500)
    assert not any(state.unsent for state in run.exchange.channels())
