"""Matches and picks: what a batch gives equals what each message gives alone, by the rules written out here."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.exchange.generic.description import EXISTS, IS, NOT, PREFIX, Condition, Pick
from ssmd.exchange.generic.fields import Fields
from ssmd.exchange.generic.match import Found, Matcher
from ssmd.exchange.generic.pick import MOST_REMEMBERED, Texts
from ssmd.field_path import parse_path

PATHS = [parse_path(text) for text in ("a", "b.c", "b", "b[0]", "[0].a")]
LITERALS = st.sampled_from([None, True, False, 0, 1, 1.0, 1.5, "", "1", "x", "xy", 2**70])
VALUES = LITERALS | st.lists(LITERALS, max_size=2) | st.dictionaries(st.sampled_from("ac"), LITERALS, max_size=2)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3) | st.lists(VALUES, max_size=2) | LITERALS
TEXTS = st.sampled_from([b"pong", b"PING", b"po", b"\xff"])
PAYLOADS = st.lists(DOCUMENTS.map(lambda one: json.dumps(one).encode()) | TEXTS, max_size=8)
FIELD_CONDITIONS = (
    st.builds(Condition, st.sampled_from(PATHS), st.sampled_from([IS, NOT]), LITERALS)
    | st.builds(Condition, st.sampled_from(PATHS), st.just(EXISTS), st.booleans())
    | st.builds(Condition, st.sampled_from(PATHS), st.just(PREFIX), st.sampled_from(["", "x"]))
)
TEXT_CONDITIONS = st.builds(Condition, st.none(), st.sampled_from([IS, PREFIX]), st.sampled_from(["pong", "po"]))
CONDITIONS = st.lists(FIELD_CONDITIONS, min_size=1, max_size=3).map(tuple) | TEXT_CONDITIONS.map(lambda one: (one,))
MATCHES = st.lists(CONDITIONS, min_size=1, max_size=3).map(tuple)

MISSING = object()


def at(document, path):
    for step in path.steps:
        try:
            document = document[step] if isinstance(document, list if isinstance(step, int) else dict) else MISSING
        except (KeyError, IndexError):
            return MISSING
    return document


def json_type(value):
    return "number" if type(value) in (int, float) else type(value)


def holds(condition, payload):
    """The rule of docs/dialect.md, for one message."""
    try:
        document = json.loads(payload)
    except ValueError:
        text = payload.decode("utf-8", "replace")
        return condition.path is None and (
            text == condition.value if condition.test == IS else text.startswith(condition.value)
        )
    if condition.path is None:
        return False
    value = at(document, condition.path)
    if condition.test == EXISTS:
        return (value is not MISSING) is condition.value
    if condition.test == PREFIX:
        return isinstance(value, str) and value.startswith(condition.value)
    equals = json_type(value) == json_type(condition.value) and value == condition.value
    return equals if condition.test == IS else value is not MISSING and not equals


@given(st.lists(MATCHES, max_size=4), PAYLOADS)
def test_exactly_the_messages_that_match_are_found(matches, payloads):
    fields = Fields()
    matcher = Matcher(matches, fields)
    expected = [
        (place, which)
        for place, payload in enumerate(payloads)
        for which, match in enumerate(matches)
        if any(all(holds(condition, payload) for condition in conditions) for conditions in match)
    ]
    assert matcher.find(fields.read(payloads)) == expected


@pytest.mark.parametrize(
    ("literal", "payload", "found"),
    [
        (1, b'{"a":1}', True),
        (1, b'{"a":1.0}', True),
        (1, b'{"a":"1"}', False),
        (1, b'{"a":true}', False),
        (True, b'{"a":true}', True),
        (True, b'{"a":1}', False),
        ("64008", b'{"a":"64008"}', True),
        ("64008", b'{"a":64008}', False),
        (None, b'{"a":null}', True),
        (None, b"{}", False),
    ],
)
def test_a_literal_is_matched_by_value_and_type(literal, payload, found):
    match = ((Condition(parse_path("a"), IS, literal),),)
    fields = Fields()
    matcher = Matcher([match], fields)
    assert matcher.find(fields.read([b'{"a":"other"}', payload])) == ([Found(1, 0)] if found else [])


@pytest.mark.parametrize(
    ("literal", "found"),
    [
        (0, ["1", "true", "false", '"0"', "null", "[0]", "{}"]),
        (True, ["0", "0.0", "1", "false", '"0"', "null", "[0]", "{}"]),
        ("0", ["0", "0.0", "1", "true", "false", "null", "[0]", "{}"]),
        (None, ["0", "0.0", "1", "true", "false", '"0"', "[0]", "{}"]),
    ],
)
def test_not_finds_every_message_that_has_the_field_with_another_value(literal, found):
    values = ["0", "0.0", "1", "true", "false", '"0"', "null", "[0]", "{}"]
    payloads = [b"{}", b"pong", *(f'{{"a":{value}}}'.encode() for value in values)]
    match = ((Condition(parse_path("a"), NOT, literal),),)
    fields = Fields()
    matcher = Matcher([match], fields)
    assert [values[place - 2] for place, _ in matcher.find(fields.read(payloads))] == found


@pytest.mark.parametrize("first", [b'{"a":1}', b'{"a":1.0}', b'{"a":"x"}'])
def test_not_one_finds_true_beside_a_one(first):
    """In a set of Python they are one value."""
    fields = Fields()
    matcher = Matcher([((Condition(parse_path("a"), NOT, 1),),)], fields)
    assert Found(1, 0) in matcher.find(fields.read([first, b'{"a":true}']))


def texts(pick, *payloads):
    fields = Fields()
    reads = Texts(pick, fields)
    heads = fields.read(payloads).heads
    assert reads.column(heads) == [reads.one(head) for head in heads]
    return reads.column(heads)


def test_a_pick_is_the_first_path_that_gives_a_text():
    pick = Pick((parse_path("data.s"), parse_path("data[0].s"), parse_path("s")))
    payloads = [b'{"data":{"s":"A"},"s":"B"}', b'{"data":[{"s":"C"}]}', b'{"data":{"s":null},"s":"D"}', b"{}", b"pong"]
    assert texts(pick, *payloads) == ["A", "C", "D", "", ""]


def test_a_pick_takes_whole_numbers_as_texts_and_nothing_else():
    pick = Pick((parse_path("s"),))
    values: list[object] = [7, -1, 1.5, True, None, {}, [], "", 10**30]
    payloads = [json.dumps({"s": value}).encode() for value in values]
    assert texts(pick, *payloads) == ["7", "-1", "", "", "", "", "", "", "1" + "0" * 30]


@pytest.mark.parametrize(
    ("part", "expected"),
    [(1, ["btcusdt", "abc", ""]), (2, ["depth", "", "x"]), (3, ["100ms", "", ""]), (-1, ["100ms", "abc", "x"])],
)
def test_a_part_of_a_text(part, expected):
    pick = Pick((parse_path("stream"),), split="@", part=part)
    payloads = [json.dumps({"stream": text}).encode() for text in ("btcusdt@depth@100ms", "abc", "@x")]
    assert texts(pick, *payloads, *payloads) == expected * 2


def test_a_part_that_a_text_does_not_have_is_looked_for_elsewhere():
    """As in Gate.io's names of markets, `BTC_USDT` and `ob.BTC_USDT.50`."""
    pick = Pick((parse_path("s"),), split=".", part=2, otherwise=Pick((parse_path("s"), parse_path("pair"))))
    payloads = [b'{"s":"ob.BTC_USDT.50"}', b'{"s":"ETH_USDT"}', b'{"pair":"XRP_USDT"}', b"{}"]
    assert texts(pick, *payloads) == ["BTC_USDT", "ETH_USDT", "XRP_USDT", ""]


def test_only_so_many_parts_are_remembered():
    pick = Pick((parse_path("stream"),), split="@", part=2)
    fields = Fields()
    reads = Texts(pick, fields)
    for number in range(MOST_REMEMBERED + 100):
        assert reads.column(fields.read([b'{"stream":"x@%d"}' % number]).heads) == [str(number)]
    assert reads.parts is not None
    assert len(reads.parts) <= MOST_REMEMBERED
