"""Messages of an exchange that means harm: the memory and the time that they take have bounds."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from generic_connection import NOW, connection, texts

from ssmd.errors import ConnectError
from ssmd.exchange.generic.asking import LONGEST_ANSWER
from ssmd.exchange.generic.fields import LONGEST_READ_SLOWLY

LONG = 100_000
"""Characters of a name that no exchange has."""
MARKET = {"asked": {"market": "market"}, "paths": {"market": "s"}}


def names(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"s": f"{number}@" + "x" * LONG, "n": 1}


@pytest.mark.parametrize(
    "description",
    [
        MARKET,
        {"asked": {"market": "market"}, "paths": {"market": {"path": "s", "split": "@", "part": 1}}},
        {"paths": {"market": "s", "channel": "c", "sequence": {"plus_one": "n", "scope": "channel_and_market"}}},
        {"paths": {"market": "s", "sequence": {"plus_one": "n", "scope": "market"}}},
    ],
    ids=["heard", "a part of a text", "two fields together", "a scope"],
)
def test_long_names_are_not_remembered(description: dict[str, Any]) -> None:
    exchange = connection(description, {"market": "BTC"})
    exchange.inspect(texts(*names(1)))
    tracemalloc.start()
    try:
        for message in names(100):
            exchange.inspect(texts(message))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * LONG


def test_a_message_is_not_kept_while_the_next_one_is_received() -> None:
    exchange = connection(MARKET | {"end_when": [{"when": {"end": 1}, "as": "refused"}]}, {"market": "BTC"})
    payload = json.dumps({"s": "BTC"}).encode()
    before = sys.getrefcount(payload)
    exchange.inspect([payload])
    assert sys.getrefcount(payload) == before


BOTH = {
    "asked": {"channel": "channels[*]", "market": "markets[*]"},
    "confirmed": {"when": {"ok": True}, "channel": "channels[*]", "market": "markets[*]"},
}


@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_names_many_channels_and_markets_takes_little_memory(known: bool) -> None:
    count = 3000
    channels = [f"c{number % 10 if known else number}" for number in range(count)]
    markets = [f"m{number}" for number in range(count)]
    exchange = connection(BOTH, {"channels": channels[:10], "markets": markets[:10]})
    [answer] = texts({"ok": True, "channels": channels, "markets": markets})
    tracemalloc.start()
    try:
        exchange.inspect([answer])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * len(answer)
    assert list(exchange.unacknowledged()) == []


def test_an_answer_of_many_mib_is_no_confirmation() -> None:
    exchange = connection(BOTH, {"channels": ["c"], "markets": ["m"]})
    answer = {"ok": True, "channels": ["c"], "markets": ["m"]}
    exchange.inspect(texts(answer | {"more": "x" * LONGEST_ANSWER}))
    assert list(exchange.unacknowledged()) == ["c (1 of 1 markets)"]
    exchange.inspect(texts(answer))
    assert list(exchange.unacknowledged()) == []


@pytest.mark.parametrize("is_long", [True, False])
def test_a_long_message_is_not_read_in_the_slow_way(is_long: bool) -> None:
    end = {"when": {"ok": False}, "as": "refused"}
    exchange = connection({"paths": {"sequence": {"plus_one": "s", "scope": "connection"}}, "end_when": [end]})
    more = "x" * (LONGEST_READ_SLOWLY - 100 + 200 * is_long)
    payloads = [f'{{"ok":false,"s":{number},"more":"{more}"}}'.encode() for number in ("1e999", "1")]
    inspections = [exchange.inspect([payload]) for payload in payloads]
    assert [inspection.decoded for inspection in inspections] == [True, True]
    assert [inspection.failure is None for inspection in inspections] == [is_long, False]


PING = {"replies": [{"when": {"ping": {"exists": True}}, "send": {"pong": "${message.ping}"}}]}


@pytest.mark.parametrize(
    "other",
    [b'"\xff"', b"9" * 5000, b"-" + b"9" * 5000, b"1e999"],
    ids=["no UTF-8", "many digits", "many digits below 0", "beyond a float"],
)
def test_a_field_that_cannot_be_read_hides_no_other(other: bytes) -> None:
    exchange = connection(PING)
    assert exchange.inspect([b'{"ping":7,"other":' + other + b"}"]).due
    turn = exchange.tick(NOW)
    assert (turn.commands, turn.failure) == ([b'{"pong":7}'], None)


def test_a_reply_is_always_json() -> None:
    exchange = connection(PING)
    assert exchange.inspect([b'{"ping":1e999}']).due
    turn = exchange.tick(NOW)
    assert turn.commands == []
    assert "`replies[0].send` cannot be sent: a number too large" in str(turn.failure)


@pytest.mark.parametrize("name", [r"\u0070ing", r"pi\u006eg", "ping"])
def test_a_name_of_a_field_may_be_written_with_escapes(name: str) -> None:
    exchange = connection(PING)
    assert exchange.inspect([f'{{"{name}":7}}'.encode()]).due
    assert [json.loads(command) for command in exchange.tick(NOW).commands] == [{"pong": 7}]


@pytest.mark.parametrize(
    "written",
    ["a/b+c/d=e/f", r"a\/b+c\/d=e\/f", "a%2Fb%2Bc%2Fd%3De%2Ff", "a%2fb%2bc%2fd%3de%2ff"],
    ids=["as it is", "in JSON of PHP", "in a URL", "in a URL, in small letters"],
)
def test_a_refusal_that_repeats_a_key_in_another_writing_does_not_show_it(written: str) -> None:
    description = {"end_when": [{"when": {"ok": False}, "as": "refused"}]}
    exchange = connection(description, {"token": "${key.token}"}, token="a/b+c/d=e/f")
    failure = exchange.inspect([f'{{"ok":false,"text":"no key {written} here"}}'.encode()]).failure
    assert '"text":"no key (hidden) here"' in str(failure)


def test_half_a_character_in_the_answer_to_prepare_is_no_crash() -> None:
    exchange = connection({"prepare": {"url": "https://host", "take": {"token": "token"}}}, "${prepared.token}")
    exchange.prepared(rb'{"token":"\ud800-0123456789"}')
    exchange.opening("wss://host", NOW)
    with pytest.raises(ConnectError, match=r"`subscribe\.messages\[0\]` cannot be sent: half of a surrogate pair"):
        exchange.commands()
