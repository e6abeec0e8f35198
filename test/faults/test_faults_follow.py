"""Markets that are born by the thousand are followed through kills at random moments, refusals and lost messages.

What `report` says of each market is true by the recorded messages, and none is left out that was open while somebody
listened.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import defaultdict

import pytest
from process import Collector, Simulator, ssmd
from test_followed_markets import is_true, messages, seconds
from universe import read

from ssmd.sim.births import SECOND, Births

pytestmark = pytest.mark.one_day

BIRTHS = {"births": "3000", "open-after": "1800", "life": "300", "faster": "60"}
LIMITS = ("--request-limit", "12", "--command-limit", "30", "--market-limit", "4000", "--rate", "300")
FAULTS = ("--fault", "lose-lifecycle=0.1", "--fault", "rest-html=19", "--fault", "rest-cut=21")
FOLLOW = """subscribe:
- channels: [orderbook_delta, trade]
  follow: all
- channels: [market_lifecycle_v2]
keep_listing: true
"""
KILLS = 4
LISTED = 1
"""A run that lists the markets before it is killed."""


def wait_for_a_market_to_come_and_go(ended: float) -> None:
    """Markets are announced half a minute before they open: some of those in the list open and close meanwhile."""
    life = int(BIRTHS["life"]) / int(BIRTHS["faster"])
    while time.time() < ended + 2 * life:
        time.sleep(0.1)


def test_after_kills_at_random_the_report_is_true_of_every_market(tmp_path):
    moments = random.Random(15)
    births = [text for name, value in BIRTHS.items() for text in (f"--{name}", value)]
    out: list[tuple[float, float]] = []
    """From the end of a run to when the next one has listed the markets."""
    since = ended = 0.0
    with Simulator(*births, *LIMITS, *FAULTS) as simulator:
        for number in range(KILLS + 1):
            if number == LISTED + 1:
                wait_for_a_market_to_come_and_go(ended)
            with Collector(tmp_path, simulator.endpoint, environment=FOLLOW) as collector:
                collector.start_up()
                collector.wait_for("connected")
                is_listed = moments.random() < 0.7 or number in (LISTED, KILLS)
                if is_listed:
                    out.append((since, seconds(collector.wait_for("markets listed")["ts"])))
                collector.wait_for_lines(len(collector.lines()) + moments.randrange(500, 8000))
                collector.process.send_signal(moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                collector.process.communicate()
                ended = max((at for _, at, _ in messages(collector)), default=ended)
                since = ended if is_listed else since
    data = tmp_path / "data"
    verified = ssmd("verify", data)
    assert verified.returncode == 0, verified.stdout
    assert "followed markets were not collected at some time while they were open" in verified.stdout + verified.stderr
    done = ssmd("report", "--markets", "--json", data)
    assert done.returncode == 0
    markets = {each["market"]: each for each in map(json.loads, done.stdout.splitlines())}
    came = defaultdict(list)
    for name, at, kind in messages(collector):
        came[name].append((at, kind))
    assert {name: each for name, each in markets.items() if not is_true(each, came[name], ended)} == {}
    recorded = read(data, "test", 1, Births.parse(BIRTHS))
    first, last = recorded.first_us / SECOND, ended - 30  # The list of new markets has those whose messages are lost.
    unknown = [
        (max(each.open_us / SECOND, first), each.close_us / SECOND)
        for each in recorded.records
        if each.ticker not in markets and max(each.open_us / SECOND, first) < min(each.close_us / SECOND, last)
    ]
    # Nobody has seen them: they opened and closed while nobody listened.
    assert [
        (opens, closes)
        for opens, closes in unknown
        if not any(begin - 1 <= opens and closes <= end + 1 for begin, end in out)
    ] == []
    assert {each["collected"] for each in markets.values()} == {"all", "part", "never"}
