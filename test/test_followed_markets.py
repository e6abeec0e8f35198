"""What `report` and `verify` say of followed markets after a kill is true, by the recorded messages themselves."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from exchange_server import eventually
from patience import PATIENCE
from process import Collector, Simulator, ssmd

from ssmd.store.line import decode_line

pytestmark = pytest.mark.one_day

BIRTHS = ("--births", "20000", "--open-after", "3", "--life", "20", "--rate", "400", "--request-limit", "1000")
FOLLOW = """subscribe:
- channels: [orderbook_delta, trade]
  follow: {tickers: ["KXSIMBTC-*", "KXSIMETH-*"]}
"""
MICROSECONDS = 1e-5
"""How exact times are: those in a report have whole microseconds."""
LATEST = 5.0
"""How many seconds after a market's confirmation its order book has come at the latest."""
DATA = ("orderbook_snapshot", "orderbook_delta", "trade")


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def open_markets(simulator: Simulator) -> dict[str, Any]:
    """Return the markets of the two series that are open now, by ticker."""
    url = f"http://{urlsplit(simulator.endpoint).netloc}/trade-api/v2/markets?status=open&limit=1000"
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        rows = json.load(response)["markets"]
    return {row["ticker"]: row for row in rows if row["ticker"].startswith(("KXSIMBTC-", "KXSIMETH-"))}


def opened_after(simulator: Simulator, time: float) -> set[str]:
    return {name for name, row in open_markets(simulator).items() if seconds(row["open_time"]) > time}


def messages(collector: Collector) -> Iterator[tuple[str, float, str]]:
    """Yield the market, the time and the type of each message of a market."""
    for line in collector.lines():
        record = decode_line(line)
        message = json.loads(record.payload)
        if message["type"] in DATA:
            yield message["msg"]["market_ticker"], record.received_ns / 1e9, message["type"]


def markets_in(collector: Collector) -> set[str]:
    return {market for market, _, _ in messages(collector)}


def is_true(market: dict[str, Any], came: list[tuple[float, str]], last: float) -> bool:
    """Return whether what the report says of a market fits the messages that came of it; `last`: when the last one of
    all came.
    """
    begins = {missed["from"] for missed in market["missed"]}
    for missed in market["missed"]:
        begin, end = seconds(missed["from"]) + MICROSECONDS, seconds(missed["to"]) - MICROSECONDS
        kinds = {kind for at, kind in came if begin < at < end}
        # While one of the two channels is not confirmed, messages of the other may come.
        if kinds and (missed["cause"] != "not subscribed" or ("trade" in kinds and len(kinds) > 1)):
            return False
        is_collected = missed["to"] not in begins and end + LATEST < min(last, seconds(market["close"]))
        if is_collected and not any(kind == DATA[0] and begin < at < end + LATEST for at, kind in came):
            return False
    return market["collected"] != "all" or came[0][0] <= seconds(market["open"])


def test_the_report_says_which_markets_were_not_collected_when(tmp_path):
    with Simulator(*BIRTHS) as simulator:
        with Collector(tmp_path, simulator.endpoint, environment=FOLLOW) as first:
            first.start_up()
            first.wait_for("markets listed")
            eventually(lambda: open_markets(simulator).keys() <= markets_in(first))
            before = open_markets(simulator).keys()
            first.process.send_signal(signal.SIGKILL)
            first.process.wait()
        end_of_first = max(at for _, at, _ in messages(first))
        # A market is born, and opens, while nobody listens.
        eventually(lambda: len(opened_after(simulator, end_of_first)) > 3)
        born = opened_after(simulator, end_of_first)
        with Collector(tmp_path, simulator.endpoint, environment=FOLLOW) as second:
            second.start_up()
            second.wait_for("markets listed")
            eventually(lambda: born <= markets_in(second))
            assert second.end() == 0
    done = ssmd("report", "--markets", "--json", tmp_path / "data")
    assert done.returncode == 0
    markets = {each["market"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert before | born <= markets.keys()
    for name in before:
        killed = [missed for missed in markets[name]["missed"] if missed["cause"] == "killed"]
        assert killed or seconds(markets[name]["close"]) <= end_of_first + 1
        assert all(seconds(missed["from"]) > end_of_first - MICROSECONDS for missed in killed)
    for name in born:
        missed = markets[name]["missed"]
        assert missed[0]["from"] == max(markets[name]["open"], missed[0]["from"])
        assert [each["cause"] for each in missed][:1] == ["killed"]
        assert markets[name]["collected"] == "part"
    came: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, at, kind in messages(second):
        came[name].append((at, kind))
    last = max(at for _, at, _ in messages(second))
    wrong = {name: (each, came[name]) for name, each in markets.items() if not is_true(each, came[name], last)}
    assert wrong == {}
    text = ssmd("report", "--markets", tmp_path / "data").stdout
    assert "for a part of it" in text
    assert all(name in text for name in born)
    verified = ssmd("verify", tmp_path / "data")
    assert verified.returncode == 0
    assert "followed markets were not collected at some time while they were open" in verified.stdout + verified.stderr


def test_an_archive_without_followed_markets_says_so(tmp_path):
    done = ssmd("report", "--markets", tmp_path)
    assert done.stdout == "no feed here follows markets, or its ledger does not say which\n"
