"""A collector that ships what it records: the relay beside it, killed and frozen, and what /status says of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from moved_clock import MovedClock
from process import Collector, Simulator
from ship_runs import Site, relay_below, wait_until


@pytest.fixture(scope="module")
def simulator():
    with Simulator("--rate", "2000") as simulator:
        yield simulator


@pytest.fixture
def site(tmp_path, simulator):
    return Site(tmp_path, endpoint=simulator.endpoint)


def collecting(site: Site, exchange: Simulator | str, **more: Any) -> Collector:
    endpoint = exchange if isinstance(exchange, str) else exchange.endpoint
    collector = Collector(site.folder, endpoint, environment=site.environment, **more)
    collector.start_up()
    return collector


def shipping(collector: Collector) -> dict[str, Any]:
    """What /status says of it; empty when that is null."""
    return json.loads(collector.get("/status")[1])["shipping"] or {}


def wait_until_shipped(collector: Collector) -> None:
    """Wait until the engine has acknowledged some messages."""
    wait_until(lambda: shipping(collector).get("messages"))


def relay_of(collector: Collector) -> int:
    """The process that ships, once there is one."""
    found = [relay_below(collector.process.pid)]
    wait_until(lambda: found[0] or found.insert(0, relay_below(collector.process.pid)))
    assert found[0] is not None
    return found[0]


def is_up(collector: Collector) -> bool:
    return shipping(collector).get("up", False)


def metrics(collector: Collector) -> dict[str, float]:
    """The metrics of shipping, without their labels."""
    lines = collector.get("/metrics")[1].splitlines()
    lines = [line for line in lines if line.startswith(("ssmd_ship_", "ssmd_shipped_"))]
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.one_day
def test_the_copy_holds_all_that_is_recorded_when_the_collector_has_ended(site, simulator):
    with collecting(site, simulator) as collector:
        collector.wait_for_lines(500)
        wait_until_shipped(collector)
        found = shipping(collector)
        assert (found["engine"], found["failures"], found["error"]) == ("file", 0, None)
        assert found["until"]["line"] >= found["messages"] > 0
        shown = metrics(collector)
        assert shown["ssmd_ship_up"] == 1
        assert shown["ssmd_shipped_messages_total"] > 0
        assert set(shown) == {
            "ssmd_ship_up",
            "ssmd_ship_lag_bytes",
            "ssmd_ship_lag_seconds",
            "ssmd_shipped_messages_total",
            "ssmd_ship_failures_total",
        }
        assert collector.end() == 0
    assert site.copied() == site.recorded()
    of_relay = [entry for entry in collector.events if entry.get("companion") == "ship"]
    [stopped] = [entry for entry in of_relay if entry["event"] == "stopped"]
    assert (stopped["level"], stopped["reason"]) == ("info", "SIGTERM")


@pytest.mark.one_day
def test_the_relay_and_the_collector_may_be_killed_at_any_moment(site, simulator):
    random.seed(16)
    lines = 0
    for _ in range(8):
        lines = kill_one_of_both(site, simulator, lines)
    with collecting(site, simulator) as collector:
        wait_until(lambda: is_up(collector))
        assert collector.end() == 0
    assert site.copied() == site.recorded()


def kill_one_of_both(site: Site, simulator: Simulator, lines: int) -> int:
    """Collect some more lines, and kill the relay or the collector; return how many there are then."""
    with collecting(site, simulator) as collector:
        relay = relay_of(collector)
        collector.wait_for_lines(lines + 200)
        time.sleep(random.random() / 2)
        if random.random() < 0.5:
            os.kill(relay, signal.SIGKILL)
            wait_until(lambda: relay_of(collector) != relay and is_up(collector))
            assert shipping(collector)["error"] is None
            relay = relay_of(collector)
        collector.process.kill()
        collector.wait()
    wait_until(lambda: not Path(f"/proc/{relay}/cmdline").exists())  # Without its collector a relay ends by itself.
    return len(collector.lines())


@pytest.mark.one_day
def test_an_engine_that_is_away_is_shown_in_words_and_costs_the_collector_nothing(site, simulator):
    site.copy.rename(site.folder / "away")
    with collecting(site, simulator) as collector:
        wait_until(lambda: shipping(collector).get("error"))
        found = shipping(collector)
        assert found["error"] == f"{site.copy}: No such file or directory; is its disk mounted?"
        assert (found["up"], found["lag_bytes"], found["until"]) == (False, None, None)
        assert metrics(collector)["ssmd_ship_up"] == 0
        assert "ssmd_ship_lag_bytes" not in metrics(collector)
        assert metrics(collector)["ssmd_ship_failures_total"] >= 1
        wait_until(lambda: collector.get("/ready")[0] == 200)
        [line] = [entry for entry in [collector.wait_for("the engine failed")] if entry["companion"] == "ship"]
        assert (line["level"], line["reason"]) == ("warning", found["error"])
        (site.folder / "away").rename(site.copy)
        wait_until(lambda: is_up(collector))
        assert shipping(collector)["error"] is None
        assert collector.end() == 0
    assert site.copied() == site.recorded()


@pytest.mark.one_day
def test_a_relay_that_has_stopped_for_good_is_started_again_by_a_reload(site, simulator):
    with collecting(site, simulator) as collector:
        wait_until_shipped(collector)
        assert collector.end() == 0
    shutil.rmtree(site.copy)
    site.copy.mkdir()
    [day] = [name[:10] for name in site.recorded()]
    with collecting(site, simulator) as collector:
        collector.wait_for("companion is not started again before a reload")
        [state] = [each for each in json.loads(collector.get("/status")[1])["companions"] if each["name"] == "ship"]
        assert state["error"].startswith("the engine has nothing of this feed, although its copy ended at")
        assert site.ship("--once", "--resume-at", f"{day}/0").returncode == 0
        collector.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: is_up(collector))
        assert collector.end() == 0
    assert site.copied() == site.recorded()


@pytest.mark.one_day
def test_an_external_relay_is_not_started_by_the_collector(tmp_path, simulator):
    site = Site(tmp_path, ", relay: external", endpoint=simulator.endpoint)
    with collecting(site, simulator) as collector:
        collector.wait_for_lines(100)
        assert [each["name"] for each in json.loads(collector.get("/status")[1])["companions"]] == ["seal"]
        assert shipping(collector) == {}
        assert metrics(collector) == {}
        assert site.ship("--once").returncode == 0
        [copied], [recorded] = site.copied().values(), site.recorded().values()
        assert recorded.startswith(copied)
        assert len(copied) > 0
        assert collector.end() == 0


def test_at_midnight_it_goes_on_with_the_next_day(tmp_path):
    site = Site(tmp_path)
    clock = MovedClock(tmp_path)
    with collecting(site, "sim://kalshi?rate=1000", variables=clock.variables) as collector:
        wait_until_shipped(collector)
        clock.to_midnight()
        collector.wait_for("rotated")
        wait_until(lambda: len(site.copied()) == 2)
        assert collector.end() == 0
    assert site.copied() == site.recorded()
    assert len(site.copied()) == 2


def test_shards_are_shipped_side_by_side(tmp_path, simulator):
    markets = ", ".join(f"KXSIM-{letter}" for letter in "ABCDEFGH")
    site = Site(tmp_path, environment=f"subscribe: {{channels: [trade], market_tickers: [{markets}]}}\n")
    sharded = [collecting(site, simulator, options=("--shard", f"{index}/2")) for index in (1, 2)]
    for collector in sharded:
        with collector:
            wait_until_shipped(collector)
            assert collector.end() == 0
    assert site.copied() == site.recorded()
    assert len({name.rpartition("/")[2] for name in site.copied()}) == 2
