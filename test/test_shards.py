"""Several processes that share a feed: together they collect everything, into files of their own."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from exchange_server import eventually
from process import Collector, Simulator, make_tree, ssmd

from ssmd.contracts.shard import Shard

pytestmark = pytest.mark.one_day

MARKETS = [f"KXSIM-{letter}" for letter in "ABCDEFGH"]
SUBSCRIBE = (
    f"subscribe: {{channels: [orderbook_delta, trade, market_lifecycle_v2], market_tickers: [{', '.join(MARKETS)}]}}\n"
)


def files(data: Path, pattern: str) -> set[str]:
    return {path.name for path in data.glob(pattern)}


def ledger(data: Path, stem: str) -> list[dict[str, Any]]:
    [path] = data.glob(f"*/{stem}.ledger.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def is_ready(collector: Collector) -> bool:
    return collector.get("/ready")[0] == 200


def collector(folder: Path, simulator: Simulator, shard: Shard, subscribe: str = SUBSCRIBE) -> Collector:
    found = Collector(folder, simulator.endpoint, environment=subscribe, options=("--shard", str(shard)))
    found.start_up()
    return found


def test_the_shards_of_a_feed_collect_each_market_once(tmp_path):
    with Simulator("--rate", "200") as simulator, ExitStack() as stack:
        shards = [Shard(index, 3) for index in (1, 2, 3)]
        running = [stack.enter_context(collector(tmp_path, simulator, shard)) for shard in shards]
        states = []
        for each, shard in zip(running, shards, strict=True):
            eventually(partial(is_ready, each))
            states.append(json.loads(each.get("/status")[1]))
            assert f'ssmd_connected{{feed="test",shard="{shard.label}"}} 1.0\n' in each.get("/metrics")[1]
            assert each.events[-1]["shard"] == str(shard)
        eventually(lambda: len(files(tmp_path / "data", "*/*.jsonl")) == 6)
        assert [each.end() for each in running] == [0, 0, 0]
    data = tmp_path / "data"
    stems = [f"test+{shard.label}" for shard in shards]
    assert files(data, "*/*.jsonl") == {f"{stem}{end}" for stem in stems for end in (".jsonl", ".ledger.jsonl")}
    assert files(data, ".*.lock") == {f".{stem}.lock" for stem in stems}
    assert files(data, ".*.errors") <= {f".{stem}.errors" for stem in stems}
    for shard, state in zip(shards, states, strict=True):
        assert (state["feed"], state["shard"]) == ("test", shard.label)
        entries = ledger(data, f"test+{shard.label}")
        [started] = [entry for entry in entries if entry["event"] == "started"]
        assert started["shard"] == shard.label
        mine = [market for market in MARKETS if shard.takes(market)]
        asked = {entry["channel"]: entry["markets"] for entry in entries if entry["event"] == "asked"}
        lists = {"orderbook_delta": mine, "trade": mine} if mine else {}
        assert asked == (lists | {"market_lifecycle_v2": "all"} if shard.is_first else lists)
        [path] = data.glob(f"*/test+{shard.label}.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert {line["feed"] for line in lines} <= {"test"}
        of_markets = [line["data"] for line in lines if line["data"]["type"].startswith(("orderbook", "trade"))]
        assert {message["msg"]["market_ticker"] for message in of_markets} <= set(mine)


def messages(data: Path, shard: Shard) -> list[dict[str, Any]]:
    """What a shard has written so far."""
    return [json.loads(line)["data"] for path in data.glob(f"*/test+{shard.label}.jsonl") for line in whole_lines(path)]


def whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().rpartition(b"\n")[0].splitlines()


def lives(found: list[dict[str, Any]]) -> set[str]:
    return {json.dumps(each["msg"]) for each in found if "lifecycle" in each["type"]}


def traded(found: list[dict[str, Any]]) -> set[str]:
    return {each["msg"]["market_ticker"] for each in found if each["type"] == "trade"}


def test_shards_that_follow_have_the_life_cycles_of_all_markets_and_everything_else_once(tmp_path):
    data, shards = tmp_path / "data", [Shard(1, 2), Shard(2, 2)]
    subscribe = "subscribe: [{channels: [trade], follow: all}, {channels: [ticker]}]\n"

    def have_enough() -> bool:
        first, second = (messages(data, shard) for shard in shards)
        return len(lives(first) & lives(second)) > 10 and min(len(traded(first)), len(traded(second))) > 5

    with Simulator("--births", "20000", "--open-after", "1", "--rate", "200") as simulator, ExitStack() as stack:
        running = [stack.enter_context(collector(tmp_path, simulator, shard, subscribe)) for shard in shards]
        eventually(have_enough)
        assert [each.end() for each in running] == [0, 0]
    first, second = (messages(data, shard) for shard in shards)
    assert traded(first) & traded(second) == set()
    assert [any(each["type"] == "ticker" for each in found) for found in (first, second)] == [True, False]
    shown = ssmd("cat", "--type", "market_lifecycle_v2", "--shard", "1/2", data).stdout.splitlines()
    assert len(shown) == len(set(shown)) == sum(each["type"] == "market_lifecycle_v2" for each in first)


def test_a_shard_without_a_market_is_healthy_and_says_so(tmp_path):
    of = 4
    [market] = MARKETS[:1]
    [shard] = [Shard(index, of) for index in range(2, of + 1) if not Shard(index, of).takes(market)][:1]
    subscribe = f"subscribe: {{channels: [trade], market_tickers: [{market}]}}\ndata_timeout_seconds: 1\n"
    with Simulator() as simulator, collector(tmp_path, simulator, shard, subscribe) as idle:
        said = f"nothing of what the environment names is for shard {shard}, so no message is expected"
        idle.wait_for(said)
        eventually(lambda: idle.get("/ready")[0] == 200)
        state = json.loads(idle.get("/status")[1])
        assert (state["state"], state["notes"], state["missing"]) == ("collecting", [said], [])
        assert f'ssmd_idle{{feed="test",shard="{shard.label}"}} 1.0\n' in idle.get("/metrics")[1]
        with pytest.raises(AssertionError, match="after 2 s"):  # Twice the time-out for data, which does not count.
            idle.wait_for_lines(1, seconds=2)
        assert idle.end() == 0


def test_two_collectors_of_the_same_shard_are_refused_and_others_are_not(tmp_path):
    with Simulator() as simulator, collector(tmp_path, simulator, Shard(1, 2)) as first:
        eventually(lambda: first.get("/ready")[0] == 200)
        with collector(tmp_path, simulator, Shard(1, 2)) as second:
            assert second.wait() == 73
            assert "is writing the files of test+1of2 here" in second.events[-1]["reason"]
        with collector(tmp_path, simulator, Shard(2, 2)) as other:
            eventually(lambda: other.get("/ready")[0] == 200)
            assert (other.end(), first.end()) == (0, 0)


def test_the_variable_names_the_shard_too(tmp_path):
    with Simulator() as simulator:
        variables = {"SSMD_SHARD": "2/2"}
        with Collector(tmp_path, simulator.endpoint, environment=SUBSCRIBE, variables=variables) as one:
            one.start_up()
            assert one.events[-1]["shard"] == "2/2"
            eventually(lambda: files(tmp_path / "data", "*/*+2of2.jsonl") != set())
            assert one.end() == 0


REST = {"exchange": "kalshi", "kind": "rest", "endpoint": "http://127.0.0.1:1/"}
CLOSED = "schedule: {enforce: true, day_start: '00:00', day_end: '00:01', weekdays: [%s]}\n"
REQUESTS = "subscribe: {requests: [{path: /markets, every: 60s}]}\n"


@pytest.mark.parametrize(
    "fields",
    [
        {"exchange": "generic", "endpoint": "wss://feed.example/ws"},
        {**REST, "environment": REQUESTS},
        {**REST, "environment": REQUESTS + CLOSED % f"{datetime.now(UTC) + timedelta(days=3):%A}".lower()},
    ],
    ids=["generic", "rest", "closed"],
)
def test_what_cannot_be_divided_is_refused_at_once(tmp_path, fields):
    """Each shard would collect all of it."""
    fields = dict(fields)
    with Collector(tmp_path, fields.pop("endpoint"), options=("--shard", "2/2"), **fields) as refused:
        assert refused.wait() == 78
    [event] = [event for event in refused.events if event["level"] == "error"]
    assert "cannot be collected as shard 2/2: it is not known which of its messages or requests" in event["event"]


@pytest.mark.parametrize("shard", ["0/4", "5/4", "a", "1/0"])
def test_what_is_no_shard_ends_the_command_at_once(shard):
    ended = ssmd("run", "kalshi-sim", "--config-dir", "conf", "--shard", shard)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert f"--shard is '{shard}'; it must be" in ended.stderr


def test_a_shard_counts_its_own_part_of_the_markets_that_are_named(tmp_path):
    """Eight markets are too many for one connection, and not for the two of two shards."""
    with Simulator() as simulator, ExitStack() as stack:
        version = "  max_symbols_per_connection: 6\n"
        tree = make_tree(tmp_path, simulator.endpoint, "kalshi", version, SUBSCRIBE)
        done = ssmd("validate", "--config-dir", tree)
        assert done.returncode == 0
        message = "has 8 markets; the feed allows 6 (max_symbols_per_connection); remove some, or divide them among at "
        assert f"{message}least 2 shards with --shard" in done.stdout
        done = ssmd("run", "test", "--config-dir", tree, "--listen", "127.0.0.1:0")
        assert done.returncode == 78
        message = "subscribe: has 8 markets; the feed allows 6 (max_symbols_per_connection); remove some, or divide "
        assert f"{message}them among more shards with --shard" in done.stderr
        for index in (1, 2):
            options = ("--shard", f"{index}/2")
            found = Collector(tmp_path, simulator.endpoint, environment=SUBSCRIBE, version=version, options=options)
            stack.enter_context(found).start_up()
            found.wait_for("subscribed")
            assert found.end() == 0
