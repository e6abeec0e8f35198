"""ssmd/schema/protobuf.py: the JSON Schema of a .proto file accepts what protobuf's own JSON reader accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from ssmd.schema.check import Violation, make_checker
from ssmd.schema.definition import Definition, json_schema_of

PROTO3 = """
syntax = "proto3";
package feed.v1;
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Side { yes = 0; no = 1; }
message OrderbookDelta {
  string type = 1;
  int32 i32 = 2;
  uint32 u32 = 3;
  sint64 s64 = 4;
  fixed64 f64 = 5;
  float single = 6;
  double double_value = 7;
  bool flag = 8;
  bytes raw = 9;
  Side side = 10;
  Inner inner_one = 11;
  repeated int64 numbers = 12;
  repeated Inner inners = 13;
  map<string, int32> by_name = 14;
  map<int32, Inner> by_number = 15;
  oneof either { string one_way = 16; int32 other_way = 17; }
  optional string maybe = 18;
  google.protobuf.Timestamp at = 19;
  google.protobuf.Duration lasted = 20;
  google.protobuf.Struct any_object = 21;
  google.protobuf.Value anything = 22;
  google.protobuf.ListValue levels = 23;
  google.protobuf.Int64Value wrapped = 24;
  message Inner { string market_ticker = 1; OrderbookDelta whole = 2; }
}
"""
PROTO2 = """
syntax = "proto2";
message OrderbookDelta {
  required string type = 1;
  required int32 number_one = 2;
  optional string text = 3 [json_name = "text!"];
}
"""
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, 2**64, 1.0, 1.5, -0.5),
    *("", "1", "-1", "x", "0.5", "NaN", "-Infinity", "yes", "no", "maybe", "2026-11-28T16:00:00.5Z", "1.5s", "AAA="),
    *([], [1], ["1"], ["x"], [None], [{}], [{"market_ticker": "X"}], [[["0.5", "1"]]]),
    *({}, {"a": 1}, {"a": "x"}, {"1": {}}, {"1": None}, {"marketTicker": "X"}, {"market_ticker": 1}),
    {"whole": {"inner_one": {"whole": None}}},
    {"whole": {"inner_one": {"whole": {"u32": -1}}}},
]


def reads(text: str, folder: Path) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether protobuf's own reader of JSON accepts a message."""
    (folder / "feed.proto").write_text(text)
    known = Path(protoc.__file__).parent / "_proto"
    made = folder / "made"
    options = [f"-I{folder}", f"-I{known}", f"--descriptor_set_out={made}", "--include_imports"]
    assert protoc.main(["protoc", *options, "feed.proto"]) == 0
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(made.read_bytes()).file:
        pool.Add(file)
    package = "feed.v1." if "package" in text else ""
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}OrderbookDelta"))

    def accepts(message: dict[str, Any]) -> bool:
        try:
            return bool(json_format.ParseDict(message, kind()).IsInitialized())
        except json_format.ParseError:
            return False

    return accepts


def checker(text: str) -> Any:
    definition = Definition("schemas/feed.proto", "protobuf", text.encode())
    return make_checker(json_schema_of(definition), definition.name)


def verdicts(text: str, *messages: object) -> list[Violation]:
    found: list[Violation] = checker(text).check([json.dumps(message).encode() for message in messages])
    return found


FURTHER: dict[str, list[Any]] = {
    "double_value": [True, False],
    "inner_one": ["", []],
    "raw": ["2026-11-28T16:00:00.5Z", "1.5s"],
    "side": [True, False, -1, 2**31 - 1, -(2**31), 2**32, 1.5, -0.5, "1", "-1"],
    "single": [True, False],
}
"""What the reader of the Python library takes, although it is in no mapping to JSON, or no value of the enum."""
UNKNOWN = [{"a": 1}, {"a": "x"}, {"1": {}}, {"1": None}]
"""Objects with fields that no message has."""


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (PROTO3, [line.split()[-3] for line in PROTO3.splitlines() if line.endswith(";") and " = " in line][2:]),
        (PROTO2, ["number_one", "numberOne", "text", "text!"]),
    ],
    ids=["proto3", "proto2"],
)
def test_it_accepts_what_protobuf_accepts(tmp_path, text, fields):
    accepts = reads(text, tmp_path)
    values = [(field, value) for field in fields for value in VALUES if value not in UNKNOWN or field != "inner_one"]
    messages = [{"type": "orderbook_delta", field: value} for field, value in values]
    if text is PROTO2:
        messages += [{"number_one": 1} | message for message in messages if "numberOne" not in message]
    refused = {violation.index for violation in verdicts(text, *messages)}
    only_ours = [message for index, message in enumerate(messages) if index not in refused and not accepts(message)]
    assert only_ours == []
    only_theirs = [message for index, message in enumerate(messages) if index in refused and accepts(message)]
    expected = [{"type": "orderbook_delta", field: value} for field in fields for value in FURTHER.get(field, ())]
    assert sorted(map(str, only_theirs)) == sorted(map(str, expected))
    assert len(messages) / 10 < len(refused) < len(messages)


def test_the_type_says_which_message_it_is():
    text = """
        syntax = "proto3";
        message BookDelta { string side = 1; }
        message Level2Update { message Trade { string side = 1; } Trade trade = 1; }
        message Message { int32 seq = 1; }
    """
    good = [
        {"type": "book_delta", "side": "buy", "seq": "x"},
        {"type": "level2_update", "trade": {"side": "buy", "new": 1}},
        {"type": "trade", "side": 1, "seq": 1},
        {"seq": 1},
    ]
    assert verdicts(text, *good) == []
    bad = [
        *({"type": type, "side": 1} for type in ("BookDelta", "bookDelta", "book_delta")),
        {"type": "level_2_update", "trade": {"side": 1}},
        {"type": "trade", "seq": "x"},
        {"seq": []},
        [],
    ]
    found = verdicts(text, *bad)
    assert [violation.index for violation in found] == list(range(7))
    assert found[1] == Violation(1, "bookDelta", "side", 'is not of types "null", "string"')
    assert (found[3].type, found[3].path) == ("level_2_update", "trade.side")


def test_a_type_that_no_message_describes_is_no_violation():
    assert verdicts(PROTO2, {"type": "trade", "number_one": "x"}, {"number_one": "x"}) == []


def test_only_one_field_of_a_oneof_may_be_there():
    head = {"type": "orderbook_delta"}
    both = head | {"one_way": "x", "otherWay": 1}
    assert [each.index for each in verdicts(PROTO3, head | {"oneWay": "x"}, both, both | {"one_way": None})] == [1]
