"""What one exchange alone has: limits and their paces, tokens, what is left out in place of being refused."""

from __future__ import annotations

import json

import pytest
from exchange_runs import ExchangeRun


def messages_of(run):
    """Return what was collected: JSON documents, or texts."""
    [file] = run.data.glob(f"*/{run.name}.jsonl")
    return [json.loads(line)["data"] for line in file.read_text().splitlines()]


def channels_of(status):
    """Return of each channel: how many markets were asked for, are confirmed, and were heard from."""
    channels = status["channels"] or ()
    return {each["channel"]: (each["asked"], each["confirmed_markets"], each["heard"]) for each in channels}


def refused(folder, name, change):
    """Return how a run ends that the exchange refuses."""
    with ExchangeRun(folder, name, change=change) as run:
        stopped = run.stopped()
        assert run.process.returncode == 78, stopped
        return stopped["reason"]


# Deribit


def with_calls(version, environment):
    calls = [{"jsonrpc": "2.0", "id": 100 + number, "method": "public/test"} for number in range(12)]
    environment["subscribe"]["messages"] += calls


def test_deribit_gets_many_calls_at_the_pace_that_it_allows(tmp_path):
    with ExchangeRun(tmp_path, "deribit", change=with_calls) as run:
        run.connect()
        run.until(lambda status: sum("version" in str(message) for message in messages_of(run)) == 12)
        assert run.end() == 0


def test_deribit_refuses_them_all_at_once(tmp_path):
    def hurry(version, environment):
        with_calls(version, environment)
        del version["rate_limit_per_second"]

    assert '"message":"too_many_requests","code":10028' in refused(tmp_path, "deribit", hurry)


def test_deribit_refuses_what_needs_an_account(tmp_path):
    def raw(version, environment):
        environment["subscribe"]["messages"][1]["params"]["channels"].append("book.BTC-PERPETUAL.raw")

    assert "raw_subscriptions_not_available_for_unauthorized" in refused(tmp_path, "deribit", raw)


def test_deribit_leaves_out_an_unknown_channel_and_the_page_shows_it(tmp_path):
    def unknown(version, environment):
        environment["subscribe"]["messages"][1]["params"]["channels"].append("book.NOPE.100ms")

    with ExchangeRun(tmp_path, "deribit", change=unknown) as run:
        run.connect()
        status = run.until(lambda status: channels_of(status).get("book") == (3, 2, 2))
        assert [each["unconfirmed"] for each in status["channels"] if each["channel"] == "book"] == [["NOPE"]]
        assert run.end() == 0


def test_deribit_ends_a_connection_on_which_nobody_sends(tmp_path):
    def nothing(version, environment):
        environment["data_timeout_seconds"] = 600
        environment["subscribe"]["messages"] = environment["subscribe"]["messages"][-1:]

    with ExchangeRun(tmp_path, "deribit", change=nothing) as run:
        run.stopped()
        assert run.process.returncode == 75
        assert 59 < run.seconds_connected() < 65


# Gate.io


def test_gateio_refuses_another_time_than_the_current_one(tmp_path):
    def late(version, environment):
        environment["subscribe"]["messages"][0]["time"] = 123456

    assert "differs from the server's by more than 60 seconds" in refused(tmp_path, "gateio", late)


def test_gateio_books_have_the_market_of_its_trades(tmp_path):
    with ExchangeRun(tmp_path, "gateio") as run:
        run.connect()
        both = dict.fromkeys(("spot.trades", "spot.tickers", "spot.obu"), (2, 2, 2))
        status = run.until(lambda status: channels_of(status) == both)
        assert status["messages"]["loss_shown_by"] == "range"
        assert run.end() == 0


# HTX


def test_htx_books_are_asked_for_slowly(tmp_path):
    with ExchangeRun(tmp_path, "htx-books") as run:
        run.connect()
        run.until(lambda status: sum("rep" in message for message in messages_of(run)) == 2)
        assert run.end() == 0


def test_htx_refuses_requests_that_come_at_once(tmp_path):
    def hurry(version, environment):
        del version["rate_limit_per_second"]

    assert "429 too many request topic" in refused(tmp_path, "htx-books", hurry)


def test_htx_has_no_order_books_at_its_first_address(tmp_path):
    def books(version, environment):
        environment["subscribe"]["messages"].append({"sub": "market.btcusdt.mbp.150", "id": "9"})

    assert "invalid topic market.btcusdt.mbp.150" in refused(tmp_path, "htx", books)


# KuCoin


def wrong_method(version, environment):
    version["dialect"]["prepare"]["method"] = "GET"


def wrong_token(version, environment):
    version["endpoint"] = version["endpoint"].replace("${prepared.token}", "expired")
    del version["dialect"]["prepare"]


@pytest.mark.parametrize(("change", "quote"), [(wrong_method, "405"), (wrong_token, "401")])
def test_kucoin_lets_nobody_in_without_a_token(tmp_path, change, quote):
    with ExchangeRun(tmp_path, "kucoin", change=change) as run:
        stopped = run.stopped()
        assert run.process.returncode == 69
    assert quote in stopped["reason"]


# Polymarket


def test_polymarket_closes_what_it_does_not_understand(tmp_path):
    def misspelt(version, environment):
        environment["subscribe"]["messages"][0]["type"] = "markte"

    reason = refused(tmp_path, "polymarket", misspelt)
    assert "1008" in reason
    assert "invalid subscription payload" in reason


def test_polymarket_passes_over_an_unknown_token_and_the_page_shows_it(tmp_path):
    def unknown(version, environment):
        environment["subscribe"]["messages"][0]["assets_ids"].append("1234567890")

    with ExchangeRun(tmp_path, "polymarket", change=unknown) as run:
        run.connect()
        status = run.until(lambda status: channels_of(status) == {"all": (3, 2, 2)})
        assert status["channels"][0]["unconfirmed"] == ["1234567890"]
        assert [event["event_type"] for event in messages_of(run)[0]] == ["book", "book"]
        assert run.end() == 0
