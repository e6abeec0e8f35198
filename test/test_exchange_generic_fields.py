"""The fields of messages: whatever the fast way reads equals what json.loads finds at the path."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ssmd.exchange.generic.fields import Fields
from ssmd.field_path import FieldPath, parse_path

NAMES = st.sampled_from(["a", "b", "err-code", "é", 'q"', "class"])
STEPS = st.lists(NAMES | st.sampled_from([0, 1, 2, 20]), min_size=1, max_size=4)
PATHS = STEPS.map(lambda steps: FieldPath("".join(map(str, steps)), tuple(steps)))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=3)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
NOT_JSON = st.binary(max_size=4).filter(lambda data: not is_json(data))


def is_json(data):
    try:
        msgspec.json.Decoder(msgspec.Raw).decode(data)
    except ValueError:
        return False
    return True


def naive(document, path):
    for step in path.steps:
        try:
            document = document[step] if isinstance(document, list if isinstance(step, int) else dict) else UNSET
        except (KeyError, IndexError):
            return UNSET
    return document


def same(found, expected):
    """Whether the value is right: of an object and of a list it only counts that there is one."""
    if isinstance(expected, dict | list):
        return found is not UNSET and type(found) not in (str, int, float, bool, type(None))
    return type(found) is type(expected) and found == expected


@given(st.lists(PATHS, min_size=1, max_size=5), st.lists(PATHS, max_size=3), st.lists(DOCUMENTS, max_size=6))
def test_every_field_is_read_as_the_json_module_finds_it(paths, presence, documents):
    fields = Fields()
    columns = [fields.column(path) for path in paths]
    present = [fields.column(path, presence=True) for path in presence]
    batch = fields.read([json.dumps(document).encode() for document in documents])
    assert batch.decoded
    assert not batch.unread
    assert len(batch.heads) == len(documents)
    for path, column in zip(paths, columns, strict=True):
        values = column(batch.heads)
        assert values == [column.one(head) for head in batch.heads]
        for value, document in zip(values, documents, strict=True):
            assert same(value, naive(document, path))
    for path, column in zip(presence, present, strict=True):
        values = column(batch.heads)
        assert [value is UNSET for value in values] == [naive(document, path) is UNSET for document in documents]


@given(st.lists(PATHS, max_size=4), st.lists(DOCUMENTS.map(lambda one: json.dumps(one).encode()) | NOT_JSON))
def test_one_message_at_a_time_gives_what_all_at_once_give(paths, payloads):
    fields = Fields()
    columns = [fields.column(path) for path in paths]
    batch = fields.read(payloads)
    single = [fields.read([payload]) for payload in payloads]
    assert batch.decoded is all(one.decoded for one in single) is all(map(is_json, payloads))
    assert list(batch.unread) == [index for index, payload in enumerate(payloads) if not is_json(payload)]
    assert [index for index, one in enumerate(single) if one.unread] == list(batch.unread)
    for column in columns:
        values = [column(one.heads)[0] for one in single]
        for value, other in zip(column(batch.heads), values, strict=True):
            assert type(value) is type(other)
            assert value == other or type(value) not in (str, int, float)


@given(st.lists(PATHS, max_size=3), st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_raise(paths, payloads):
    fields = Fields()
    columns = [fields.column(path) for path in paths]
    batch = fields.read(payloads)
    assert all(len(column(batch.heads)) == len(payloads) for column in columns)
    assert batch.decoded is all(map(is_json, payloads))


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"b":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"",
        b" ",
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}{"a":2}',
        b'{"a":NaN}',
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_cannot_be_read_has_no_field(payload):
    fields = Fields()
    column = fields.column(parse_path("a"))
    batch = fields.read([b'{"a":1}', payload])
    assert not batch.decoded
    assert list(batch.unread) == [1]
    assert column(batch.heads) == [1, UNSET]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1e400", float("inf")),
        (b"1" * 60, int("1" * 60)),
        (b'"\xff"', "�"),
        (b"18446744073709551616", 2**64),
        (b"-0", 0),
    ],
)
def test_a_value_that_the_decoder_refuses_is_read_slowly(text, value):
    fields = Fields()
    column = fields.column(parse_path("a"))
    batch = fields.read([b'{"a":' + text + b'}', b'{"a":2}'])
    assert batch.decoded
    assert column(batch.heads) == [value, 2]


def test_bad_utf8_beside_the_fields_does_no_harm():
    fields = Fields()
    column = fields.column(parse_path("a"))
    batch = fields.read([b'{"b":"\xff","a":1}', b'{"b":"\xff","a":1e400}'])
    assert batch.decoded
    assert column(batch.heads) == [1, float("inf")]


def test_an_integer_too_long_for_python_leaves_its_message_without_fields():
    fields = Fields()
    column = fields.column(parse_path("a"))
    batch = fields.read([b'{"a":' + b"1" * 5000 + b"}"])
    assert batch.decoded
    assert list(batch.unread) == [0]
    assert column(batch.heads) == [UNSET]


def test_a_description_without_paths_reads_nothing():
    batch = Fields().read([b'{"a":1}', b"[]"])
    assert batch.decoded
    assert not batch.heads
    assert not batch.unread
    batch = Fields().read([b'{"a":1}', b"pong"])
    assert not batch.decoded
    assert not batch.heads
    assert list(batch.unread) == [1]


def test_the_longest_paths_are_read():
    fields = Fields()
    columns = [fields.column(parse_path(text)) for text in (".".join(["a"] * 100), "[0]" * 100, "[20]" + "[0]" * 99)]
    batch = fields.read([b'{"a":' * 100 + b"1" + b"}" * 100, b"[" * 100 + b"2" + b"]" * 100])
    assert [column(batch.heads) for column in columns] == [[1, UNSET], [UNSET, 2], [UNSET, UNSET]]


def test_items_of_lists_and_fields_of_objects_may_be_asked_for_at_one_place():
    paths = list(map(parse_path, ("data.s", "data[0].s", "data[1]", "[0].s", "[2]")))
    fields = Fields()
    asked = [fields.column(path) for path in paths]
    payloads = [b'{"data":{"s":"x"}}', b'{"data":[{"s":"y"},2]}', b'[{"s":1},2,3]', b'{"data":null}', b'"data"']
    batch = fields.read(payloads)
    columns = [column(batch.heads) for column in asked]
    assert columns[0] == ["x", UNSET, UNSET, UNSET, UNSET]
    assert columns[1] == [UNSET, "y", UNSET, UNSET, UNSET]
    assert columns[2] == [UNSET, 2, UNSET, UNSET, UNSET]
    assert columns[3] == [UNSET, UNSET, 1, UNSET, UNSET]
    assert columns[4] == [UNSET, UNSET, 3, UNSET, UNSET]
