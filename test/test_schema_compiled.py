"""ssmd/schema/compiled.py, forms.py, rules.py, variants.py and patterns.py: schemas as types of msgspec."""

import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from schemas import broken, document, random_schema

from ssmd.errors import ConfigError
from ssmd.exchange.kalshi.inspector import MessageHead
from ssmd.schema.check import make_checker
from ssmd.schema.compiled import Compiled, compile_schema
from ssmd.schema.judge import Judge, Reason, judge_of

KALSHI = json.loads(Path(__file__).parent.parent.joinpath("conf/schemas/kalshi.json").read_bytes())
DELTA = (
    b'{"type":"orderbook_delta","sid":1,"seq":2,"msg":{"market_ticker":"A","market_id":"31185e50-0db4-4c57-b95d-0123f5c0'
    b'7ec8","price_dollars":"0.2900","delta_fp":"-32.00","side":"yes","ts":"2026-08-11T01:15:15.6Z","ts_ms":17864}}\n'
)
SNAPSHOT = (
    b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"A","yes_dollars_fp":[["0.01","275.00"],'
    b'["0.02","1.00"]]}}\n'
)


def compiled(schema: Any, head: type[msgspec.Struct] | None = None) -> Compiled:
    made = compile_schema(schema, head)
    assert made is not None
    return made


def accepts(made: Compiled, payload: bytes) -> bool:
    """Whether a message is found valid without the judge."""
    _, refused = made.decode_all([payload], lambda payload: None)
    return made.patterns_match() and not refused


def random_cases(seed: int) -> tuple[dict[str, Any], Judge, list[bytes]]:
    """Return a schema, its judge, and documents."""
    random = Random(seed)
    while True:
        schema = random_schema(random)
        try:
            judge = judge_of(schema, "the schema")
            break
        except ConfigError:
            continue
    payloads = []
    for _ in range(40):
        is_ascii = random.random() < 0.5
        text = json.dumps(document(random, schema, schema, random.choice("abcd")), ensure_ascii=is_ascii).encode()
        while random.random() < 0.5:
            text = broken(random, text)
        payloads.append(text)
    return schema, judge, payloads


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_what_is_accepted_is_valid_and_the_verdict_is_always_that_of_the_judge(start: int) -> None:
    accepted = 0
    for seed in range(start, start + 50):
        schema, judge, payloads = random_cases(seed)
        valid = [judge.reason(payload) is None for payload in payloads]
        made = compile_schema(schema)
        for payload, is_valid in zip(payloads, valid, strict=True):
            if made is not None and accepts(made, payload):
                accepted += 1
                # What is skipped may be too large a number, or not be UTF-8: then it is no JSON, and counted as such.
                assert is_valid or judge.reason(payload) == Reason("", "is not valid JSON"), (seed, payload)
        found = {each.index for each in make_checker(json.dumps(schema).encode(), "schema").check(payloads)}
        assert found == {index for index, is_valid in enumerate(valid) if not is_valid}, seed
    assert accepted > 200


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_what_is_accepted_has_the_head_that_the_dialect_would_have_read(start: int) -> None:
    read_head = msgspec.json.Decoder(MessageHead).decode
    compared = 0
    for seed in range(start, start + 50):
        schema, _, payloads = random_cases(seed)
        made = compile_schema(schema, MessageHead)
        if made is None:
            continue
        decoded, refused = made.decode_all(payloads, lambda payload: None)
        for index in {*range(len(payloads))} - {*refused}:
            head, found = read_head(payloads[index]), decoded[index]
            assert (found.type, found.sid, found.seq, found.id) == (head.type, head.sid, head.seq, head.id)
            compared += 1
    assert compared > 200


def test_a_field_of_the_head_is_never_another_type_than_the_head_says() -> None:
    texts: dict[str, Any] = {"type": "object", "properties": {"sid": {"type": "string"}}}
    assert compile_schema(texts, MessageHead) is None
    made = compiled({"type": "object", "properties": {"sid": {"type": "integer"}}}, MessageHead)
    assert accepts(made, b'{"sid":5}')
    assert not accepts(made, b'{"sid":-5}')


@pytest.mark.parametrize("head", [None, MessageHead])
def test_kalshis_messages_need_no_judge(head: type[msgspec.Struct] | None) -> None:
    made = compiled(KALSHI, head)
    assert accepts(made, DELTA)
    assert accepts(made, SNAPSHOT)
    for right, wrong in ((b'"-32.00"', b'"x"'), (b'"yes"', b'"maybe"'), (b'"0.2900"', b"0.29"), (b'"seq":2,', b"")):
        assert not accepts(made, DELTA.replace(right, wrong))
    assert not accepts(made, SNAPSHOT.replace(b'"1.00"', b'"1,00"'))
    assert not accepts(made, b'{"type":"unheard_of"}')


def test_a_message_whose_pattern_does_not_match_is_found_among_others() -> None:
    made = compiled(KALSHI)
    bad = DELTA.replace(b'"-32.00"', b'"-32,00"')
    payloads = [*[DELTA, SNAPSHOT] * 16, bad, DELTA, *[SNAPSHOT] * 30, b"{"]
    _, refused = made.decode_all(payloads, lambda payload: None)
    assert refused == [64]
    assert not made.patterns_match()
    assert made.patterns_match()  # The messages since the last call: none.
    found = made.doubtful(payloads)
    assert {32, 64} < {*found} < {*range(32, 65)}
    assert made.doubtful(payloads[:32]) == []


def test_an_object_with_patterns_is_checked_wherever_it_is() -> None:
    price = {"type": "string", "pattern": "^[0-9]+$"}
    inner = {"type": "object", "properties": {"price": price}}
    level = {"type": "object", "properties": {"price": price, "next": inner}}
    made = compiled({"type": "object", "properties": {"levels": {"type": "array", "items": level}}})
    assert accepts(made, b'{"levels":[{"price":"1"},{},{"price":"2","next":{"price":"3"}}]}')
    assert not accepts(made, b'{"levels":[{"price":"1"},{"price":"x"}]}')
    assert not accepts(made, b'{"levels":[{"price":"1"},{"price":"2","next":{"price":"x"}}]}')
    assert accepts(made, b"{}")


def test_no_pattern_is_given_to_python() -> None:
    """Python's `$` matches before a newline, and JSON Schema's does not; and this pattern would take for ever."""
    made = compiled({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    assert accepts(made, b'{"a":"aa"}')
    assert not accepts(made, b'{"a":"aa\\n"}')
    assert not accepts(made, b'{"a":"' + b"a" * 50_000 + b'b"}')


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"type": "string"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"type": "object", "additionalProperties": False},
        {"type": "object", "properties": {"a": {"not": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"multipleOf": 2}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"type": "object", "properties": {"a": {"$ref": "other.json"}}},
        {"type": "object", "properties": {"a": {"minimum": 1.5, "type": "integer"}}},
        {"type": "object", "properties": {"a": False}},
        {"type": "object", "properties": {'"': {"type": "string"}}},
        {"oneOf": [{"properties": {"type": {"const": "a"}}}, {"properties": {"type": {"const": "a"}}}]},
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
    ],
)
def test_what_cannot_be_expressed_exactly_is_left_to_the_judge(schema: Any) -> None:
    assert compile_schema(schema) is None


def test_one_variant_that_cannot_be_expressed_does_not_spoil_the_others() -> None:
    variants: list[Any] = [
        {"type": "object", "properties": {"type": {"const": kind}, "a": {"multipleOf": 2} if kind == "c" else {}}}
        for kind in "abc"
    ]
    made = compiled({"required": ["type"], "oneOf": variants})
    assert [accepts(made, b'{"type":"%b"}' % kind) for kind in (b"a", b"b", b"c", b"d")] == [True, True, False, False]


def test_the_constant_is_demanded_also_where_there_is_only_one_variant() -> None:
    made = compiled({"oneOf": [{"type": "object", "required": ["type"], "properties": {"type": {"const": "a"}}}]})
    assert accepts(made, b'{"type":"a"}')
    assert not accepts(made, b"{}")
    assert not accepts(made, b'{"type":"b"}')


def test_a_schema_that_grows_without_end_is_left_to_the_judge() -> None:
    """Each level refers to the next one twice, so the whole has 2^40 places."""
    defs: dict[str, Any] = {
        f"d{level}": {"type": "object", "properties": {key: {"$ref": f"#/$defs/d{level + 1}"} for key in "ab"}}
        for level in range(40)
    }
    assert compile_schema({"$ref": "#/$defs/d0", "type": "object", "$defs": defs | {"d40": {"type": "string"}}}) is None
