"""ssmd/schema/explaining.py and meant.py: the first thing that is wrong with a message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from schemas import broken, document, random_schema

from ssmd.schema.explaining import path_of
from ssmd.schema.judge import UNKNOWN, judge_of
from ssmd.schema.validators import MOST_KEPT

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def reason(schema: Any, value: Any) -> tuple[str, str] | None:
    found = judge_of(schema, "x.json").reason(json.dumps(value).encode())
    return None if found is None else (found.path, found.text)


def errors(found: Any) -> Iterator[str]:
    """Yield where jsonschema-rs finds faults, in all alternatives."""
    for error in found:
        more = [error.kind.property] if error.kind.name == "required" else []
        yield path_of([*error.instance_path, *more])
        for inner in getattr(error.kind, "context", ()):
            yield from errors(inner)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_named_is_one_of_the_faults_that_jsonschema_rs_finds(seed):
    random = Random(seed)
    explained = 0
    for _ in range(60):
        schema = random_schema(random)
        judge, validator = judge_of(schema, "x.json"), jsonschema_rs.validator_for(schema)
        for _ in range(30):
            payload = broken(random, json.dumps(document(random, schema, schema, random.choice("abcd"))).encode())
            found = judge.reason(payload)
            if found is None or "not valid JSON" in found.text or "cannot be checked" in found.text:
                continue
            assert found.text != UNKNOWN
            # jsonschema-rs leaves empty names out of its paths.
            path = re.sub(r"\.(?=[.\[]|$)|^\.", "", found.path)
            assert path in set(errors(validator.iter_errors(json.loads(payload))))
            explained += 1
    assert explained > 100


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_alternatives_that_are_nested_in_the_message_take_no_time(keyword):
    """To list the faults of all of them would take longer than the universe has existed."""
    forms = [{"properties": {"left": {"$ref": "#"}, "op": {"const": op}}, "required": ["op"]} for op in "+-*/"]
    value: Any = {"op": "?"}
    for _ in range(50):
        value = {"left": value, "op": "?"}
    assert reason({keyword: forms}, value) == ("", f"is not valid under any of the schemas in '{keyword}'")
    value = {"op": "?"}
    for _ in range(20):
        value = {"left": value, "op": "+"}
    path = ".".join(["left"] * 20)
    assert reason({keyword: forms}, value) == (path, f"is not valid under any of the schemas in '{keyword}'")


def test_a_long_message_is_explained_as_a_short_one_is():
    item = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    forms = [{"properties": {"type": {"const": f"t{at}"}, "levels": {"items": item}}} for at in range(50)]
    long = {"type": "t7", "levels": [*["1"] * 200_000, *[{"a": 1}] * 200_000]}
    expected = "is not valid under any of the schemas in 'anyOf'"
    assert reason({"anyOf": forms}, long) == ("levels[200000]", expected)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"required": ["x"]}}}, {}, ("x", "is missing")),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, ("b", "is missing")),
        ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}, ("b", "is missing")),
        ({"additionalProperties": {"type": "string"}, "properties": {"a": {}}}, {"a": 1, "b": 1}, ("b", "string")),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 1}, ("b", "is not allowed")),
        ({"prefixItems": [{}, {"type": "string"}], "items": False}, [1, 2], ("[1]", "string")),
        ({"prefixItems": [{}], "items": False}, [1, 2], ("[1]", "is not allowed")),
        ({"$schema": DRAFT_7, "items": [{}, {"type": "string"}]}, [1, 2], ("[1]", "string")),
        ({"$schema": DRAFT_7, "items": [{}], "additionalItems": False}, [1, 2], ("[1]", "is not allowed")),
        (
            {
                "$schema": DRAFT_7,
                "properties": {"a": {"$ref": "#/definitions/a", "type": "string"}},
                "definitions": {"a": {"minimum": 3}},
            },
            {"a": 1},
            ("a", "is less than the minimum of 3"),
        ),
        ({"$schema": DRAFT_7, "prefixItems": 5, "items": {"type": "string"}}, [1], ("[0]", "string")),
        ({"$schema": DRAFT_7, "dependentSchemas": [1], "type": "string"}, 1, ("", "string")),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "null"}}]}, [0], ("[0]", "null")),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}, ("", "valid under more than one of")),
        ({"properties": {"a~b/c %": {"items": {"type": "null"}}}}, {"a~b/c %": [1]}, ("a~b/c %[0]", "null")),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, ("", "is longer than 1 character")),
        ({"unevaluatedProperties": False}, {"ab": 1}, ("", UNKNOWN)),
        ({"patternProperties": {"a": {"type": "null"}}}, {"ab": 1}, ("", UNKNOWN)),
        ({"$id": "https://e.com/x", "items": {"$ref": "#/$defs/i"}, "$defs": {"i": False}}, [1], ("[0]", "not all")),
        ({"items": {"$ref": "#i"}, "$defs": {"i": {"$anchor": "i", "type": "null"}}}, [1], ("[0]", UNKNOWN)),
        ({"$defs": {"t": {"$ref": "#/$defs/t"}}, "not": {}}, 1, ("", "")),
    ],
)  # fmt: skip
def test_every_kind_of_keyword_leads_to_what_is_wrong(schema, value, expected):
    path, text = reason(schema, value) or ("", "valid")
    assert path == expected[0]
    assert expected[1] in text


def test_of_a_large_schema_only_a_part_is_kept_in_memory():
    """Each validator takes some kilobytes; the result is the same when one is made again."""
    fields = {f"f{number}": {"type": "integer"} for number in range(300)}
    types = [{"properties": {"type": {"const": f"t{number}"}, **fields}} for number in range(20)]
    judge = judge_of({"anyOf": types}, "x.json")
    for number in (*range(20), *range(20)):
        message = {"type": f"t{number}", **dict.fromkeys(fields, 1), "f299": "x"}
        assert judge.reason(json.dumps(message).encode()) == ("f299", 'is not of type "integer"')
    assert len(judge._explainer._parts._kept) == MOST_KEPT


def many(more: Any = None) -> Any:
    """Return a schema with more alternatives than are tried. `more`: what else it demands."""
    types = [{"properties": {"type": {"const": f"t{number}"}, "a": {"type": "integer"}}} for number in range(1100)]
    return {"anyOf": [{"required": ["type"], **each} for each in types], **(more or {})}


@pytest.mark.parametrize("number", [0, 1099])
def test_the_alternative_that_is_meant_may_be_one_of_very_many(number):
    assert reason(many(), {"type": f"t{number}", "a": "x"}) == ("a", 'is not of type "integer"')


def test_where_there_are_too_many_alternatives_to_try_no_wrong_reason_is_named():
    """The last alternative holds; what does not hold is something else, which is not looked into."""
    one_of = {"oneOf": [{"required": ["b"]}, {"required": ["c"]}]}
    assert reason(many(one_of), {"type": "t1099", "a": 1}) == ("", "is not valid under any of the schemas in 'oneOf'")
    some = {"oneOf": many()["anyOf"], "not": {"required": ["b"]}}
    assert reason(some, {"type": "x", "a": 1}) == ("", UNKNOWN)
    assert reason(many(), {"a": 1}) == ("", "is not valid under any of the schemas in 'anyOf'")


@pytest.mark.parametrize("draft", [DRAFT_7, "https://json-schema.org/draft/2019-09/schema"])
def test_prefix_items_mean_nothing_in_older_drafts(draft):
    schema = {"$schema": draft, "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}
    assert reason(schema, [1, "x"]) == ("[1]", 'is not of type "integer"')
    assert reason(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}, [1, 2]) == (
        "[0]",
        'is not of type "string"',
    )
