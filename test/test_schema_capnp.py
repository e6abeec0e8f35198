"""ssmd/schema/capnp.py: the JSON Schema of a .capnp file accepts what pycapnp can make a message of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import capnp
import pytest

from ssmd.schema.check import Violation, make_checker
from ssmd.schema.definition import Definition, json_schema_of

TEXT = """@0xbf5147cbbecf40c1;
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("feed");
enum Side { yes @0; no @1; takerAtCross @2; }
const size :Int32 = 3;
struct OrderbookDelta {
  type @0 :Text;
  small @1 :Int8;
  unsigned @2 :UInt16;
  large @3 :Int64;
  largest @4 :UInt64;
  single @5 :Float32;
  double @6 :Float64;
  flag @7 :Bool;
  raw @8 :Data;
  side @9 :Side;
  inner @10 :Inner;
  levels @11 :List(List(Text));
  inners @12 :List(Inner);
  sides @13 :List(Side);
  nothing @14 :Void;
  pair :group { first @15 :Text; second @16 :Int32; }
  way :union { byName @17 :Text; byNumber @18 :Int32; }
  boxed @21 :Box(Text);
  struct Inner { avg60sData @0 :Text; whole @1 :OrderbookDelta; }
  union { one @19 :Text; other @20 :Int32; }
}
struct Box(T) { value @0 :T; }
"""
VALUES: list[Any] = [
    *(True, False, 0, 1, -1, 127, 128, 65535, 65536, 2**63 - 1, 2**63, 2**64, 1.0, 1.5, -0.5),
    *("", "1", "x", "yes", "maybe", "takerAtCross", "AAA="),
    *([], [1], ["x"], ["yes"], [["0.5", "1"]], [["0.5", 1]], [{}], [{"avg60sData": "1"}], [{"avg60sData": 1}]),
    *({}, {"avg60sData": "x"}, {"avg60sData": 1}, {"first": "x", "second": 2}, {"second": "x"}),
    *({"whole": {"inner": {}}}, {"whole": {"small": "x"}}, {"byName": "x"}, {"byNumber": "x"}),
]
FIELDS = [
    "small", "unsigned", "large", "largest", "single", "double", "flag", "side", "inner", "levels", "inners", "sides",
    "pair", "way", "one", "other",
]  # fmt: skip
"""Those for which pycapnp makes a message of a value of JSON. For the others it has no such mapping."""


def verdicts(text: str, *messages: object) -> list[Violation]:
    definition = Definition("schemas/feed.capnp", "capnp", text.encode())
    checker = make_checker(json_schema_of(definition), definition.name)
    return checker.check([json.dumps(message).encode() for message in messages])


@pytest.fixture(scope="module")
def struct(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("capnp") / "feed.capnp"
    path.write_text(TEXT)
    capnp.remove_import_hook()
    return capnp.load(str(path), imports=[str(Path(capnp.__file__).parent.parent)]).OrderbookDelta


def accepts(struct: Any, message: dict[str, Any]) -> bool:
    """Return whether pycapnp makes a message of this."""
    try:
        struct.new_message(**message)
    except (capnp.KjException, AttributeError, OverflowError, TypeError, ValueError):
        return False
    return True


KNOWN = {"inner": {"avg60sData", "whole"}, "pair": {"first", "second"}, "way": {"byName", "byNumber"}}
"""The fields of those that are an object. What pycapnp refuses for a field that is not described is left out here."""
LARGE = [("single", 2**64), ("double", 2**64)]
"""Numbers that pycapnp does not take as a double, though they are one."""


def test_it_accepts_what_can_be_made_a_message(struct: Any) -> None:
    values = [
        (field, value)
        for field in FIELDS
        for value in VALUES
        if (field, value) not in LARGE
        and not (field in KNOWN and isinstance(value, dict) and not value.keys() <= KNOWN[field])
    ]
    messages = [{"type": "orderbook_delta", field: value} for field, value in values]
    refused = {violation.index for violation in verdicts(TEXT, *messages)}
    differ = [value for index, value in enumerate(values) if (index in refused) == accepts(struct, messages[index])]
    # A value of an enum has to be its name here.
    assert differ == [("side", number) for number in VALUES if type(number) is int and 0 <= number < 2**16]
    assert len(values) / 10 < len(refused) < len(values)


def test_names_with_underscores_are_those_in_camel_case() -> None:
    good = {"avg_60s_data": "1", "avg60s_data": "1", "avg60sData": "1"}
    assert verdicts(TEXT, {"type": "orderbook_delta", "inner": good, "side": "taker_at_cross"}) == []
    bad = [{"type": "orderbook_delta", "inner": {name: 1}} for name in good]
    assert [violation.path for violation in verdicts(TEXT, *bad)] == [f"inner.{name}" for name in good]
    assert verdicts(TEXT, {"type": "orderbook_delta", "side": "TAKER_AT_CROSS"}, {"type": "box", "value": 1}) == []


def test_null_counts_as_absent() -> None:
    names = ("small", "flag", "raw", "side", "inner", "levels", "nothing", "pair", "way", "one", "boxed")
    assert verdicts(TEXT, {"type": "orderbook_delta"} | dict.fromkeys(names)) == []


def test_only_one_field_of_a_union_may_be_there() -> None:
    head = {"type": "orderbook_delta"}
    both = {"one": "x", "other": 1}
    named = {"way": {"by_name": "x", "byNumber": 1}}
    assert [each.index for each in verdicts(TEXT, head | both, head | named, head | both | {"one": None})] == [0, 1]


def test_other_types_are_described_by_a_struct_of_that_name() -> None:
    text = "@0xbf5147cbbecf40c1;\nstruct Message { seq @0 :Int64; }\nstruct Trade { price @0 :Text; }"
    bad = [{"type": "trade", "price": 1}, {"type": "other", "seq": "x"}]
    assert verdicts(text, {"type": "trade", "price": "1", "seq": "x"}, {"type": "other", "price": 1, "seq": 1}) == []
    assert [violation.path for violation in verdicts(text, *bad)] == ["price", "seq"]
    assert len(verdicts(text, {"seq": "x"})) == 1
