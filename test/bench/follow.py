"""What following markets costs: the real `ssmd run` follows all markets of the simulated Kalshi.

    bin/bench --follow [--seconds=<s>] [--only=<numbers of markets>]

For each number of markets that are open it prints how long it took until all of them were subscribed to, what CPU time
that took, and then, over --seconds (30), the part of a core and the memory of the collector. Order books and trades are
followed, at 50 messages a second and the births that keep the number of markets.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from process import Collector, Simulator

from bench.figures import cpu_seconds

__all__ = ["MARKETS", "Cost", "main", "measure"]

MARKETS = (1_000, 10_000, 100_000)
PER_HOUR = {1_000: 1_000, 10_000: 1_000, 100_000: 10_000}
"""How many markets are born in an hour, so that so many are open at any time."""
OPEN_AFTER_SECONDS = 60
ENVIRONMENT = "subscribe: {channels: [orderbook_delta, trade], follow: all}\n"
MOST_SECONDS = 900.0
"""After so long without all of them being subscribed to, the measurement has failed."""


class Cost(NamedTuple):
    """What following costs the collector."""

    markets: int
    """How many are subscribed to."""
    listed_seconds: float
    """From the start of the process to the end of the first whole listing."""
    subscribed_seconds: float
    """From the start of the process until all of them are confirmed."""
    starting_cpu_seconds: float
    """CPU time until then."""
    requests: int
    """Requests to the REST interface until then."""
    share: float
    """The part of a core after that."""
    rss_mb: float
    """The most memory after that, in MB."""


def measure(folder: Path, markets: int, seconds: float) -> Cost:
    """Follow so many markets, and watch the collector for `seconds` once all are subscribed to.

    Raises TimeoutError when that is not so after 15 minutes.
    """
    births = PER_HOUR.get(markets, markets)
    life = markets * 3600 // births
    options = ["--births", births, "--life", life, "--open-after", OPEN_AFTER_SECONDS, "--market-limit", 2 * markets]
    with Simulator(*map(str, options)) as simulator:
        began = time.monotonic()
        with Collector(folder, simulator.endpoint, environment=ENVIRONMENT) as collector:
            collector.start_up()
            listed, following = _until_subscribed(collector, began)
            subscribed, cpu = time.monotonic() - began, cpu_seconds(collector.process.pid)
            most, until = 0.0, time.monotonic() + seconds
            while time.monotonic() < until:
                most = max(most, _rss_mb(collector.process.pid))
                time.sleep(0.5)
            used = cpu_seconds(collector.process.pid) - cpu
            share = used / (time.monotonic() - began - subscribed)
            collector.end()
    requests = sum(following["responses"].values())
    return Cost(following["subscribed"], listed, subscribed, cpu, requests, share, most)


def _until_subscribed(collector: Collector, began: float) -> tuple[float, dict[str, Any]]:
    """Wait until all markets are subscribed to; return when they were listed, and what /status says of them then."""
    listed = 0.0
    while time.monotonic() < began + MOST_SECONDS:
        following = json.loads(collector.get("/status")[1]).get("following")
        if following is not None and following["listed"] is not None:
            listed = listed or time.monotonic() - began
            if not following["not_subscribed"] and following["subscribed"] >= following["listed"]:
                return listed, following
        time.sleep(0.1)
    raise TimeoutError(f"not all markets were subscribed to within {MOST_SECONDS:.0f} s")


def _rss_mb(pid: int) -> float:
    status = dict(line.split(":", 1) for line in Path("/proc", str(pid), "status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1e3


def main(folder: Path, seconds: float, only: Sequence[int]) -> int:
    """Measure and print the table; return the exit code."""
    print("| markets | listed after | subscribed after | CPU until then | requests | CPU after | memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for markets in only or MARKETS:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            cost = measure(Path(scratch), markets, seconds)
        print(
            f"| {cost.markets:,} | {cost.listed_seconds:.1f} s | {cost.subscribed_seconds:.1f} s "
            f"| {cost.starting_cpu_seconds:.1f} s | {cost.requests} | {cost.share:.1%} | {cost.rss_mb:.0f} MB |",
            flush=True,
        )
    return 0
