"""Existing feeds describe their messages with `message_types`: it is read as paths, and acts."""

from __future__ import annotations

import pytest

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import COUNTER
from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.generic.parse import parse, problems_of

# Like the feeds of https://github.com/aaronwald/ssmd/tree/main/exchanges/feeds.
SPOT = {
    "ticker": {
        "identifier_field": "symbol",
        "timestamp_field": "_received_at",
        "timestamp_format": "pipeline",
        "sequenced": False,
        "fanout": True,
    },
    "trade": {
        "identifier_field": "symbol",
        "timestamp_field": "timestamp",
        "timestamp_format": "iso8601",
        "sequenced": False,
        "fanout": True,
    },
}
FUTURES = {
    "ticker": {
        "identifier_field": "product_id",
        "timestamp_field": "time",
        "timestamp_format": "epoch_millis",
        "sequenced": False,
    },
    "trade": {
        "identifier_field": "product_id",
        "timestamp_field": "time",
        "timestamp_format": "epoch_millis",
        "sequenced": True,
        "sequence_field": "seq",
        "sequence_scope": "per_product",
    },
}
PREDICTIONS = {
    "book": {"identifier_field": "asset_id", "timestamp_field": "_received_at", "timestamp_format": "pipeline"},
    "price_change": {"identifier_field": "asset_id", "fanout": True},
}
SUBSCRIPTIONS = {
    "trade": {
        "identifier_field": "market_ticker",
        "timestamp_field": "ts",
        "timestamp_format": "unix_seconds",
        "sequenced": True,
        "sequence_field": "seq",
        "sequence_scope": "per_subscription",
        "sequence_group_by": "sid",
    }
}


def dialect(types):
    assert list(problems_of({"message_types": types})) == []
    return Generic().described({"message_types": types})


@pytest.mark.parametrize(
    ("types", "message", "found"),
    [
        (SPOT, b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD"}]}', ("trade", "BTC/USD")),
        (SPOT, b'{"channel":"heartbeat"}', ("heartbeat", "")),
        (FUTURES, b'{"feed":"trade","type":"fill","product_id":"PI_X","seq":7}', ("trade", "PI_X")),
        (PREDICTIONS, b'{"event_type":"price_change","price_changes":[{"asset_id":"5"}]}', ("price_change", "5")),
        (PREDICTIONS, b'{"event_type":"book","asset_id":"6"}', ("book", "6")),
        (SUBSCRIPTIONS, b'{"type":"trade","sid":1,"seq":1,"msg":{"market_ticker":"A"}}', ("trade", "A")),
    ],
)
def test_types_and_markets_are_found_where_exchanges_have_them(types, message, found):
    assert dialect(types).reader().read([message]) == [found]


@pytest.mark.parametrize(
    ("types", "message", "ms"),
    [
        (SPOT, b'{"channel":"trade","data":[{"timestamp":"2026-01-02T03:04:05.678Z"}]}', 1_767_323_045_678),
        (FUTURES, b'{"feed":"ticker","time":1767323045678}', 1_767_323_045_678),
        (SUBSCRIPTIONS, b'{"type":"trade","msg":{"ts":1767323045}}', 1_767_323_045_000),
        (PREDICTIONS, b'{"event_type":"book","_received_at":1767323045}', None),
    ],
)
def test_times_have_the_formats_that_they_are_said_to_have(types, message, ms):
    assert dialect(types).inspector().inspect([message]).exchange_ms == ms


def trade(product, number, feed="trade"):
    return b'{"feed":"%s","product_id":"%s","seq":%d}' % (feed.encode(), product.encode(), number)


def test_only_the_types_that_are_sequenced_are_counted_and_each_market_by_itself():
    inspector = dialect(FUTURES).inspector()
    assert inspector.sequence == COUNTER
    payloads = [trade("A", 1), trade("B", 9), trade("A", 5, "ticker"), trade("A", 2), trade("B", 12), trade("C", 4)]
    [gap] = inspector.inspect(payloads).events
    assert isinstance(gap, Gap)
    assert (gap.expected, gap.got, gap.place) == (10, 12, 4)
    assert gap.name == "trade B"
    assert inspector.inspect([trade("A", 3, "ticker")]).events == []
    assert inspector.inspect([trade("A", 3)]).events == []


def test_a_sequence_of_a_subscription_is_counted_by_the_field_that_it_is_grouped_by():
    inspector = dialect(SUBSCRIPTIONS).inspector()
    message = '{"type":"trade","sid":%d,"seq":%d,"msg":{"market_ticker":"%s"}}'
    payloads = [message % each for each in ((1, 1, "A"), (2, 1, "B"), (1, 2, "C"), (2, 3, "A"))]
    [gap] = inspector.inspect([payload.encode() for payload in payloads]).events
    assert (gap.expected, gap.got) == (2, 3)


@pytest.mark.parametrize("types", [SPOT, PREDICTIONS])
def test_without_a_sequence_nothing_is_counted(types):
    assert dialect(types).inspector().sequence == ""


@pytest.mark.parametrize(
    ("entry", "problem", "warning"),
    [
        ({"identifer_field": "a"}, "t.identifer_field: is not a field that ssmd knows here; did you mean", False),
        ({"owner": "a"}, "t.owner: has no effect in this version", True),
        ({"identifier_field": 5}, "t.identifier_field: must be a text, not `5`; put it in quotes", False),
        ({"timestamp_format": "fortnights"}, "t.timestamp_format: must be one of unix_seconds, epoch_seconds", False),
        ({"sequenced": "yes"}, "t.sequenced: must be true or false", False),
        ({"sequenced": True}, "t.sequence_field: is required when `sequenced` is true", False),
        ({"sequenced": True, "sequence_field": "n"}, "t.sequenced: needs `sequence_group_by`", False),
        (
            {"sequenced": True, "sequence_field": "n", "sequence_scope": "per_subscription"},
            "t.sequence_scope: needs `sequence_group_by`",
            False,
        ),
        (
            {"sequenced": True, "sequence_field": "n", "sequence_scope": "per_market"},
            "t.sequence_scope: needs `identifier_field`",
            False,
        ),
        ({"sequence_field": "n"}, "t.sequence_field: has no effect without `sequenced: true`", True),
        ("x", "t: must be a mapping", False),
    ],
)
def test_a_mistake_is_reported_at_its_place(entry, problem, warning):
    [found] = problems_of({"message_types": {"t": entry}})
    assert f"{'.'.join(map(str, found.path))}: {found.message}".startswith(f"message_types.{problem}")
    assert found.warning == found.lenient == warning
    assert parse({"message_types": {"t": entry}}).paths.sequences == ()


def test_the_paths_of_the_description_count_and_not_the_types():
    both = {"message_types": FUTURES, "paths": {"type": "t"}}
    [found] = problems_of(both)
    assert found.lenient
    assert "`dialect` has `paths`" in found.message
    assert parse(both).paths == parse({"paths": {"type": "t"}}).paths
