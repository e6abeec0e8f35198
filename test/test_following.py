"""Markets are followed by a real process: each is subscribed to before it opens, and its first book is in the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from process import Collector, make_tree, ssmd

from ssmd.store.line import decode_line

SERIES = "KXSIMBTC"
LIFE_CYCLES = "market_lifecycle_v2"
OPEN_AFTER = 6
ENDPOINT = f"sim://kalshi?rate=100&births=20000&open-after={OPEN_AFTER}&life=20"
FOLLOW = f"""subscribe:
- channels: [orderbook_delta, trade]
  follow: {{series: [{SERIES}]}}
keep_listing: true
"""


def messages(collector: Collector) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the time (ns since the epoch) and the message of each line."""
    for line in collector.lines():
        record = decode_line(line)
        yield record.received_ns, json.loads(record.payload)


def is_birth(msg: dict[str, Any]) -> bool:
    """Whether a life cycle message is about a new market of the series."""
    return msg["event_type"] == "created" and msg["additional_metadata"]["event_ticker"].startswith(f"{SERIES}-")


@pytest.mark.one_day
def test_a_market_that_is_born_is_subscribed_to_before_it_opens(tmp_path):
    with Collector(tmp_path, ENDPOINT, environment=FOLLOW) as collector:
        collector.start_up()
        collector.wait_for("markets listed")
        listed = len(collector.lines())
        born: dict[str, float] = {}
        books: dict[str, int] = {}
        while len(born.keys() & books.keys()) < 5:
            for number, (ts_ns, message) in enumerate(messages(collector)):
                msg = message.get("msg", {})
                if message["type"] == "orderbook_snapshot":
                    books.setdefault(msg["market_ticker"], ts_ns)
                elif number >= listed and message["type"] == LIFE_CYCLES and is_birth(msg):
                    born.setdefault(msg["market_ticker"], msg["open_ts"])
            collector.wait_for_lines(len(collector.lines()) + 50)
        ready, following = collector.get("/ready"), json.loads(collector.get("/status")[1])["following"]
        metrics = collector.get("/metrics")[1]
        collector.end()
    assert all(books[ticker] < born[ticker] * 1e9 for ticker in born.keys() & books.keys())
    assert ready[0] == 200
    assert following["listed"] >= following["subscribed"] > 0
    assert following["failing"] is False
    assert 'ssmd_listing_requests_total{feed="test",shard="",status="200"}' in metrics
    [ledger] = collector.data.glob("*/test.ledger.jsonl")
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    asked = {entry["channel"]: entry["subscription"] for entry in entries if entry["event"] == "asked"}
    followed = [entry for entry in entries if entry["event"] == "followed"]
    assert {tuple(entry["channels"]) for entry in followed} == {("orderbook_delta", "trade")}
    times = {ticker: times for entry in followed for ticker, times in entry["markets"].items()}
    assert all(times[ticker][0] == born[ticker] for ticker in born)
    assert asked == {"orderbook_delta": 1, "trade": 1, LIFE_CYCLES: 2}
    assert list(collector.data.glob("*/test.listing.jsonl"))
    assert ssmd("verify", collector.data).returncode == 0


def test_validate_says_what_is_followed(tmp_path):
    tree = make_tree(tmp_path, ENDPOINT, "kalshi", "", FOLLOW)
    done = ssmd("validate", "--config-dir", tree)
    assert done.returncode == 0
    text = "follows the series KXSIMBTC: markets that are unopened, open or paused"
    assert f"ok: environments/test.yaml: {text}" in done.stdout.splitlines()
