"""The topics of the messages of exchanges."""

import pytest

from ssmd.exchange.topics import CONTROL, DATA, PRIVATE, Topic, topic_of


@pytest.mark.parametrize(
    ("type", "name"),
    [
        ("trade", "trade"),
        ("ticker", "ticker"),
        ("orderbook_snapshot", "orderbook"),
        ("orderbook_delta", "orderbook"),
        ("market_lifecycle_v2", "lifecycle"),
        ("event_lifecycle", "event_lifecycle"),
        ("event_fee_update", "event_fee_update"),
        ("multivariate_market_lifecycle", "multivariate_market_lifecycle"),
        ("cfbenchmarks_value_5hz", "cfbenchmarks_value_5hz"),
    ],
)
def test_data_of_kalshi_has_the_names_that_its_consumers_know(type, name):
    assert topic_of("kalshi", type) == Topic(DATA, name)


@pytest.mark.parametrize(
    "type", ["subscribed", "unsubscribed", "ok", "error", "pyth_value_underlying_list", "cfbenchmarks_value_indexlist"]
)
def test_replies_of_kalshi_are_no_data(type):
    assert topic_of("kalshi", type) == Topic(CONTROL, type)


@pytest.mark.parametrize(
    "type",
    ["fill", "market_position", "user_order", "order_group_updates", "rfq_created", "rfq_deleted", "quote_accepted"],
)
def test_what_is_private_to_an_account_is_apart(type):
    assert topic_of("kalshi", type) == Topic(PRIVATE, type)


@pytest.mark.parametrize("type", ["", "not_known_yet"])
def test_what_kalshi_may_send_in_future_counts_as_private(type):
    assert topic_of("kalshi", type) == Topic(PRIVATE, type)


def test_types_of_other_exchanges_are_topics_of_their_own():
    assert topic_of("generic", "fill") == Topic(DATA, "fill")
    assert topic_of("generic", "") == Topic(DATA, "")


@pytest.mark.parametrize("type", ["", "trade", "ok", "fill"])
def test_what_may_be_of_any_exchange_counts_as_private(type):
    """Where the ledger is gone, a fill has neither a dialect nor a type."""
    assert topic_of("", type) == Topic(PRIVATE, type)
