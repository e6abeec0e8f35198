"""The shape of messages, as it is learned from them."""

from __future__ import annotations

import json

import pytest
from drifting import learned, messages
from hypothesis import given
from hypothesis import strategies as st

from ssmd.shape.kinds import JSON_TYPES, kind_of
from ssmd.shape.learned import LONGEST_PATH, MOST_FIELDS, MOST_FIELDS_OF_ALL, MOST_TYPES, OTHERS, ShapeLearner
from ssmd.shape.paths import ITEM, VALUE, path_of, text_of
from ssmd.shape.shape import Shape, decode_shape, encode_shape
from ssmd.shape.skeleton import skeletons
from ssmd.shape.walk import DEEPEST, MOST_KEYS

steps = st.one_of(st.text(), st.sampled_from(["", ".", "a.b", "[]", "{}", "\\", "\\e", "e", ITEM, VALUE]))


@given(st.lists(steps).map(tuple))
def test_the_text_of_a_path_gives_the_path_back(path):
    assert path_of(text_of(path)) == path


@given(st.lists(steps).map(tuple), st.lists(steps).map(tuple))
def test_no_two_paths_have_the_same_text(one, other):
    assert (text_of(one) == text_of(other)) == (one == other)


@pytest.mark.parametrize("text", ["a..b", "[", "a]", "{x}", "a\\", ".[0]"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="not the path of a field"):
        path_of(text)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "boolean"),
        (-7, "integer"),
        (10**30, "integer"),
        (1.0, "number"),
        ("", "empty text"),
        ("0.0100", "decimal text"),
        ("-.5", "decimal text"),
        ("1.5e-7", "decimal text"),
        ("0012", "integer text"),
        ("-3", "integer text"),
        ("2026-01-31T10:00:00.123456Z", "time"),
        ("2026-01-31 10:00:00+01:00", "time"),
        ("2026-01-31", "text"),
        ("1.2.3", "text"),
        ("٣", "text"),
        ("KX-1.5", "text"),
        ("9" * 100, "text"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_the_kinds_of_values(value, kind):
    assert kind_of(value) == kind
    assert kind in JSON_TYPES


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=3), inside, max_size=4),
    max_leaves=10,
)


@given(st.lists(json_values, min_size=1, max_size=8))
def test_any_message_can_be_learned_and_every_one_counts(values):
    learner = ShapeLearner()
    learner.add([json.dumps(value).encode() for value in values], ["x"] * len(values), 0)
    found = learner.types()["x"]
    assert (found.messages, found.fields[""].values) == (len(values), len(values))
    shape = Shape("kalshi", "2026-01-31", 8, "", ["kalshi"], {"x": found})
    assert decode_shape(encode_shape(shape)) == shape


def test_counting_by_skeletons_gives_the_same_as_decoding_every_message():
    found = list(messages(12_000))
    assert learned(found) == learned(found, exact=True) == learned(found, block=137)


def test_of_the_skeleton_of_a_message_only_values_are_missing():
    assert skeletons([b'{"type":"trade","msg":{"price":"0.37","n":-12,"t":null}}', b"[true, 1.5]"]) == [
        b'{"typ":"tr","msg":{"pri":".","n":,"t":null}}',
        b"[tru,.]",
    ]
    assert skeletons([b'{"a":"\0"}', b"\0", b"[]"]) == [b'{"":""}', b"", b"[]"]


def test_messages_that_are_no_json_are_in_no_shape():
    learner = ShapeLearner()
    no_json = [b"", b"pong", b'{"a":NaN}', b'{"type":"x"', b"[" * 100_000, b"\xff"]
    no_json += [b'{"a":1E400,"b":NaN}', b'{"a":1E400,"\\ud800":1}', b'{"a":1E400,"\xed\xa0\x80":1}']
    learner.add([*no_json, b'{"a":1E400}'], [""] * (len(no_json) + 1), 0)
    found = learner.types()[""]
    assert (found.messages, set(found.fields)) == (1, {"", "a"})


def test_counts_and_first_lines():
    learner = ShapeLearner()
    learner.add([b'{"a":1}', b'{"a":"x","l":[1,null]}'] * 2, ["t", "t"] * 2, 10)
    found = learner.types()["t"]
    assert (found.messages, found.line) == (4, 11)
    shown = {path: (field.messages, field.line, field.values) for path, field in found.fields.items()}
    assert shown == {"": (4, 11, 4), "a": (4, 11, 4), "l": (2, 12, 2), "l[]": (2, 12, 4)}
    kinds = {kind: (one.count, one.line) for kind, one in found.fields["a"].kinds.items()}
    assert kinds == {"integer": (2, 11), "text": (2, 12)}


def test_an_object_with_many_keys_has_one_path_for_all_values():
    """Whether they come in one message or one after the other, and whatever was counted before."""
    number = MOST_KEYS * 3
    one_by_one = [{"type": "t", "at": {f"KEY{n}": {"bid": n}}} for n in range(number)]
    at_once = [{"type": "t", "at": {f"KEY{n}": {"bid": n} for n in range(number)}}]
    for found in (learned(one_by_one, block=10), learned(at_once), learned(one_by_one, exact=True)):
        assert set(found["t"].fields) == {"", "type", "at", "at{}", "at{}.bid"}
        assert found["t"].fields["at{}.bid"].kinds["integer"].count == number
        assert found["t"].fields["at{}"].messages == found["t"].messages


def test_a_shape_is_bounded():
    fields = [{"type": "t", **{f"o{n}": {f"f{m}": 1 for m in range(60)} for n in range(60)}}]
    found = learned(fields)["t"]
    assert (len(found.fields), found.more) == (MOST_FIELDS + 1, True)
    deep: object = 1
    for _ in range(DEEPEST * 2):
        deep = {"in": deep}
    assert max(map(len, map(path_of, learned([{"type": "t", "at": deep}])["t"].fields))) == DEEPEST
    types = learned([{"type": f"T{n}"} for n in range(MOST_TYPES + 5)])
    assert (len(types), types[OTHERS].messages) == (MOST_TYPES + 1, 5)


def test_all_types_together_have_only_so_many_fields_and_none_has_a_name_without_end():
    """A collector reads the shapes of a week, and an exchange may send names and types of any kind."""
    wide = [{"type": f"T{n}", **{f"o{n}": {f"f{m}": 1 for m in range(60)} for n in range(16)}} for n in range(40)]
    found = learned(wide)
    fields = [len(one.fields) for one in found.values()]
    assert (len(found), sum(fields), min(fields)) == (40, MOST_FIELDS_OF_ALL + fields.count(1), 1)
    assert [one.messages for one in found.values()] == [1] * 40
    # What became one path gives its room back.
    maps = [{"type": f"T{n}", "at": {f"{n}k{m}": {"bid": 1} for m in range(60)}} for n in range(700)]
    assert not any(one.more for one in learned(maps[:100]).values())
    many = [{"type": "t", "at": {f"{n}k{m}": {"bid": 1} for m in range(60)}} for n in range(700)]
    assert not learned(many)["t"].more
    long = learned([{"type": "t", "a" * LONGEST_PATH: {"b": 1}}])["t"]
    assert (set(long.fields), long.more) == ({"", "type", "a" * LONGEST_PATH}, True)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{}", "is not a shape: Object missing required field `format`"),
        (b'{"format":2}', "has the format 2, which this version does not know; use a newer one"),
        (b'{"format":1}', "is not a shape: Object missing required field `feed`"),
        (b"nothing", "is not a shape: "),
    ],
)
def test_what_is_no_shape_is_refused(data, text):
    with pytest.raises(ValueError, match="^" + text):
        decode_shape(data)
