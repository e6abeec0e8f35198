"""What was asked for and does not come, with real processes: it is in log, ledger, probes and metrics."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from process import Collector, Simulator, ssmd

pytestmark = pytest.mark.one_day

MARKETS = "market_tickers: [KXSIM-A, KXSIM-B]"
SUBSCRIBE = f"subscribe: {{channels: [orderbook_delta, ticker, trade, market_lifecycle_v2], {MARKETS}}}\n"
DIVIDED = f"subscribe:\n- {{channels: [orderbook_delta], {MARKETS}}}\n- {{channels: [trade], {MARKETS}}}\n"
RATE = "rate=500"


def answer_when(collector: Collector, path: str, condition: Callable[[int, str], object]) -> str:
    """Ask until the code and the body of the answer satisfy a condition; return the body."""
    until = time.monotonic() + 60
    while True:
        code, body = collector.get(path)
        if condition(code, body):
            return body
        assert time.monotonic() < until, body
        time.sleep(0.05)


def ready_when(collector: Collector, condition: Callable[[int, str], object]) -> str:
    """Wait until /ready satisfies a condition; return the reason that it gives, empty without one."""
    return str(json.loads(answer_when(collector, "/ready", condition)).get("reason", ""))


def entries(collector: Collector, *events: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for path in sorted(collector.data.glob("*/test.ledger.jsonl")) for line in path.open()]
    return [entry for entry in found if entry["event"] in events]


def test_a_channel_that_falls_silent_is_reported_everywhere(tmp_path):
    """The others go on, so that nothing else would show it."""
    endpoint = f"sim://kalshi?{RATE}&mute-after=500:trade"
    with Collector(tmp_path, endpoint, environment=f"silent_after_seconds: 3\n{SUBSCRIBE}") as collector:
        collector.start_up()
        silent = collector.wait_for("channel silent")
        reason = ready_when(collector, lambda code, body: code == 503)
        metrics, status = collector.get("/metrics")[1], json.loads(collector.get("/status")[1])
        assert collector.end() == 0
    assert (silent["channel"], silent["seconds"], silent["level"]) == ("trade", 3, "warning")
    assert re.fullmatch(r"trade: no message for \d+ s", reason)
    for channel in ("orderbook_delta", "ticker", "trade", "market_lifecycle_v2"):
        value = "1.0" if channel == "trade" else "0.0"
        assert f'ssmd_channel_silent{{channel="{channel}",feed="test"}} {value}\n' in metrics
    assert status["state"] == "incomplete"
    assert [one["channel"] for one in status["channels"] if one["silent"]] == ["trade"]
    [entry] = entries(collector, "silent", "heard")
    assert (entry["event"], entry["channel"], entry["since"]) == ("silent", "trade", silent["since"])
    lines = collector.lines()
    assert any(b'"type":"trade"' in line for line in lines[: entry["line"]])
    assert not any(b'"type":"trade"' in line for line in lines[entry["line"] :])


def test_the_time_out_of_a_channel_ends_the_run_after_all_is_written(tmp_path):
    endpoint = f"sim://kalshi?{RATE}&mute-after=500:trade"
    limits = "channel_timeout_seconds: {trade: 3, ticker: 3}\n"
    with Collector(tmp_path, endpoint, environment=limits + SUBSCRIBE) as collector:
        assert collector.wait() == 75
    reason = "no message of the channel trade came for 3 s (channel_timeout_seconds)"
    stopped = collector.events[-1]
    assert (stopped["event"], stopped["reason"], stopped["messages"]) == ("stopped", reason, len(collector.lines()))
    disconnected, ended = entries(collector, "disconnected", "stopped")
    assert (disconnected["reason"], disconnected["code"]) == (reason, None)
    assert (ended["reason"], ended["line"]) == (reason, len(collector.lines()))
    assert ssmd("verify", collector.data).returncode == 0


def test_a_process_that_was_stopped_takes_nothing_for_silence(tmp_path):
    limits = "silent_after_seconds: 3\nchannel_timeout_seconds: {trade: 3}\n"
    with (
        Simulator("--rate", "500") as simulator,
        Collector(tmp_path, simulator.endpoint, environment=limits + SUBSCRIBE) as collector,
    ):
        collector.wait_for_lines(100)
        collector.process.send_signal(signal.SIGSTOP)
        time.sleep(5)  # Longer than the limits.
        stopped_with = len(collector.lines())
        collector.process.send_signal(signal.SIGCONT)
        collector.wait_for_lines(stopped_with + 2000)
        assert collector.end() == 0
    assert "channel silent" not in {event["event"] for event in collector.events}
    assert entries(collector, "silent", "disconnected") == []


def test_a_refused_channel_is_missing_while_the_rest_is_collected(tmp_path):
    endpoint = f"sim://kalshi?{RATE}&refuse=trade:26"
    with Collector(tmp_path, endpoint, environment=DIVIDED) as collector:
        collector.start_up()
        refused = collector.wait_for("refused by the exchange")
        reason = ready_when(collector, lambda code, body: code == 503 and "trade" in body)
        # The channels are looked at once a second.
        status = json.loads(answer_when(collector, "/status", lambda code, body: json.loads(body)["channels"]))
        collector.wait_for_lines(100)
        assert collector.end() == 0
    assert (refused["channel"], refused["code"]) == ("trade", 26)
    assert "trade: refused by the exchange (error 26)" in reason.split("; ")
    assert [one["channel"] for one in status["channels"] if one["refused"]] == ["trade"]
    [entry] = entries(collector, "refused")
    assert (entry["channel"], entry["code"]) == ("trade", 26)
    assert b'"type":"error"' in collector.lines()[entry["line"]]


def test_from_a_gap_on_the_books_are_missing_until_they_have_come(tmp_path):
    """The book of one market does not come, so that there is time to see it."""
    endpoint = f"sim://kalshi?{RATE}&gap-after=300:orderbook_delta&no-snapshot=KXSIM-A"
    with Collector(tmp_path, endpoint, environment=SUBSCRIBE) as collector:
        collector.start_up()
        ready_when(collector, lambda code, body: code == 200)
        reason = ready_when(collector, lambda code, body: code == 503)
        pending = re.compile(r'^ssmd_books_pending\{channel="orderbook_delta",feed="test"\} [12]', re.MULTILINE)
        answer_when(collector, "/metrics", lambda code, body: pending.search(body))
        assert collector.end() == 0
    assert reason == "orderbook_delta: order books are not known since a gap"
    gap, requested = entries(collector, "gap", "snapshot_requested")
    assert (requested["why"], requested["markets"]) == ("gap", ["KXSIM-A", "KXSIM-B"])
    assert gap["line"] <= requested["line"]


def test_after_a_gap_the_run_is_ready_again_when_the_books_have_come(tmp_path):
    endpoint = f"sim://kalshi?{RATE}&gap-after=300:orderbook_delta"
    with Collector(tmp_path, endpoint, environment=SUBSCRIBE) as collector:
        collector.start_up()
        collector.wait_for("sequence gap")
        collector.wait_for("order books asked for again")
        assert ready_when(collector, lambda code, body: code == 200) == ""
        assert collector.end() == 0
    events = [entry["event"] for entry in entries(collector, "gap", "snapshot_requested", "snapshots_received")]
    assert events == ["snapshots_received", "gap", "snapshot_requested", "snapshots_received"]


def test_markets_that_never_send_are_named(tmp_path):
    endpoint = f"sim://kalshi?{RATE}&unknown-market=KXSIM-B"
    with Collector(tmp_path, endpoint, environment=f"silent_after_seconds: 3\n{SUBSCRIBE}") as collector:
        collector.start_up()
        unheard = collector.wait_for("markets never heard from")
        status = json.loads(collector.get("/status")[1])
        assert collector.end() == 0
    assert (unheard["of"], unheard["count"], unheard["markets"]) == (2, 1, "KXSIM-B")
    trade = next(one for one in status["channels"] if one["channel"] == "trade")
    assert (trade["asked"], trade["heard"], trade["unheard"]) == (2, 1, ["KXSIM-B"])


@pytest.mark.parametrize(("page", "fields"), [("off", 3), ("status", None)])
def test_how_much_the_page_shows_can_be_chosen(tmp_path, page, fields):
    endpoint = f"sim://kalshi?{RATE}&unknown-market=KXSIM-B"
    with Collector(tmp_path, endpoint, environment=SUBSCRIBE, options=("--page", page)) as collector:
        collector.start_up()
        collector.wait_for_lines(200)
        text = collector.get("/status")[1]
        assert collector.end() == 0
    assert json.loads(text)["format"] == 1
    assert fields in (None, len(json.loads(text)))
    assert "KXSIM" not in text


def test_another_page_is_a_wrong_usage(tmp_path):
    done = ssmd("run", "test", "--config-dir", tmp_path, "--page", "all")
    assert (done.returncode, json.loads(done.stderr)["event"]) == (64, "--page is 'all'; it may be off, status, full")
