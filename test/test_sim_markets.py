"""The made-up markets: valid books, Kalshi's fields in Kalshi's order, and the same messages for the same seed."""

from __future__ import annotations

import json
import re

import pytest

from ssmd.sim.book import contracts, dollars, moment
from ssmd.sim.event import Event
from ssmd.sim.markets import ACTIONS, Markets

NOON = moment(1_790_000_000_120_000_000)
ALL = [name for name, weight in ACTIONS.items() for _ in range(weight)]


def run(markets: Markets, steps: int, actions: list[str] = ALL, pool: list[str] | None = None) -> list[Event]:
    pool = markets.tickers if pool is None else pool
    return [event for _ in range(steps) for event in markets.step(pool, actions, NOON)]


def cents(text: str) -> int:
    assert re.fullmatch(r"[01]\.\d{4}", text), text
    return int(text.replace(".", ""))


def size(text: str) -> int:
    assert re.fullmatch(r"-?\d+\.\d\d", text), text
    return int(text.replace(".", ""))


def test_the_same_seed_gives_the_same_messages() -> None:
    assert run(Markets(3), 2000) == run(Markets(3), 2000)
    assert run(Markets(3), 50) != run(Markets(4), 50)


def test_eight_markets_by_default() -> None:
    assert Markets(1).tickers == [f"KXSIM-{letter}" for letter in "ABCDEFGH"]


@pytest.mark.parametrize("seed", range(6))
def test_books_are_never_negative_and_never_crossed(seed: int) -> None:
    markets = Markets(seed)
    books: dict[str, dict[str, dict[int, int]]] = {}
    for ticker in markets.tickers:
        msg = json.loads(markets.snapshot(markets.market(ticker)).msg)
        books[ticker] = {
            side: {cents(p): size(s) for p, s in msg.get(f"{side}_dollars_fp", [])} for side in ("yes", "no")
        }
    for event in run(markets, 20_000):
        if event.type != "orderbook_delta":
            continue
        msg = json.loads(event.msg)
        book = books[msg["market_ticker"]]
        levels, price, change = book[msg["side"]], cents(msg["price_dollars"]), size(msg["delta_fp"])
        assert change != 0
        assert 0 < price < 10_000
        levels[price] = levels.get(price, 0) + change
        assert levels[price] >= 0
        if not levels[price]:
            del levels[price]
        assert max(book["yes"], default=0) + max(book["no"], default=0) < 10_000
    for ticker, book in books.items():
        market = markets.market(ticker)
        assert book == market.sides
        assert len(book["yes"]) + len(book["no"]) > 4


def test_a_trade_takes_from_the_best_bid_of_the_other_side() -> None:
    markets = Markets(5)
    for _ in range(300):
        before = {t: {s: markets.market(t).best(s) for s in ("yes", "no")} for t in markets.tickers}
        events = list(markets.step(markets.tickers, ["trade"], NOON))
        if events[0].type != "trade":
            continue
        trade, delta = (json.loads(event.msg) for event in events)
        maker = "no" if trade["taker_side"] == "yes" else "yes"
        assert trade["market_ticker"] == delta["market_ticker"]
        assert delta["side"] == maker
        assert size(delta["delta_fp"]) == -size(trade["count_fp"]) < 0
        assert (
            cents(delta["price_dollars"])
            == before[trade["market_ticker"]][maker]
            == cents(trade[f"{maker}_price_dollars"])
        )
        assert cents(trade["yes_price_dollars"]) + cents(trade["no_price_dollars"]) == 10_000
        assert trade["taker_book_side"] == ("bid" if trade["taker_side"] == "yes" else "ask")


def test_messages_have_kalshis_fields_in_their_order() -> None:
    seen = {event.type: list(json.loads(event.msg)) for event in run(Markets(2), 3000)}
    assert seen["orderbook_delta"] == [
        "market_ticker", "market_id", "price_dollars", "delta_fp", "side", "ts", "ts_ms",
    ]  # fmt: skip
    assert seen["trade"] == [
        "trade_id", "market_ticker", "yes_price_dollars", "no_price_dollars", "count_fp", "taker_side",
        "taker_outcome_side", "taker_book_side", "is_block_trade", "ts", "ts_ms",
    ]  # fmt: skip
    assert seen["ticker"] == [
        "market_id", "market_ticker", "price_dollars", "yes_bid_dollars", "yes_ask_dollars", "volume_fp",
        "open_interest_fp", "dollar_volume", "dollar_open_interest", "yes_bid_size_fp", "yes_ask_size_fp",
        "last_trade_size_fp", "ts", "ts_ms", "time",
    ]  # fmt: skip


def test_snapshot_levels_ascend_and_an_empty_side_is_left_out() -> None:
    markets = Markets(2)
    market = markets.market("KXSIM-A")
    msg = json.loads(markets.snapshot(market).msg)
    assert list(msg) == ["market_ticker", "market_id", "yes_dollars_fp", "no_dollars_fp"]
    assert msg["yes_dollars_fp"] == sorted(msg["yes_dollars_fp"])
    shown = json.loads(markets.snapshot(market).yes_msg)["no_dollars_fp"]
    assert [[dollars(10_000 - cents(p)), s] for p, s in msg["no_dollars_fp"]] == shown
    market.sides["no"].clear()
    assert "no_dollars_fp" not in json.loads(markets.snapshot(market).msg)
    ticker = json.loads(markets.ticker(market, NOON).msg)
    assert (ticker["yes_ask_dollars"], ticker["yes_ask_size_fp"]) == ("1.0000", "0.00")


def test_short_lived_markets_pass_through_their_stages_in_order() -> None:
    lives: dict[str, list[str]] = {}
    for event in run(Markets(1), 400, ["market_lifecycle_v2"]):
        msg = json.loads(event.msg)
        if event.type == "market_lifecycle_v2":
            lives.setdefault(msg["market_ticker"], []).append(msg["event_type"])
            if msg["event_type"] == "determined":
                assert msg["settlement_value"] == {"yes": "1.0000", "no": "0.0000"}[msg["result"]]
    whole = ["created", "activated", "close_date_updated", "determined", "settled"]
    assert len(lives) > 10
    assert all(life == whole[: len(life)] for life in lives.values())


def test_an_unknown_ticker_gets_a_market() -> None:
    markets = Markets(1)
    made = markets.market("KXOTHER-1.5")
    assert made is markets.market("KXOTHER-1.5")
    assert "KXOTHER-1.5" in markets.tickers
    assert markets.by_id(made.id) == "KXOTHER-1.5"
    assert markets.by_id("nothing") is None


def test_numbers_and_times_are_written_as_kalshi_writes_them() -> None:
    assert (dollars(5), dollars(10_000), dollars(4900)) == ("0.0005", "1.0000", "0.4900")
    assert (contracts(1), contracts(-1250), contracts(0)) == ("0.01", "-12.50", "0.00")
    assert NOON == (1_790_000_000, 1_790_000_000_120, "2026-09-21T14:13:20.12Z")
    assert moment(1_790_000_000_000_000_999).text == "2026-09-21T14:13:20Z"
