"""conf/schemas/kalshi-v2.json agrees with what Kalshi documents, with the tables, and with the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from kalshi_documented import DOCUMENTED, ids

from ssmd.exchange.kalshi.tables import TABLES
from ssmd.schema.check import make_checker
from ssmd.sim.births import Births
from ssmd.sim.limits import Limits
from ssmd.sim.markets import Markets
from ssmd.sim.session import Session
from ssmd.sim.universe import Universe

FILE = Path(__file__).parent.parent / "conf/schemas/kalshi-v2.json"
DEFINITION = json.loads(FILE.read_text())
CHECKER = make_checker(FILE.read_bytes(), "kalshi-v2.json")
TYPES = {one["$ref"].removeprefix("#/$defs/") for one in DEFINITION["anyOf"]} - {"other"}
NOW = 1_790_000_000_000_000_000


def violations(*messages: object) -> list[tuple[str, str, str]]:
    """Return the type, the path and the reason of each message that is not valid."""
    found = CHECKER.check([json.dumps(message).encode() for message in messages])
    return [(one.type, one.path, one.reason) for one in found]


def paths_in(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field of a message."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from paths_in(inner, (*path, name))


def followed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference leads to."""
    while reference := schema.get("$ref"):
        schema = DEFINITION["$defs"][reference.removeprefix("#/$defs/")]
    return schema


def described(type: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field that the definition has for a type."""

    def fields(schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, inner in followed(schema).get("properties", {}).items():
            yield (*path, name)
            yield from fields(inner, (*path, name))

    return fields(DEFINITION["$defs"][type], ())


@pytest.mark.parametrize("message", DOCUMENTED, ids=ids)
def test_a_documented_message_has_no_violation(message: dict[str, Any]) -> None:
    assert violations(message) == []


def test_every_field_of_the_definition_is_documented() -> None:
    documented = {(message["type"], path) for message in DOCUMENTED for path in paths_in(message)}
    assert {(type, path) for type in TYPES for path in described(type)} <= documented


def test_the_tables_have_the_types_of_the_definition() -> None:
    assert {table.type for table in TABLES} == TYPES
    assert set(DEFINITION["$defs"]["other"]["properties"]["type"]["not"]["enum"]) == TYPES


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.type)
def test_every_column_is_a_field_and_every_field_is_in_a_column(table: Any) -> None:
    columns = {column.path for column in table.columns}
    fields = set(described(table.type)) - {("type",)}
    # A column holds what is below its field, as `msg` of `ok` does, and an object is in the columns of its fields.
    whole = {path for path in fields if any(path[: len(column)] == column for column in columns)}
    assert columns <= fields
    assert {path for path in fields - whole if not any(column[: len(path)] == path for column in columns)} <= {
        ("id",), ("msg",)
    }  # fmt: skip


def simulated() -> Iterator[dict[str, Any]]:
    """Yield what the simulator sends: replies to every command, refusals, and the messages of all its channels."""
    session = Session(Markets(11, Universe(11, Births(per_hour=60), NOW // 1000)), Limits())
    params = {"market_tickers": ["KXSIM-A", "KXSIM-B"], "send_initial_snapshot": True}
    commands: list[dict[str, Any]] = [
        {"cmd": "subscribe", "params": {"channels": ["orderbook_delta", "ticker", "trade"], **params}},
        {"cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}},
        {"cmd": "list_subscriptions"},
        {"cmd": "update_subscription", "params": {"sid": 1, "action": "get_snapshot", "market_tickers": ["KXSIM-A"]}},
        {"cmd": "update_subscription", "params": {"sid": 1, "action": "add_markets", "market_tickers": ["KXSIM-C"]}},
        {"cmd": "subscribe", "params": {"channels": ["nonsense"]}},
        {"cmd": "nonsense"},
    ]
    frames = [
        frame for number, command in enumerate(commands, 1)
        for frame in session.receive(json.dumps({"id": number} | command).encode(), NOW)
    ]  # fmt: skip
    frames += session.produce(2000, NOW)
    frames += session.announce(NOW + 3600 * 1_000_000_000)
    frames += session.receive(b'{"id":9,"cmd":"unsubscribe","params":{"sids":[2]}}', NOW)
    frames.append(session.fail(25))
    return map(json.loads, frames)


def test_what_the_simulator_sends_has_no_violation() -> None:
    messages = list(simulated())
    assert violations(*messages) == []
    assert {message["type"] for message in messages} == {
        "subscribed", "ok", "error", "unsubscribed", "orderbook_snapshot", "orderbook_delta", "ticker", "trade",
        "market_lifecycle_v2", "event_lifecycle",
    }  # fmt: skip


def planted(type: str, path: str, value: Any) -> dict[str, Any]:
    """Return the documented message of a type with another value at a path; `...` for none at all."""
    message = deepcopy(next(dict(each) for each in DOCUMENTED if each["type"] == type))
    *above, name = path.split("/")
    inside: Any = message
    for key in above:
        inside = inside[int(key) if isinstance(inside, list) else key]
    if value is ...:
        del inside[name]
    else:
        inside[int(name) if isinstance(inside, list) else name] = value
    return message


@pytest.mark.parametrize(
    ("type", "path", "value", "reason"),
    [
        ("orderbook_delta", "msg/price_dollars", ..., "is missing"),
        ("orderbook_delta", "seq", ..., "is missing"),
        ("orderbook_delta", "seq", "3", 'is not of type "integer"'),
        ("orderbook_delta", "sid", 0, "is less than the minimum of 1"),
        ("orderbook_delta", "msg/price_dollars", 0.96, 'is not of type "string"'),
        ("orderbook_delta", "msg/price_dollars", "96c", "does not match"),
        ("orderbook_delta", "msg/delta_fp", "-54", "does not match"),
        ("orderbook_delta", "msg/side", "both", 'is not one of "yes" or "no"'),
        ("orderbook_delta", "msg/ts", 1795881600, 'is not of type "string"'),
        ("orderbook_delta", "msg/ts_ms", 1795881600.5, 'is not of type "integer"'),
        ("orderbook_snapshot", "msg/yes_dollars_fp/0/1", 300, 'is not of type "string"'),
        ("orderbook_snapshot", "msg/yes_dollars_fp/0", ["0.08"], "has less than 2 items"),
        ("orderbook_snapshot", "msg/no_dollars_fp", None, 'is not of type "array"'),
        ("ticker", "msg/volume_fp", 33896, 'is not of type "string"'),
        ("ticker", "msg/dollar_volume", "16948", 'is not of type "integer"'),
        ("trade", "msg/taker_book_side", "yes", 'is not one of "bid" or "ask"'),
        ("trade", "msg/is_block_trade", "false", 'is not of type "boolean"'),
        ("market_lifecycle_v2", "msg/event_type", ..., "is missing"),
        ("market_lifecycle_v2", "msg/additional_metadata/title", ..., "is missing"),
        ("event_lifecycle", "msg/collateral_return_type", "ALL", "is not one of"),
        ("event_fee_update", "msg/fee_type_override", ..., "is missing"),
        ("cfbenchmarks_value", "msg/avg_60s_data/value", "69501.25", "does not match"),
        ("user_order", "msg/status", "open", "is not one of"),
        ("user_order", "msg/created_ts_ms", "now", "is not of types"),
        ("error", "msg/code", "8", 'is not of type "integer"'),
        ("subscribed", "msg", [], 'is not of type "object"'),
    ],
)
def test_a_planted_fault_is_a_violation(type: str, path: str, value: Any, reason: str) -> None:
    where = "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in path.split("/")).removeprefix(".")
    [(found_type, found_path, found)] = violations(planted(type, path, value))
    assert (found_type, found_path) == (type, where)
    assert reason in found


@pytest.mark.parametrize(
    "message",
    [
        planted("orderbook_delta", "msg/new_field", {"any": [1.5]}),
        planted("ticker", "msg/price_dollars", ""),
        planted("market_lifecycle_v2", "msg/event_type", "renamed"),
        planted("error", "msg/code", 99),
    ],
    ids=["further field", "never traded", "event", "error"],
)
def test_what_kalshi_adds_without_notice_is_no_violation(message: dict[str, Any]) -> None:
    assert violations(message) == []


def test_a_type_that_is_not_described_is_no_violation() -> None:
    assert violations({"type": "new_type", "sid": "any"}) == []
    assert len(violations({"msg": {}}, {"type": 1}, [], "text")) == 4
