"""ssmd/schema/check.py and judge.py: messages against a JSON Schema, and definitions that are none."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from process import ROOT

from ssmd.errors import ConfigError
from ssmd.schema.check import Violation, make_checker
from ssmd.schema.steps import MOST_STEPS, most_steps

TRADE = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"const": "trade"},
        "price": {"type": "string", "pattern": "^[0-9]+$"},
        "size": {"type": "integer"},
    },
}
BOOK = {
    "required": ["type", "levels"],
    "properties": {"type": {"const": "book"}, "levels": {"items": {"type": "string"}}},
}


def checked(schema: object, *payloads: bytes) -> list[Violation]:
    return make_checker(json.dumps(schema).encode(), "schemas/x.json").check(list(payloads))


def test_a_violation_says_which_message_where_and_why() -> None:
    good = b'{"type":"trade","price":"1","size":2}\n'
    assert checked(TRADE, good, b'{"type":"trade","size":"2"}', good, b'{"type":"trade","price":"x"}') == [
        Violation(1, "trade", "size", 'is not of type "integer"'),
        Violation(3, "trade", "price", 'does not match "^[0-9]+$"'),
    ]


def test_a_missing_field_is_the_path() -> None:
    schema = {"properties": {"msg": {"required": ["a"]}}}
    assert checked(schema, b'{"msg":{}}') == [Violation(0, "", "msg.a", "is missing")]


def test_of_several_forms_the_one_that_the_message_has_is_named() -> None:
    schema = {"oneOf": [TRADE, {"$ref": "#/$defs/book"}], "$defs": {"book": BOOK}}
    assert checked(schema, b'{"type":"book","levels":["1",2]}') == [
        Violation(0, "book", "levels[1]", 'is not of type "string"')
    ]
    sided = {"properties": {"type": {"const": "trade"}, "side": {"enum": ["buy", "sell"]}}}
    other = {"properties": {"type": {"not": {"enum": ["trade", "book"]}}}}
    assert checked({"anyOf": [sided, BOOK, other]}, b'{"type":"trade","side":"x"}') == [
        Violation(0, "trade", "side", 'is not one of "buy" or "sell"')
    ]
    [violation] = checked(schema, b'{"type":"other"}')
    assert (violation.type, violation.path) == ("other", "")
    assert "oneOf" in violation.reason


def test_no_reason_holds_a_value_of_the_message() -> None:
    schema = {
        "properties": {
            "a": {"type": "integer"},
            "b": {"pattern": "^x$"},
            "c": {"enum": [1]},
            "d": {"maximum": 3},
            "e": {"not": {"type": "string"}},
            "f": {"minItems": 3},
            "g": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "h": False,
            "i": {"uniqueItems": True},
            "j": {"contains": {"const": 1}},
            "k": {"multipleOf": 7},
        }
    }
    values = dict.fromkeys("abceghk", "canary") | {"d": 778899, "f": ["canary"], "i": ["canary"] * 2, "j": ["canary"]}
    for name, value in values.items():
        for violation in checked(schema, json.dumps({name: value}).encode()):
            assert violation.path == name
            assert "canary" not in violation.reason
            assert "778899" not in violation.reason


@pytest.mark.parametrize(
    "payload",
    [b"", b"pong", b"{", b'{"a":1}x', b'{"a":"\xff"}', b'"\\ud800"', b"NaN", b"[" * 10_000, b"[" * 300 + b"]" * 300],
)
def test_what_is_not_json_is_a_violation(payload: bytes) -> None:
    assert checked(True, payload) == [Violation(0, "", "", "is not valid JSON")]


def test_a_number_beyond_every_float_counts_as_the_largest() -> None:
    for kind in ("number", "integer"):
        assert checked({"properties": {"a": {"type": kind}}}, b'{"a":1e400}', b'{"a":-1e400}', b'{"a":1e-400}') == []
    [violation] = checked({"properties": {"a": {"maximum": 5}}}, b'{"a":1e400}', b'{"a":-1e400}')
    assert (violation.index, violation.path) == (0, "a")


def test_integers_are_as_json_schema_says() -> None:
    schema = {"properties": {"a": {"type": "integer"}}}
    assert [each.index for each in checked(schema, b'{"a":1.0}', b'{"a":1e3}', b'{"a":1.5}', b'{"a":true}')] == [2, 3]


def test_types_may_be_found_elsewhere() -> None:
    def of_channel(payload: bytes) -> str:
        return str(json.loads(payload)["channel"])

    checker = make_checker(b'{"required":["x"]}', "schemas/x.json", of_channel)
    assert [each.type for each in checker.check([b'{"channel":"book"}', b'{"type":"trade"}', b"{}"][:1])] == ["book"]


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 5000, "is not JSON"),
        (b'{"not":' * 300 + b"{}" + b"}" * 300, "Recursion limit reached; correct it"),
        (b"[]", 'is not of types "boolean", "object"; correct it'),
        (b'{"type":"strin"}', "at `type`: is not valid under any of the schemas"),
        (b'{"properties":{"a":{"type":["nul"]}}}', "at `properties.a.type`: is not valid under any"),
        (b'{"$ref":"https://example.com/x.json"}', "cannot fetch https://example.com/x.json; put what it names under"),
        (b'{"$ref":"file:///etc/passwd"}', "cannot fetch file:///etc/passwd; put what it names under"),
        (b'{"$ref":"other.json"}', "put what it names under `$defs` of the same file: nothing is fetched"),
        (b'{"$ref":"#/$defs/none"}', "Pointer '/$defs/none' does not exist; put what it names under"),
        (b'{"$schema":"https://example.com/draft"}', "Unknown meta-schema"),
        (b'{"properties":{"a":{"pattern":"("}}}', "at `properties.a.pattern`: a pattern may have neither look-around"),
        (b'{"pattern":"(?=a)b"}', "at `pattern`: a pattern may have neither look-around"),
        (b'{"pattern":"((a{1000}){1000}){1000}"}', "at `pattern`: a pattern may have neither look-around"),
    ],
)
def test_a_definition_that_is_no_schema_is_one_clear_error(definition: bytes, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make_checker(definition, "schemas/x.json")
    [line] = str(raised.value).splitlines()
    assert line.startswith("schemas/x.json is not ")
    assert problem in line


def test_a_schema_that_refers_to_itself_is_fine() -> None:
    tree = {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}
    assert [each.index for each in checked(tree, b"[[],[[]]]", b"[[1]]")] == [1]
    assert checked({"$ref": "#"}, b"1") == []


def doubled(keyword: str, refer: Callable[[int], Any]) -> Any:
    """Return a schema in which each of 40 parts refers to the next one twice."""
    parts = {f"p{at}": {"$anchor": f"p{at}", keyword: [refer(at + 1), refer(at + 1)]} for at in range(40)}
    return {**refer(0), "$defs": {**parts, "p40": {"$anchor": "p40", "type": "string"}}}


@pytest.mark.parametrize(
    ("keyword", "refer"),
    [
        ("anyOf", lambda at: {"$ref": f"#/$defs/p{at}"}),
        ("oneOf", lambda at: {"$ref": f"#p{at}"}),
        ("allOf", lambda at: {"not": {"if": {"$ref": f"#/$defs/p{at}"}}}),
        ("anyOf", lambda at: {"properties": {"a": {"$ref": f"#/$defs/p{at}"}}}),
        ("anyOf", lambda at: {"items": {"$ref": f"#/$defs/p{at}"}}),
        ("anyOf", lambda at: {"dependentSchemas": {"a": {"$dynamicRef": f"#p{at}"}}}),
    ],
    ids=["anyOf", "anchor", "not", "properties", "items", "dependent"],
)
def test_alternatives_that_multiply_are_an_error_of_the_schema(keyword, refer):
    """One number would be looked at for hours, and the collector would stand still."""
    with pytest.raises(ConfigError, match="one value may take more than a trillion steps"):
        checked(doubled(keyword, refer), b"1")


def test_parts_that_are_about_different_fields_do_not_multiply():
    parts = {
        f"p{at}": {"properties": {name: {"$ref": f"#/$defs/p{at + 1}"} for name in "abcdefgh"}} for at in range(40)
    }
    schema = {"$ref": "#/$defs/p0", "$defs": {**parts, "p40": {"type": "string"}}}
    assert checked(schema, b'{"a":{"b":1}}') == []
    tree = {"oneOf": [{"type": "string"}, {"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]}
    assert most_steps(tree) < MOST_STEPS / 100


@pytest.mark.parametrize("name", ["kalshi", "kalshi-v2"])
def test_the_schemas_of_this_repository_take_few_steps(name):
    schema = json.loads((ROOT / "conf" / "schemas" / f"{name}.json").read_bytes())
    assert most_steps(schema) < MOST_STEPS / 100


def test_no_pattern_and_no_text_takes_for_ever() -> None:
    """With a regular expression that backtracks, this would take longer than the universe has existed."""
    payload = json.dumps({"a": "a" * 100_000 + "b"}).encode()
    [violation] = checked({"properties": {"a": {"pattern": "^(a+)+$"}}}, payload)
    assert violation.path == "a"
