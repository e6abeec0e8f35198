"""Placeholders: put in once, with their types, and nothing that is put in is looked at again."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.exchange.generic.template import (
    KEY,
    LONGEST,
    MESSAGE,
    NOW_MS,
    NOW_S,
    PREPARED,
    TemplateError,
    Values,
    faults_of,
    fill,
    fill_url,
    placeholders_of,
    sent,
)

ALL = (KEY, NOW_S, NOW_MS, PREPARED, MESSAGE)
MESSAGE_HERE = {"ping": 18446744073709551616, "list": [{"a": "x"}], "on": True, "none": None, "half": 0.5}
VALUES = Values(1_790_000_000_999, {"token": "sécret/1"}, {"endpoint": "wss://host/x", "token": "a b"}, MESSAGE_HERE)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("ping", "ping"),
        ({"op": "ping", "n": [1, None, True]}, {"op": "ping", "n": [1, None, True]}),
        ("${now_s}", 1_790_000_000),
        ("${now_ms}", 1_790_000_000_999),
        ({"time": "${now_s}"}, {"time": 1_790_000_000}),
        ("t=${now_s}", "t=1790000000"),
        ({"pong": "${message.ping}"}, {"pong": 18446744073709551616}),
        ("${message.list}", [{"a": "x"}]),
        ("${message.list[0].a}", "x"),
        ("<${message.list}>", '<[{"a":"x"}]>'),
        ("${message.on},${message.none},${message.half}", "true,null,0.5"),
        ([["${key.token}"]], [["sécret/1"]]),
        ("Bearer ${key.token}", "Bearer sécret/1"),
        ("${prepared.token}", "a b"),
        ("$${now_s}", "${now_s}"),
        ("$${now_s} ${now_s}", "${now_s} 1790000000"),
        ("costs $5 {x} $", "costs $5 {x} $"),
    ],
)
def test_placeholders_are_filled_in_with_their_types(template, filled):
    assert list(faults_of(template, ALL, ["token", "endpoint"])) == []
    assert fill(template, VALUES) == filled
    assert type(fill(template, VALUES)) is type(filled)


def test_a_template_is_not_changed_by_filling_it():
    template = {"a": ["${now_s}"]}
    fill(template, VALUES)
    assert template == {"a": ["${now_s}"]}


@pytest.mark.parametrize("held", ["${key.token}", "$${key.token}", "${message.x}", {"a": ["${key.token}"]}])
def test_what_a_message_holds_is_never_expanded(held):
    values = Values(0, {"token": "the secret"}, {}, {"x": held})
    assert fill("${message.x}", values) == held
    assert "the secret" not in json.dumps(fill({"reply": ["<${message.x}>", "${message.x}"]}, values))


def test_a_message_cannot_complete_a_placeholder():
    values = Values(0, {"token": "the secret"}, {}, {"open": "$", "rest": "{key.token}"})
    assert fill("${message.open}${message.rest}", values) == "${key.token}"
    assert fill("$$${message.open}", values) == "$${message.open}"


def test_values_in_a_url_are_encoded_but_not_the_one_that_begins_it():
    url = "${prepared.endpoint}?token=${prepared.token}&key=${key.token}&t=${now_ms}"
    assert fill_url(url, VALUES) == "wss://host/x?token=a%20b&key=s%C3%A9cret%2F1&t=1790000000999"


@pytest.mark.parametrize("path", ["x", "list[1]", "list.a", "ping.x", "list[0].b"])
def test_a_field_that_the_message_does_not_have_is_an_error(path):
    with pytest.raises(TemplateError, match="there is no value for"):
        fill({"a": f"${{message.{path}}}"}, VALUES)


@pytest.mark.parametrize("template", ["${message.x}", "<${message.x}>", {"a": "${message.x}"}])
def test_what_is_put_in_has_a_bound(template):
    fill(template, Values(0, message={"x": "y" * (LONGEST - 2)}))
    with pytest.raises(TemplateError, match="more than 65,536 characters"):
        fill(template, Values(0, message={"x": "y" * (LONGEST + 1)}))


@pytest.mark.parametrize("number", [10**5000, float("inf")], ids=["very long", "infinite"])
@pytest.mark.parametrize("template", ["${message.x}", "<${message.x}>"])
def test_a_number_that_json_or_python_cannot_write_is_not_put_in(template, number):
    with pytest.raises(TemplateError, match="a number too large"):
        fill(template, Values(0, message={"x": number}))


@pytest.mark.parametrize(
    ("template", "at", "fault"),
    [
        ("${key}", (), "no placeholder"),
        ("${key.}", (), "no placeholder"),
        ("${now}", (), "no placeholder"),
        ("${now_s.x}", (), "no placeholder"),
        ({"a": ["${env.HOME}"]}, ("a", 0), "no placeholder"),
        ("${message.a..b}", (), "not the path of a field"),
        ("${message.a[*]}", (), "not the path of a field"),
        ("${prepared.other}", (), "`take` of `prepare`"),
        ("${now_s", (), "without a `}`"),
        ("${ ${now_s}", (), "without a `}`"),
        ({"${now_s}": 1}, ("${now_s}",), "name of a field"),
        (["${now_s}" + "x" * LONGEST], (0,), "more than 65,536 characters"),
    ],
)
def test_what_is_wrong_with_a_placeholder_is_reported(template, at, fault):
    [(path, message)] = faults_of(template, ALL, ["token"])
    assert path == at
    assert fault in message


def test_a_placeholder_in_the_wrong_place_is_reported():
    [(_, message)] = faults_of("${message.a}", (KEY, NOW_S))
    assert message == "cannot have ${message.<path>} here, only ${key.<field>}, ${now_s}"


def test_the_placeholders_of_a_value_are_listed():
    found = placeholders_of({"a": ["${key.x} ${key.y}", "$${key.z}"], "b": "${now_s}"})
    assert [(each.kind, each.name) for each in found] == [(KEY, "x"), (KEY, "y"), (NOW_S, "")]


def test_a_text_is_sent_as_it_is_and_anything_else_as_compact_json():
    assert sent("ping") == b"ping"
    assert sent({"op": "ping", "args": [1, None]}) == b'{"op":"ping","args":[1,null]}'


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.text("${}.keymsgnow_s[0]"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING, ANYTHING)
def test_only_a_template_error_is_ever_raised(template, message):
    list(placeholders_of(template))
    list(faults_of(template, ALL))
    with suppress(TemplateError):
        sent(fill(template, Values(0, message=message)))
