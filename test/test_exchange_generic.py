"""The dialect for any exchange: it sends what the environment says, and keeps what arrives."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd.contracts.exchange import Inspection, Opening
from ssmd.exchange.generic.dialect import Generic

MESSAGES = [
    {"type": "subscribe", "product_ids": ["ETH-EUR"], "channels": ["level2", "heartbeat"]},
    {"event": "naïve", "depth": 10, "on": True, "nothing": None},
]


def test_the_messages_are_sent_as_json_in_order():
    assert Generic()({}, {"messages": MESSAGES}).commands() == [
        b'{"type":"subscribe","product_ids":["ETH-EUR"],"channels":["level2","heartbeat"]}',
        b'{"event":"na\\u00efve","depth":10,"on":true,"nothing":null}',
    ]
    assert [json.loads(command) for command in Generic()({}, {"messages": MESSAGES}).commands()] == MESSAGES


@pytest.mark.parametrize("subscribe", [{}, {"messages": []}])
def test_without_messages_nothing_is_sent(subscribe):
    assert list(Generic()({}, subscribe).commands()) == []
    assert list(Generic().check(subscribe)) == []


def test_nothing_is_signed_and_no_acknowledgement_is_expected():
    dialect = Generic()({"token": "unused"}, {"messages": MESSAGES})
    assert dialect.opening("wss://host/ws", 1_790_000_000_000) == Opening("wss://host/ws", hidden={"unused"})
    assert list(dialect.unacknowledged()) == []


@pytest.mark.parametrize(
    ("subscribe", "problems"),
    [
        ({"messages": MESSAGES}, []),
        ({"messages": None}, [(("messages",), False)]),
        ({"messages": {"type": "subscribe"}}, [(("messages",), False)]),
        ({"messages": '{"type":"subscribe"}'}, [(("messages",), False)]),
        ({"messages": ["subscribe", {}, 5, [], False]}, []),
        ({"messages": ["", None]}, [(("messages", index), False) for index in (0, 1)]),
        ({"messages": [5, {"a": ["${kee.x}"]}]}, [(("messages", 1, "a", 0), False)]),
        ({"messages": ["${message.x}", "${prepared.x}"]}, [(("messages", index), False) for index in (0, 1)]),
        ({"channels": ["trade"], "messages": []}, [(("channels",), False)]),
        ({"mesages": MESSAGES}, [(("mesages",), False)]),
        ({"message": MESSAGES}, [(("message",), False)]),
        ({"market_tickers": [], "messages": 1}, [(("market_tickers",), False), (("messages",), False)]),
    ],
)
def test_the_subscribe_section_is_checked(subscribe, problems):
    found = list(Generic().check(subscribe))
    assert [(problem.path, problem.warning) for problem in found] == problems
    for problem in found:
        assert ("did you mean `messages`?" in problem.message) == (problem.path[0] in ("mesages", "message"))


@pytest.mark.parametrize(
    ("payloads", "decoded"),
    [
        ([b"{}"], True),
        ([b'{"a":1}\n', b"[]", b'"text"', b"1", b"null"], True),
        ([b"{}", b""], False),
        ([b"{}", b"{}{}"], False),
        ([b'{"a":NaN}'], False),
        ([b"\xef\xbb\xbf{}"], False),
        ([b'"\\ud800"'], False),
        ([b"\x00\xff"], False),
        ([b"[" * 100_000 + b"]" * 100_000], False),
    ],
)
def test_decoded_says_whether_every_payload_is_json(payloads, decoded):
    assert Generic()({}, {}).inspect(payloads) == Inspection(decoded)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=5))
def test_inspect_never_raises(payloads):
    assert isinstance(Generic()({}, {}).inspect(payloads), Inspection)


def test_the_books_of_a_market_can_be_numbered_apart_from_its_other_channels():
    """As at OKX, where each trade has a number of its own, and only books name the number before."""
    paths = {"channel": "arg.channel", "market": "arg.instId"}
    chain = {"previous": ["data[0].prevSeqId", "data[0].seqId"], "scope": "channel_and_market"}
    inspector = Generic().described({"paths": {**paths, "sequence": chain}})({}, {})

    def gaps(channel, market, *, seq, before=None):
        data = {"seqId": seq} | ({} if before is None else {"prevSeqId": before})
        message = json.dumps({"arg": {"channel": channel, "instId": market}, "data": [data]})
        return [(gap.name, gap.expected, gap.got) for gap in inspector.inspect([message.encode()]).events]

    assert gaps("books", "BTC-USDT", seq=10, before=-1) == []
    assert gaps("trades", "BTC-USDT", seq=77) == []
    assert gaps("books", "ETH-USDT", seq=3, before=-1) == []
    assert gaps("books", "BTC-USDT", seq=15, before=10) == []
    assert gaps("books", "ETH-USDT", seq=9, before=8) == [("books ETH-USDT", 3, 8)]


ASKED = {"asked": {"when": {"op": "subscribe"}, "channel": "args[*].channel"}}


@pytest.mark.parametrize(
    ("messages", "warned"),
    [
        ([{"op": "subscribe", "args": [{"channel": "trades"}]}, "ping"], False),
        ([{"op": "sub", "args": [{"channel": "trades"}]}], True),
        ([{"op": "subscribe", "args": [{"chanel": "trades"}]}, 5], True),
    ],
)
def test_messages_that_ask_for_nothing_by_the_description_are_a_warning(messages, warned):
    found = list(Generic().described(ASKED).check({"messages": messages}))
    assert [(problem.path, problem.warning) for problem in found] == ([(("messages",), True)] if warned else [])


@pytest.mark.parametrize("subscribe", [{}, {"messages": []}])
def test_a_feed_that_is_asked_for_nothing_is_a_warning_when_its_description_says_what_asks(subscribe):
    [found] = Generic().described(ASKED).check(subscribe)
    assert (found.path, found.warning, found.lenient) == ((), True, False)
    assert found.message == (
        "has no messages, so nothing is asked for, although the feed's `dialect` has `asked`; add what to send to "
        "`subscribe.messages`"
    )
