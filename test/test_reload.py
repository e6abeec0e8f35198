"""A reload: SIGUSR1 lets a run take another `subscribe` section, and nothing else. Real processes and signals."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from process import Collector, Simulator, make_tree

pytestmark = pytest.mark.one_day

TRADES = {"channels": ["trade"], "market_tickers": ["KXSIM-A", "KXSIM-B"]}
REFUSED = "reload refused; the run goes on as before"
IN_FORCE = "reloaded: the new subscribe section is in force"


def environment(subscribe: object, more: str = "") -> str:
    return f"subscribe: {json.dumps(subscribe)}\n{more}"


class Reloading:
    """A run, and the tree that it reads."""

    def __init__(self, folder: Path, endpoint: str, collector: Collector) -> None:
        self.folder, self.endpoint, self.collector = folder, endpoint, collector

    def write(self, subscribe: object, more: str = "", **tree: str) -> None:
        given = {"exchange": "kalshi", "version": ""} | tree
        make_tree(self.folder, self.endpoint, environment=environment(subscribe, more), **given)

    def reload(self, until: str) -> dict[str, Any]:
        """Send the signal; return the log line with which the reload ends."""
        self.collector.process.send_signal(signal.SIGUSR1)
        return self.collector.wait_for(until)

    def entries(self, event: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for path in self.collector.data.glob("*/test.ledger.jsonl") for line in path.open()]
        return [entry for entry in found if entry["event"] == event]

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.collector.get("/status")[1])
        return found


    def counts(self, name: str) -> tuple[Any, Any]:
        """Return how many markets of a channel are asked for, and how many are confirmed."""
        [channel] = [each for each in self.status()["channels"] or () if each["channel"] == name] or [{}]
        return channel.get("asked"), channel.get("confirmed_markets")


@contextmanager
def collecting(folder: Path, subscribe: object = TRADES, **more: Any) -> Iterator[Reloading]:
    with (
        Simulator("--rate", "200") as simulator,
        Collector(folder, simulator.endpoint, environment=environment(subscribe), **more) as collector,
    ):
        collector.start_up()
        yield Reloading(folder, simulator.endpoint, collector)


def test_a_changed_section_is_taken_on_the_open_connection(tmp_path: Path) -> None:
    with collecting(tmp_path) as run:
        run.collector.wait_for("subscribed")
        before = run.status()
        assert before["reconfigured"] is None
        run.write([{**TRADES, "market_tickers": ["KXSIM-B", "KXSIM-C"]}, {"channels": ["market_lifecycle_v2"]}])
        run.reload(IN_FORCE)
        assert run.collector.wait_for("subscribed")["channel"] == "market_lifecycle_v2"
        status = run.status()
        assert [channel["channel"] for channel in status["channels"]][:1] == ["trade"]
        assert status["configuration"] != before["configuration"]
        assert status["reconfigured"] > before["started"]
        run.collector.wait_for_lines(len(run.collector.lines()) + 200)
        assert run.collector.end() == 0
        assert len(run.entries("connected")) == 1, "there was no new connection"
        [reconfigured] = run.entries("reconfigured")
        assert reconfigured["configuration"] == status["configuration"]
        asked = [(each["channel"], each["action"], each["markets"]) for each in run.entries("asked")]
        assert asked[0] == ("trade", "subscribe", ["KXSIM-A", "KXSIM-B"])
        assert sorted(asked[1:], key=str) == [
            ("market_lifecycle_v2", "subscribe", "all"), ("trade", "add", ["KXSIM-C"]), ("trade", "remove", ["KXSIM-A"])
        ]
        commands = [command["cmd"] for each in run.entries("asked")[1:] for command in each["commands"]]
        assert sorted(commands) == ["subscribe", "update_subscription", "update_subscription"]
        trades = [json.loads(each) for each in run.collector.payloads()[-100:] if b'"trade"' in each]
        assert {each["msg"]["market_ticker"] for each in trades} == {"KXSIM-B", "KXSIM-C"}


def test_any_other_change_is_refused_by_name(tmp_path: Path) -> None:
    with collecting(tmp_path) as run:
        run.write({"channels": ["ticker"]}, "silent_after_seconds: 77\n", version="  rate_limit_per_second: 9\n")
        reason = run.reload(REFUSED)["reason"]
        assert "only `subscribe` may change in a run" in reason
        assert "silent_after_seconds" in reason
        assert "feed.versions[0].rate_limit_per_second" in reason
        assert "storage" not in reason
        count = len(run.collector.lines())
        run.collector.wait_for_lines(count + 100)
        run.write({"channels": ["trade", "ticker"]})
        run.reload(IN_FORCE)
        assert run.collector.end() == 0


def test_a_section_with_too_many_markets_for_the_feed_is_refused(tmp_path: Path) -> None:
    version = "  max_symbols_per_connection: 2\n"
    with collecting(tmp_path, version=version) as run:
        run.collector.wait_for("subscribed")
        run.write({**TRADES, "market_tickers": ["KXSIM-A", "KXSIM-B", "KXSIM-C"]}, version=version)
        assert "has 3 markets; the feed allows 2 (max_symbols_per_connection)" in run.reload(REFUSED)["reason"]
        run.write({**TRADES, "market_tickers": ["KXSIM-B", "KXSIM-C"]}, version=version)
        run.reload(IN_FORCE)
        assert run.collector.end() == 0


def test_a_tree_with_errors_is_refused_with_its_errors(tmp_path: Path) -> None:
    with collecting(tmp_path) as run:
        run.write({"chanels": ["ticker"]})
        assert "did you mean `channels`?" in run.reload(REFUSED)["reason"]
        (tmp_path / "conf" / "environments" / "test.yaml").write_text("name: [")
        assert "test.yaml" in run.reload(REFUSED)["reason"]
        run.write(TRADES)
        run.reload("reloaded: nothing has changed")
        run.collector.wait_for_lines(len(run.collector.lines()) + 100)
        assert run.collector.end() == 0
        assert run.entries("reconfigured") == []


def test_many_reloads_at_once_end_with_the_last_section(tmp_path: Path) -> None:
    with collecting(tmp_path) as run:
        for number in range(20):
            run.write({**TRADES, "market_tickers": ["KXSIM-A", f"KXSIM-{number}"]})
            run.collector.process.send_signal(signal.SIGUSR1)
        run.write({**TRADES, "market_tickers": ["KXSIM-Z"]})
        run.collector.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + PATIENCE
        while (counts := run.counts("trade")) != (1, 1):
            assert time.monotonic() < until, counts
            time.sleep(0.05)
        assert run.reload("reloaded: nothing has changed")
        assert run.collector.end() == 0


def test_a_reload_without_a_connection_and_one_at_the_end_are_harmless(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"ws://127.0.0.1:{silent.getsockname()[1]}/trade-api/ws/v2"
        with Collector(tmp_path, endpoint, environment=environment(TRADES)) as collector:
            collector.start_up()
            run = Reloading(tmp_path, endpoint, collector)
            run.write({"channels": ["ticker"]})
            run.reload("reloading the metadata")
            collector.process.send_signal(signal.SIGTERM)
            collector.process.send_signal(signal.SIGUSR1)
            assert collector.wait() == 0


def test_sighup_goes_on_ending_a_run(tmp_path: Path) -> None:
    with collecting(tmp_path) as run:
        run.collector.process.send_signal(signal.SIGHUP)
        assert run.collector.wait() == 0


def test_the_dialect_generic_refuses_a_reload_with_one_line(tmp_path: Path) -> None:
    one, two = ({"messages": [{"op": "subscribe", "channel": name}]} for name in ("A", "B"))
    with (
        Simulator("--exchange", "bitstamp") as simulator,
        Collector(tmp_path, simulator.endpoint, exchange="generic", environment=environment(one)) as collector,
    ):
        collector.start_up()
        collector.wait_for("connected")
        run = Reloading(tmp_path, simulator.endpoint, collector)
        run.write(two, exchange="generic")
        text = "the dialect `generic` cannot change `subscribe` on an open connection; restart the run"
        assert run.reload(REFUSED)["reason"] == text
        assert collector.end() == 0


def test_other_markets_are_followed_after_a_reload(tmp_path: Path) -> None:
    """What was followed and is not any more is removed; what is followed now is listed and added."""
    endpoint = "sim://kalshi?rate=100&births=20000&open-after=6&life=600"
    sections = [[{"channels": ["trade"], "follow": {"series": [series]}}] for series in ("KXSIMBTC", "KXSIMETH")]
    with Collector(tmp_path, endpoint, environment=environment(sections[0])) as collector:
        collector.start_up()
        collector.wait_for("subscribed")
        run = Reloading(tmp_path, endpoint, collector)
        run.write(sections[1])
        run.reload(IN_FORCE)
        until = time.monotonic() + PATIENCE
        # An answer to a change lists all markets of the subscription.
        while not any(b'"ok"' in each and b"KXSIMETH-" in each and b"KXSIMBTC" not in each
                      for each in collector.payloads()):
            assert time.monotonic() < until
            time.sleep(0.2)
        assert collector.end() == 0
    asked = [each for each in run.entries("asked") if each["channel"] == "trade"]
    gone = {name for each in asked if each["action"] == "remove" for name in each["markets"]}
    came = {name for each in asked if each["action"] != "remove" for name in each["markets"]}
    before = {name for name in came if name.startswith("KXSIMBTC-")}
    assert before
    assert gone == before
    assert any(name.startswith("KXSIMETH-") for name in came)
