"""Only a JSON document that every common reader accepts may be spliced into a line."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import NOT_JSON, NOT_TEXT, VALID

from ssmd.store import json_limits
from ssmd.store.json_limits import MAX_DEPTH, MAX_INTEGER_DIGITS, are_within_limits, is_json, is_utf8
from ssmd.store.line import LineEncoder, decode_line


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_a_valid_document_is_json(document):
    assert is_json(document)
    assert is_utf8(document)


@pytest.mark.parametrize("message", [*NOT_JSON.values(), *NOT_TEXT.values()], ids=[*NOT_JSON, *NOT_TEXT])
def test_any_other_message_is_not_json(message):
    assert not is_json(message)


@pytest.mark.parametrize("message", NOT_TEXT.values(), ids=NOT_TEXT)
def test_bytes_that_are_not_text_are_not_utf8(message):
    assert not is_utf8(message)
    assert is_utf8(message.decode("utf-8", "replace").encode())


def nested(depth: int, width: int) -> bytes:
    """Return a document of `depth` levels, of lists and objects in turns, and of `width` bytes at the bottom."""
    opening, closing = b"", b""
    while depth:
        is_object = depth >= 2 and depth % 3 == 0
        opening, closing = (opening + b'{"a":', b"}" + closing) if is_object else (opening + b"[", b"]" + closing)
        depth -= 2 if is_object else 1
    return opening + b'"' + b"x" * width + b'"' + closing


@given(st.lists(st.tuples(st.integers(1, MAX_DEPTH + 60), st.integers(0, 600)), min_size=1, max_size=5))
def test_documents_within_the_fast_limits_are_json_each_by_itself(shapes):
    documents = [nested(depth, width) for depth, width in shapes]
    assert [is_json(document) for document in documents] == [depth <= MAX_DEPTH for depth, _ in shapes]
    if are_within_limits(documents):
        assert all(map(is_json, documents))


def test_ordinary_messages_are_within_the_fast_limits():
    """Otherwise each message would be checked by itself, which is about ten times slower."""
    book = {"type": "orderbook_snapshot", "msg": {"yes": [["0.0100", "10.00"]] * 50, "no": [["0.0200", "7.00"]] * 50}}
    assert are_within_limits([json.dumps(book).encode(), b'{"type":"trade"}'])


def test_the_longest_integer_is_the_longest_that_python_reads():
    assert sys.int_info.default_max_str_digits == MAX_INTEGER_DIGITS


def test_digits_just_short_of_too_many_take_no_long_search():
    """A search that started again at each digit would take minutes, and this test would exceed its deadline."""
    document = b'["' + (b"1" * MAX_INTEGER_DIGITS + b"a") * 7800 + b'"]'
    assert document in LineEncoder("kalshi").encode(0, [document], decoded=True)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * MAX_INTEGER_DIGITS),
            st.one_of(st.integers(0, 20), st.integers(MAX_INTEGER_DIGITS - 3, MAX_INTEGER_DIGITS + 3)),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_an_integer_that_is_too_long_is_found_wherever_it_is(runs):
    """The document is a list of strings and integers. Only integers are limited."""
    document = b"[" + b",".join(b'"%b",%b' % (b"x" * apart, b"9" * max(1, digits)) for apart, digits in runs) + b"]"
    spliced = LineEncoder("feed").encode(0, [document], decoded=True)
    assert (b'"encoding"' in spliced) == any(digits > MAX_INTEGER_DIGITS for _, digits in runs)
    assert decode_line(spliced).payload == document


def test_megabytes_of_brackets_take_little_time():
    """Nothing else runs while 4 MB of brackets, as deep as allowed, are counted."""
    payload = b"[" + (b"[" * 240 + b"]" * 240 + b",") * 8_000 + b"1]"
    assert is_json(payload)
    line = LineEncoder("kalshi").encode(0, [payload], decoded=True)
    assert line.endswith(b'"data":' + payload + b"}\n")
    assert line.count(b"\n") == 1


# Messages of many pieces.

TOKENS = st.sampled_from(
    [*'"\\[]{},:1a \n', "-1.5e+9", "\u00e9", "\u2603", "\U0001f600", "\ud83d"]
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    | st.lists(TOKENS, max_size=30).map(lambda tokens: "".join(tokens).encode("utf-8", "surrogatepass"))
    | st.binary(max_size=20),
    st.integers(1, 7),
)
def test_where_a_message_is_cut_into_pieces_makes_no_difference(message, size):
    line = LineEncoder("kalshi").encode(0, [message])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_limits, "PIECE", size)
        patched.setattr("ssmd.store.line.PIECE", 3 * size)
        assert LineEncoder("kalshi").encode(0, [message]) == line


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["%s", "-%s", "0.%s", "%s.5", "1e%s", "1E-%s", "%se2", '"%s"', '"\\"%s"', '"-%s"']),
            st.sampled_from([1, MAX_INTEGER_DIGITS, MAX_INTEGER_DIGITS + 1, 2 * MAX_INTEGER_DIGITS]),
        ),
        max_size=6,
    )
)
def test_an_integer_is_too_long_exactly_when_python_cannot_read_it(shapes):
    """Digits in a string, a fraction or an exponent are harmless."""
    document = ("[" + ",".join(shape % ("1" * digits) for shape, digits in shapes) + "]").encode()
    try:
        json.loads(document)
        readable = True
    except ValueError:
        readable = False
    assert is_json(document) == readable


@given(st.integers(1, MAX_DEPTH + 9), st.integers(0, 20), st.integers(1, 40))
def test_depth_is_counted_over_all_pieces(depth, width, size):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_limits, "PIECE", size)
        assert is_json(nested(depth, width)) == (depth <= MAX_DEPTH)
