"""`ssmd shape`: the shape of recorded days, and a JSON Schema that their messages satisfy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drifting import messages
from hypothesis import given
from hypothesis import strategies as st
from process import ssmd
from recorded import GENERIC, make_day, write_day

from ssmd.exchange.generic.description import Description, Paths, Pick
from ssmd.exchange.generic.reader import GenericReader
from ssmd.field_path import FieldPath
from ssmd.schema.check import make_checker
from ssmd.schema.compiled import compile_schema
from ssmd.shape.json_schema import json_schema
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.walk import MOST_KEYS
from ssmd.store.line import LineEncoder

DAYS = ["2026-01-01", "2026-01-02"]


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    """A sealed day and one that is not, of 3,000 messages each."""
    storage = tmp_path_factory.mktemp("data")
    dialect = {**GENERIC, "description": {"paths": {"type": "type"}}}
    for day, sealed in zip(DAYS, (True, False), strict=True):
        payloads = [(1, json.dumps(one).encode()) for one in messages(3000)]
        write_day(storage, day, (0, "started", dialect), (0, "connected", {}), *payloads, sealed=sealed)
    return storage


def test_the_shape_is_that_beside_a_sealed_day_or_is_read(storage):
    beside = json.loads((storage / DAYS[0] / "kalshi.shape.json").read_bytes())["types"]
    for day in DAYS:
        done = ssmd("shape", "--json", storage / day)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == {"format": 1, "types": beside}
    both = json.loads(ssmd("shape", "--json", "--type", "trade", storage).stdout)["types"]
    assert {name: one["messages"] for name, one in both.items()} == {"trade": 600}


def test_people_get_a_table_for_each_type(storage):
    done = ssmd("shape", "--type", "trade", storage / DAYS[0])
    title, heads, *rows = done.stdout.splitlines()
    assert (title, heads.split()) == ("trade: 300 messages", ["field", "in", "first", "line", "kinds"])
    assert ["msg.settled", "100", "%", "10", "null"] in [row.split() for row in rows]


def test_the_messages_satisfy_the_schema_that_is_made_of_them(storage, tmp_path):
    path = tmp_path / "made.json"
    path.write_text(ssmd("shape", "--schema", storage).stdout)
    done = ssmd("check", "--schema", path, storage)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_message_with_the_fields_of_another_type_does_not_satisfy_it(storage, tmp_path):
    path, mixed = tmp_path / "made.json", tmp_path / "mixed.jsonl"
    done = ssmd("shape", "--schema", storage)
    assert done.stderr == ""
    path.write_text(done.stdout)
    trade = next(one for one in messages(20) if one["type"] == "trade")
    encoder = LineEncoder("mixed")
    sent = [trade, {**trade, "type": "quote"}, {**trade, "type": "new"}, {"seq": 1, "msg": trade["msg"]}]
    mixed.write_bytes(b"".join(encoder.encode(10**18, [json.dumps(one).encode()]) for one in sent))
    done = ssmd("check", "--schema", path, mixed)
    assert done.returncode == 65
    faults = [line.partition(": ")[2] for line in done.stdout.splitlines() if ".jsonl:" in line]
    assert faults == [
        "quote: msg.bids is missing",
        "new: is not valid under any of the schemas in 'anyOf'",
        "without a type: is not valid under any of the schemas in 'anyOf'",
    ]


def test_the_checker_compiles_the_schema(storage):
    """But not the form of a quote, which has an object whose keys are data."""
    schema = json.loads(ssmd("shape", "--schema", storage).stdout)
    assert sorted(compile_schema(schema).tags) == ["note", "trade"]


def test_where_types_are_only_parts_of_a_text_a_note_says_so(tmp_path):
    dialect = {**GENERIC, "description": {"paths": {"type": {"path": "at.topic", "split": ".", "part": 1}}}}
    payloads = [(1, b'{"at":{"topic":"trade.BTC"}}'), (2, b'{"at":{"topic":"book.BTC"},"a":1}')]
    write_day(tmp_path, DAYS[0], (0, "started", dialect), (0, "connected", {}), *payloads)
    done = ssmd("shape", "--schema", tmp_path)
    assert done.stderr == (
        "ssmd: note: the type of a message is not the whole text of one field (at.topic), so the schema does not tie a "
        "type to its form, and a faulty message may pass as one of another type; add the types to the schema by hand "
        "(docs/schemas.md)\n"
    )
    assert "trade.BTC" not in done.stdout
    assert ssmd("shape", tmp_path).stderr == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e9, 1e9) | st.sampled_from(["", "1.5", "x"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "", "a.b"]), inside),
    max_leaves=8,
)


@given(st.lists(json_values, min_size=1, max_size=8))
def test_any_messages_satisfy_the_schema_that_is_made_of_them(values):
    payloads = [json.dumps(value).encode() for value in values]
    for path in ["a"], ["a", "b"], [""], ["a.b"]:
        reader = GenericReader(Description(paths=Paths(type=Pick((FieldPath("", tuple(path)),)))))
        learner = ShapeLearner(exact=True)
        learner.add(payloads, [type for type, _ in reader.read(payloads)], 0)
        for type_path in (), tuple(path):
            schema = json.dumps(json_schema(learner.types(), type_path)).encode()
            assert list(make_checker(schema, "made").check(payloads)) == []


def test_a_type_within_an_object_is_tied_to_its_form_and_messages_without_a_type_have_none_that_is_known():
    sent: list[Any] = [{"arg": {"channel": "a"}, "x": 1}, {"arg": {"channel": "b"}, "y": 1}, {"event": "subscribed"}]
    payloads = [json.dumps(value).encode() for value in sent]
    learner = ShapeLearner(exact=True)
    learner.add(payloads, ["a", "b", ""], 0)
    checker = make_checker(json.dumps(json_schema(learner.types(), ("arg", "channel"))).encode(), "made")
    wrong = [{**sent[0], "x": "1"}, {"arg": {"channel": "a"}, "y": 1}, {**sent[2], "arg": {"channel": "b"}}]
    found = checker.check([*payloads, *(json.dumps(value).encode() for value in wrong)])
    assert [violation.index for violation in found] == [3, 4, 5]


def test_objects_whose_keys_are_data_have_one_schema_for_all_values():
    payloads = [json.dumps({"at": {f"K{n}": {"bid": 1}}}).encode() for n in range(MOST_KEYS + 9)]
    learner = ShapeLearner(exact=True)
    learner.add(payloads, [""] * len(payloads), 0)
    [form] = json_schema(learner.types())["anyOf"]
    inner = {"type": "object", "properties": {"bid": {"type": "integer"}}, "required": ["bid"]}
    assert form["properties"]["at"] == {"type": "object", "additionalProperties": inner}


def test_a_path_without_data_is_named(tmp_path):
    done = ssmd("shape", tmp_path)
    assert (done.returncode, done.stderr) == (
        64,
        f"ssmd: {tmp_path}: no data here; name a storage folder, a day or a file\n",
    )


def test_a_feed_that_is_not_here_is_named_with_those_that_are(tmp_path):
    for feed in ("kalshi", "kraken"):
        make_day(tmp_path, "2026-01-01", feed=feed, per_hour=1)
    done = ssmd("shape", "--feed", "kalsi", tmp_path)
    said = f"ssmd: {tmp_path}: no data of the feed kalsi here; there is data of kalshi, kraken\n"
    assert (done.returncode, done.stderr) == (64, said)
    done = ssmd("shape", "--feed", "kalsi", tmp_path / "2026-01-01" / "kraken.jsonl")
    assert (done.returncode, done.stderr.endswith("of the feed kalsi here; there is data of kraken\n")) == (64, True)


def test_messages_without_a_type_are_called_so(tmp_path):
    write_day(tmp_path, "2026-01-01", (0, "started", GENERIC), (0, "connected", {}), (1, b"[1]"))
    assert ssmd("shape", tmp_path).stdout.startswith("without a type: 1 message\n")
