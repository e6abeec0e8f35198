"""The time and the message of a line are found, and the message keeps its own bytes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.field_path import parse_path
from ssmd.importing.fields import Condition, Found, Layout
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

NOW = day_begins("2026-11-27")
NS = 1_633_998_512_063_000_000


def layout(message: str | None = "m", **options: Any) -> Layout:
    fields: dict[str, Any] = {"time_format": "ms", "time_fields": (parse_path("t"),), **options}
    return Layout(message_field=None if message is None else parse_path(message), **fields)


@pytest.mark.parametrize(
    "message",
    [
        b'{"b" : 1.50 , "a":1e2}',
        b'{"a":1,"a":2}',
        b'[ 1,\t"\\u00e9", "\xc3\xa9" ]',
        b"{}",
        b'{"id":18446744073709551617,"x":1.00000000000000000000000001}',
    ],
)
def test_an_object_or_a_list_keeps_its_bytes(message):
    assert layout().read(b' { "m" : ' + message + b' , "t":1633998512063}\r', NOW) == Found(NS, message)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_text_of_a_string_is_the_message(text):
    for ascii_only in (True, False):
        line = json.dumps({"t": 1633998512063, "m": text}, ensure_ascii=ascii_only).encode()
        assert layout().read(line, NOW) == Found(NS, text.encode())


@given(st.binary())
def test_base64_gives_the_bytes_of_a_binary_message(message):
    line = b'{"t":1633998512063,"m":"%b"}' % base64.b64encode(message)
    assert layout(base64=True).read(line, NOW) == Found(NS, message)


def test_the_whole_line_may_be_the_message():
    line = b' {"t":1633998512063, "seq" : 1}'
    assert layout(None).read(line, NOW) == Found(NS, line)


def test_the_first_time_that_a_line_has_counts():
    times = tuple(map(parse_path, ("a.t", "b[0]", "t")))
    lines = (b'{"a":{"t":1633998512063}}', b'{"a":1,"b":["1633998512063"]}', b'{"a":{"t":null},"t":1633998512063}')
    for line in lines:
        assert layout(None, time_fields=times).read(line, NOW) == Found(NS, line)
    assert layout(None, time_fields=times).read(b'{"b":[]}', NOW) == Found(None, b'{"b":[]}')


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("dir=in", True),
        ("dir=out", False),
        ("n=1", True),
        ("n=1.0", False),
        ("flag=true", True),
        ("nothing=", False),
        ("empty=", True),
    ],
)
def test_only_lines_that_meet_the_condition_are_messages(condition, holds):
    path, _, value = condition.partition("=")
    line = b'{"t":1633998512063,"m":{},"dir":"in","n":1,"flag":true,"empty":""}'
    found = layout(where=(Condition(parse_path(path), value),)).read(line, NOW)
    assert (found is not None) == holds


@pytest.mark.parametrize(
    ("separator", "line", "message"),
    [
        (": ", b'1633998512063: {"a": 1}', b'{"a": 1}'),
        ("\t", b"1633998512063\tPONG\t2", b"PONG\t2"),
        (",", b" 1633998512063 ,\xff\x00", b"\xff\x00"),
    ],
)
def test_a_line_of_text_is_a_time_and_a_message(separator, line, message):
    assert Layout(time_format="ms", separator=separator).read(line, NOW) == Found(NS, message)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"t":1633998512063,"m":{}', "is not JSON ("),
        (b'{"t":1633998512063,"m":NaN}', "is not JSON ("),
        (b"1633998512063 {}", "correct it or remove it, or see --separator"),
        (b"[" * 100_000, "is not JSON ("),
        (b'{"t":1633998512063}', "has no `m`; name the field of the message with --message-field, or"),
        (b'{"t":1633998512063,"m":17}', "has 17 in `m`, which is no message: it must be"),
        (b'{"t":1633998512063,"m":null}', "has null in `m`"),
        (b'{"t":1633998512063,"m":"\\ud800"}', "is not JSON ("),
        (b'{"t":1633998512063,"m":"\xff"}', "has a string that cannot be decoded ("),
        (b'{"t":"soon","m":{}}', "`t` is 'soon', which is not a number; say how the times are written"),
        (b'{"t":{"a":1},"m":{}}', "`t` is '{\"a\":1}', which is not a number"),
    ],
)
def test_a_line_that_is_wrong_says_what_helps(line, what):
    with pytest.raises(ValueError, match=r"\w") as caught:
        layout().read(line, NOW)
    assert what in str(caught.value)


def test_a_message_that_is_no_base64_and_a_line_without_its_separator_are_refused():
    with pytest.raises(ValueError, match="has no base64 in `m`"):
        layout(base64=True).read(b'{"t":1633998512063,"m":"x!"}', NOW)
    with pytest.raises(ValueError, match="has no '\\\\t' after its time"):
        Layout(time_format="ms", separator="\t").read(b"1633998512063 {}", NOW)


def test_a_line_of_ssmd_has_its_own_parts():
    own = Layout(time_format="iso", of_ssmd=True)
    for message in (b'{"a":1.0}', b"PONG", b"\x1f\x8b\x00"):
        line = LineEncoder("other").encode(NS, [message])
        assert own.read(line.rstrip(), NOW) == Found(NS, message)
    with pytest.raises(ValueError, match="is not a line of ssmd"):
        own.read(b'{"ts":"2021-10-12T00:28:32Z","data":{}}', NOW)
    assert own.described() == {"of_ssmd": True}


def test_the_ledger_gets_only_what_is_set():
    assert layout(None).described() == {"time_format": "ms", "time_fields": ["t"]}
    where = (Condition(parse_path("dir"), "in"),)
    assert layout("a[0].b", base64=True, where=where).described() == {
        "time_format": "ms",
        "time_fields": ["t"],
        "message_field": "a[0].b",
        "base64": True,
        "where": ["dir=in"],
    }
    assert Layout(time_format="s", separator=": ").described() == {"time_format": "s", "separator": ": "}
