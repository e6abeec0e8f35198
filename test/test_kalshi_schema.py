"""conf/schemas/kalshi-v2.json agrees with what Kalshi documents, with the tables, and with the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from kalshi_documented import DOCUMENTED, ids

from ssmd.exchange.kalshi.tables import TABLES
from ssmd.sim.births import Births
from ssmd.sim.limits import Limits
from ssmd.sim.markets import Markets
from ssmd.sim.session import Session
from ssmd.sim.universe import Universe

DEFINITION = json.loads((Path(__file__).parent.parent / "conf/schemas/kalshi-v2.json").read_text())
VALIDATOR = jsonschema_rs.validator_for(DEFINITION)
SINGLE = {
    type: jsonschema_rs.validator_for({"$ref": f"#/$defs/{type}", "$defs": DEFINITION["$defs"]})
    for type in (one["$ref"].removeprefix("#/$defs/") for one in DEFINITION["anyOf"])
}
"""A validator for each type, which says what is wrong; `other` is for all types that are not described."""
NOW = 1_790_000_000_000_000_000


def faults(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the path and the reason of what is wrong with a message; both validators have to agree."""
    found = [
        ("/".join(map(str, error.instance_path)), error.message)
        for error in SINGLE[message["type"]].iter_errors(message)
    ]
    assert VALIDATOR.is_valid(message) == (not found)
    return found


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
    assert faults(message) == []


def test_every_field_of_the_definition_is_documented() -> None:
    documented = {(message["type"], path) for message in DOCUMENTED for path in paths_in(message)}
    for type in SINGLE:
        if type != "other":
            assert {(type, path) for path in described(type)} <= documented


def test_the_tables_have_the_types_of_the_definition() -> None:
    types = {table.type for table in TABLES}
    assert types == set(SINGLE) - {"other"}
    assert set(DEFINITION["$defs"]["other"]["properties"]["type"]["not"]["enum"]) == types


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
    assert [(message, faults(message)) for message in messages if faults(message)] == []
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
        ("orderbook_delta", "msg/price_dollars", ..., '"price_dollars" is a required property'),
        ("orderbook_delta", "seq", ..., '"seq" is a required property'),
        ("orderbook_delta", "seq", "3", '"3" is not of type "integer"'),
        ("orderbook_delta", "sid", 0, "0 is less than the minimum of 1"),
        ("orderbook_delta", "msg/price_dollars", 0.96, '0.96 is not of type "string"'),
        ("orderbook_delta", "msg/price_dollars", "96c", '"96c" does not match'),
        ("orderbook_delta", "msg/delta_fp", "-54", '"-54" does not match'),
        ("orderbook_delta", "msg/side", "both", '"both" is not one of "yes" or "no"'),
        ("orderbook_delta", "msg/ts", 1795881600, '1795881600 is not of type "string"'),
        ("orderbook_delta", "msg/ts_ms", 1795881600.5, '1795881600.5 is not of type "integer"'),
        ("orderbook_snapshot", "msg/yes_dollars_fp/0/1", 300, '300 is not of type "string"'),
        ("orderbook_snapshot", "msg/yes_dollars_fp/0", ["0.08"], '["0.08"] has less than 2 items'),
        ("orderbook_snapshot", "msg/no_dollars_fp", None, 'null is not of type "array"'),
        ("ticker", "msg/volume_fp", 33896, '33896 is not of type "string"'),
        ("ticker", "msg/dollar_volume", "16948", '"16948" is not of type "integer"'),
        ("trade", "msg/taker_book_side", "yes", '"yes" is not one of "bid" or "ask"'),
        ("trade", "msg/is_block_trade", "false", '"false" is not of type "boolean"'),
        ("market_lifecycle_v2", "msg/event_type", ..., '"event_type" is a required property'),
        ("market_lifecycle_v2", "msg/additional_metadata/title", ..., '"title" is a required property'),
        ("event_lifecycle", "msg/collateral_return_type", "ALL", '"ALL" is not one of'),
        ("event_fee_update", "msg/fee_type_override", ..., '"fee_type_override" is a required property'),
        ("cfbenchmarks_value", "msg/avg_60s_data/value", "69501.25", '"69501.25" does not match'),
        ("user_order", "msg/status", "open", '"open" is not one of'),
        ("user_order", "msg/created_ts_ms", "now", '"now" is not of types'),
        ("error", "msg/code", "8", '"8" is not of type "integer"'),
        ("subscribed", "msg", [], '[] is not of type "object"'),
    ],
)
def test_a_planted_fault_is_a_violation(type: str, path: str, value: Any, reason: str) -> None:
    [(where, message)] = faults(planted(type, path, value))
    assert reason in message
    assert where == (path if value is not ... else path.rpartition("/")[0])


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
    assert faults(message) == []


def test_a_type_that_is_not_described_is_no_violation() -> None:
    assert VALIDATOR.is_valid({"type": "new_type", "sid": "any"})
    others: list[object] = [{"msg": {}}, {"type": 1}, [], "text"]
    for message in others:
        assert not VALIDATOR.is_valid(message)
