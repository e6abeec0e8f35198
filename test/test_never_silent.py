"""What was asked for and does not come is reported: each refusal, silence, partial confirmation and gap.

Real processes: `ssmd run` collects from `ssmd sim`. Each is looked for where an operator looks: the log, /ready,
/metrics, /status and the ledger.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gevent
import pytest
from moved_clock import FastClocks
from patience import PATIENCE
from process import Collector, Simulator, ssmd

pytestmark = pytest.mark.one_day

BOOKS = ["KXSIM-A", "KXSIM-B", "KXSIM-C"]
ALL = {"channels": ["orderbook_delta", "ticker", "trade"], "market_tickers": BOOKS}
NONE: Mapping[str, str] = MappingProxyType({})
SILENT = 3
"""The seconds of silence after which the environments here have a channel reported."""
CONFIRMED = 10
"""The seconds that the exchange has to confirm what was asked for."""
TICK = 2
"""The seconds within which what is due is reported: the channels are looked at once a second."""
NEVER_HEARD = (
    "markets never heard from: quiet, settled, misspelt or in the wrong case; if only quiet, raise silent_after_seconds"
)


@contextmanager
def collecting(
    folder: Path,
    *options: str,
    subscribe: object = ALL,
    run_options: Sequence[str] = (),
    variables: Mapping[str, str] = NONE,
    version: str = "",
    **environment: object,
) -> Iterator[Collector]:
    """A collector that has started, of a simulator with these options."""
    fields = {"subscribe": subscribe, "silent_after_seconds": SILENT} | environment
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
    with (
        Simulator("--rate", "200", *options) as simulator,
        Collector(
            folder, simulator.endpoint, version=version, environment=text, options=run_options, variables=variables
        ) as collector,
    ):
        collector.start_up()
        yield collector


def entries(collector: Collector, event: str) -> list[dict[str, Any]]:
    lines = [line for path in collector.data.glob("*/test.ledger.jsonl") for line in path.open("rb")]
    found = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [entry for entry in found if entry["event"] == event]


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def eventually(condition: Any, seconds: float = PATIENCE) -> Any:
    """Wait until the condition returns something; return that."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def not_ready(collector: Collector) -> str:
    """Return the reason why the collector is not ready; empty when it is."""
    status, body = collector.get("/ready")
    return "" if status == 200 else json.loads(body)["reason"]


def metric(collector: Collector, name: str, channel: str) -> float | None:
    """Return the value of a channel's metric; None when there is no such series."""
    series = rf'^{name}{{channel="{channel}",feed="test",shard=""}} (\S+)$'
    found = re.search(series, collector.get("/metrics")[1], re.MULTILINE)
    return float(found.group(1)) if found else None


def channel(collector: Collector, name: str) -> dict[str, Any]:
    """Return what /status says of a channel, as soon as the channels have been looked at."""
    channels = eventually(lambda: json.loads(collector.get("/status")[1])["channels"])
    [found] = [each for each in channels if each["channel"] == name]
    return found


class Readiness:
    """What /ready answers all the time, from a greenlet of its own."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.answers: list[tuple[float, int]] = []
        """The time before each request, Unix seconds, and the status."""

    def __enter__(self) -> Readiness:
        self._asking = gevent.spawn(self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self._asking.kill()

    def _ask(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # At the end of the run nobody answers.
                self.answers.append((time.time(), self._collector.get("/ready")[0]))
            gevent.sleep(0.02)

    def between(self, earlier: str, later: str) -> list[int]:
        begin, end = (datetime.fromisoformat(each).timestamp() for each in (earlier, later))
        return [status for at, status in self.answers if begin < at < end]


def test_all_that_was_asked_for_is_asked_confirmed_and_heard(tmp_path: Path) -> None:
    """The other tests of this file show what is reported when something does not come."""
    with collecting(tmp_path) as collector:
        eventually(lambda: metric(collector, "ssmd_channel_heard_markets", "orderbook_delta") == 3)
        assert not_ready(collector) == ""
        for name in ALL["channels"]:
            assert metric(collector, "ssmd_channel_asked_markets", name) == 3
            assert metric(collector, "ssmd_channel_confirmed", name) == 1
            assert metric(collector, "ssmd_channel_silent", name) == 0
        assert metric(collector, "ssmd_books_pending", "orderbook_delta") == 0
        assert {entry["channel"] for entry in entries(collector, "asked")} == set(ALL["channels"])
        assert [entry["markets"] for entry in entries(collector, "asked")] == [BOOKS] * 3
        assert collector.end() == 0
    assert entries(collector, "refused") == entries(collector, "silent") == []


@pytest.mark.parametrize(("code", "ending"), [(9, 78), (10, 75)])
def test_a_refused_channel_ends_the_run_with_what_the_exchange_said(tmp_path: Path, code: int, ending: int) -> None:
    with collecting(tmp_path, "--fault", f"refuse=trade:{code}") as collector:
        assert collector.wait() == ending
    assert f"Kalshi error {code}" in collector.events[-1]["reason"]


def test_a_subscription_at_its_limit_keeps_what_was_confirmed_and_says_what_is_missing(tmp_path: Path) -> None:
    tickers = [f"KXMANY-{number:03d}" for number in range(203)]
    subscribe = {"channels": ["orderbook_delta"], "market_tickers": tickers}
    with collecting(tmp_path, "--market-limit", "200", subscribe=subscribe) as collector:
        refused = collector.wait_for("refused by the exchange")
        assert (refused["channel"], refused["code"]) == ("orderbook_delta", 26)
        assert re.search(r"\b3\b", refused["text"])
        assert "error 26" in not_ready(collector)
        collector.wait_for_lines(len(collector.lines()) + 300)
        assert "error 26" in not_ready(collector)
        eventually(lambda: metric(collector, "ssmd_channel_asked_markets", "orderbook_delta") == 203)
        assert metric(collector, "ssmd_channel_confirmed_markets", "orderbook_delta") == 200
        assert collector.end() == 0
    [entry] = entries(collector, "refused")
    assert (entry["channel"], entry["code"]) == ("orderbook_delta", 26)
    assert json.loads(collector.lines()[entry["line"]])["data"]["msg"]["code"] == 26


def test_a_channel_at_its_limit_is_missing_while_the_others_are_collected(tmp_path: Path) -> None:
    subscribe = [{"channels": [name], "market_tickers": BOOKS} for name in ("orderbook_delta", "trade")]
    with collecting(tmp_path, "--fault", "refuse=trade:26", subscribe=subscribe) as collector:
        assert collector.wait_for("refused by the exchange")["channel"] == "trade"
        assert "trade: refused by the exchange (error 26)" in not_ready(collector)
        collector.wait_for_lines(len(collector.lines()) + 100)
        assert [channel(collector, name)["refused"] for name in ("trade", "orderbook_delta")] == [True, False]
        assert collector.end() == 0
    [entry] = entries(collector, "refused")
    assert (entry["channel"], entry["code"]) == ("trade", 26)


def test_too_many_commands_are_sent_again_until_all_is_confirmed(tmp_path: Path) -> None:
    tickers = [f"KXMANY-{number:04d}" for number in range(1000)]
    subscribe = {"channels": ["orderbook_delta"], "market_tickers": tickers}
    with collecting(tmp_path, "--command-limit", "2", subscribe=subscribe) as collector:
        eventually(lambda: metric(collector, "ssmd_channel_confirmed_markets", "orderbook_delta") == 1000)
        eventually(lambda: metric(collector, "ssmd_books_pending", "orderbook_delta") == 0)
        eventually(lambda: not_ready(collector) == "")
        assert collector.end() == 0
    codes = [message["msg"]["code"] for message in map(json.loads, collector.payloads()) if message["type"] == "error"]
    assert set(codes) == {27}


def test_with_a_limit_too_many_commands_are_never_sent(tmp_path: Path) -> None:
    """The exchange allows twice as many, so that one which is late cannot meet the next."""
    tickers = [f"KXMANY-{number:04d}" for number in range(1000)]
    subscribe = {"channels": ["trade"], "market_tickers": tickers}
    limit = "  rate_limit_per_second: 1\n"
    with collecting(tmp_path, "--command-limit", "2", subscribe=subscribe, version=limit) as collector:
        eventually(lambda: metric(collector, "ssmd_channel_confirmed_markets", "trade") == 1000)
        assert collector.end() == 0
    assert not [message for message in map(json.loads, collector.payloads()) if message["type"] == "error"]
    assert [event["still_to_send"] for event in collector.events if "still_to_send" in event] == [4]


def test_markets_that_are_not_confirmed_are_named_and_the_run_is_not_ready(tmp_path: Path) -> None:
    tickers = [f"KXMANY-{number:03d}" for number in range(203)]
    subscribe = {"channels": ["orderbook_delta"], "market_tickers": tickers}
    faults = ("--fault", "unknown-market=KXMANY-201", "--fault", "unknown-market=KXMANY-202")
    with collecting(tmp_path, *faults, subscribe=subscribe) as collector:
        reason = eventually(lambda: not_ready(collector) if "confirmed" in not_ready(collector) else "")
        found = re.search(r"orderbook_delta: 2 of 203 markets not confirmed for (\d+) s", reason)
        assert CONFIRMED <= int(found.group(1)) <= CONFIRMED + TICK
        assert metric(collector, "ssmd_channel_confirmed_markets", "orderbook_delta") == 201
        assert metric(collector, "ssmd_channel_confirmed", "orderbook_delta") == 0
        assert collector.end() == 0


def test_markets_that_were_never_heard_from_are_named(tmp_path: Path) -> None:
    """As one that is settled, misspelt or in small letters: Kalshi confirms the channel without a list."""
    with collecting(tmp_path, "--fault", "unknown-market=KXSIM-B") as collector:
        seen = [collector.wait_for(NEVER_HEARD) for _ in ALL["channels"]]
        assert {event["channel"] for event in seen} == set(ALL["channels"])
        assert [event["markets"] for event in seen] == ["KXSIM-B"] * 3
        assert all(SILENT <= event["seconds"] <= SILENT + TICK for event in seen)
        assert metric(collector, "ssmd_channel_heard_markets", "trade") == 2
        trade = channel(collector, "trade")
        assert (trade["asked"], trade["heard"], trade["unheard"]) == (3, 2, ["KXSIM-B"])
        assert collector.end() == 0


def test_a_silent_channel_is_reported_while_others_flow(tmp_path: Path) -> None:
    with collecting(tmp_path, "--fault", "mute-after=200:trade") as collector, Readiness(collector) as readiness:
        silent = collector.wait_for("channel silent")
        eventually(lambda: "trade: no message" in not_ready(collector))
        assert metric(collector, "ssmd_channel_silent", "trade") == 1
        assert metric(collector, "ssmd_channel_silent", "ticker") == 0
        assert [channel(collector, name)["silent"] for name in ("trade", "ticker")] == [True, False]
        assert json.loads(collector.get("/status")[1])["state"] == "incomplete"
        collector.wait_for_lines(len(collector.lines()) + 100)
        assert collector.end() == 0
    lines = [json.loads(line) for line in collector.lines()]
    last = [line["ts"] for line in lines if line["data"]["type"] == "trade"][-1]
    [entry] = entries(collector, "silent")
    assert (entry["channel"], entry["since"]) == (silent["channel"], silent["since"]) == ("trade", silent["since"])
    assert entries(collector, "heard") == []
    assert SILENT - 1 <= seconds_between(last, entry["ts"]) <= SILENT + TICK
    assert abs(seconds_between(last, entry["since"])) <= 1
    assert set(readiness.between(silent["ts"], lines[-1]["ts"])) == {503}


def test_a_channels_time_out_ends_the_run(tmp_path: Path) -> None:
    faults = ("--fault", "mute-after=200:trade")
    with collecting(tmp_path, *faults, channel_timeout_seconds={"trade": SILENT}) as collector:
        assert collector.wait() == 75
    stopped = collector.events[-1]
    assert stopped["reason"] == f"no message of the channel trade came for {SILENT} s (channel_timeout_seconds)"
    assert stopped["messages"] == len(collector.lines())
    assert ssmd("verify", collector.data).returncode == 0
    lines = [json.loads(line) for line in collector.lines()]
    last = [line["ts"] for line in lines if line["data"]["type"] == "trade"][-1]
    [entry] = entries(collector, "disconnected")
    assert (entry["reason"], entry["code"], entry["line"]) == (stopped["reason"], None, len(lines))
    assert SILENT - 1 <= seconds_between(last, entry["ts"]) <= SILENT + TICK


def test_time_in_which_the_process_was_stopped_does_not_count_as_silence(tmp_path: Path) -> None:
    timeout = {"trade": SILENT + 1}
    with collecting(tmp_path, channel_timeout_seconds=timeout) as collector:
        collector.wait_for_lines(200)
        collector.process.send_signal(signal.SIGSTOP)
        time.sleep(SILENT + 2)
        collector.process.send_signal(signal.SIGCONT)
        collector.wait_for_lines(len(collector.lines()) + 400)
        assert not_ready(collector) == ""
        assert collector.end() == 0
    assert entries(collector, "silent") == []


def test_books_are_asked_for_after_a_gap_and_the_run_is_ready_when_they_have_come(tmp_path: Path) -> None:
    """The next test shows that it is not ready until then."""
    with collecting(tmp_path, "--fault", "gap-after=400:orderbook_delta") as collector:
        collector.wait_for("sequence gap")
        eventually(lambda: not_ready(collector) == "")
        assert collector.end() == 0
    [gap], [requested] = entries(collector, "gap"), entries(collector, "snapshot_requested")
    assert (requested["why"], sorted(requested["markets"])) == ("gap", BOOKS)
    [received] = [entry for entry in entries(collector, "snapshots_received") if entry["line"] > gap["line"]]
    assert (received["markets"], received["missing"]) == (len(BOOKS), [])


def test_a_book_that_does_not_come_again_keeps_the_run_from_being_ready(tmp_path: Path) -> None:
    faults = ("--fault", "gap-after=400:orderbook_delta", "--fault", "no-snapshot=KXSIM-B")
    with collecting(tmp_path, *faults) as collector, Readiness(collector) as readiness:
        noticed = collector.wait_for("sequence gap")
        eventually(lambda: metric(collector, "ssmd_books_pending", "orderbook_delta") == 1)
        assert "orderbook_delta: order books not known since a gap" in not_ready(collector)
        collector.wait_for_lines(len(collector.lines()) + 400)
        assert "orderbook_delta: order books not known since a gap" in not_ready(collector)
        assert collector.end() == 0
    [gap] = entries(collector, "gap")
    assert set(readiness.between(noticed["ts"], collector.events[-1]["ts"])) == {503}
    assert [entry for entry in entries(collector, "snapshots_received") if entry["line"] > gap["line"]] == []


@pytest.mark.one_day(300)
@pytest.mark.parametrize("fault", ["gap", "unknown"])
def test_a_book_that_was_asked_for_three_times_is_named_as_missing(tmp_path: Path, fault: str) -> None:
    """At most once in 30 s, which pass in 3 s here."""
    clocks = FastClocks(tmp_path, 10)
    if fault == "gap":
        faults = ["--fault", "gap-after=400:orderbook_delta", "--fault", "no-snapshot=KXSIM-B"]
    else:
        faults = ["--fault", "unknown-market=KXSIM-B"]
    with collecting(tmp_path, *faults, variables=clocks.variables) as collector:
        clocks.begin()

        def reason() -> str:
            return found if "not sent" in (found := not_ready(collector)) else ""

        assert "orderbook_delta: 1 order book not sent by the exchange" in eventually(reason)
        assert metric(collector, "ssmd_books_missing", "orderbook_delta") == 1
        assert channel(collector, "orderbook_delta")["books_missing"] == 1
        unsent = collector.wait_for("the exchange sends no order book of some markets; remove those that are settled")
        assert unsent["markets"] == "KXSIM-B"
        assert collector.end() == 0
    requested = [entry["markets"] for entry in entries(collector, "snapshot_requested")]
    assert requested == [BOOKS if fault == "gap" else ["KXSIM-B"], ["KXSIM-B"], ["KXSIM-B"]]
    received = entries(collector, "snapshots_received")[-1]
    assert (received["markets"], received["missing"]) == (2, ["KXSIM-B"])


def test_a_gap_of_books_ends_the_run_where_that_is_chosen(tmp_path: Path) -> None:
    faults = ("--fault", "gap-after=400:orderbook_delta")
    with collecting(tmp_path, *faults, snapshots={"after_gap": "end"}) as collector:
        assert collector.wait() == 75
    assert "orderbook_delta" in collector.events[-1]["reason"]


def test_a_gap_of_trades_is_counted_and_asks_for_no_books(tmp_path: Path) -> None:
    with collecting(tmp_path, "--fault", "gap-after=400:trade") as collector:
        collector.wait_for("sequence gap")
        collector.wait_for_lines(len(collector.lines()) + 200)
        assert not_ready(collector) == ""
        assert collector.end() == 0
    assert len(entries(collector, "gap")) == 1
    assert entries(collector, "snapshot_requested") == []


@pytest.mark.parametrize(("page", "fields"), [("off", 3), ("status", None)])
def test_how_much_the_page_shows_can_be_chosen(tmp_path: Path, page: str, fields: int | None) -> None:
    options = ("--page", page)
    with collecting(tmp_path, "--fault", "unknown-market=KXSIM-B", run_options=options) as collector:
        collector.wait_for_lines(200)
        text = collector.get("/status")[1]
        assert collector.end() == 0
    assert json.loads(text)["format"] == 1
    assert fields in (None, len(json.loads(text)))
    assert "KXSIM" not in text


def test_an_unknown_level_of_the_page_is_wrong_usage(tmp_path: Path) -> None:
    done = ssmd("run", "test", "--config-dir", tmp_path, "--page", "all")
    assert (done.returncode, json.loads(done.stderr)["event"]) == (64, "--page is 'all'; it may be off, status, full")
    done = ssmd("run", "test", "--config-dir", tmp_path, SSMD_PAGE="al")
    assert (done.returncode, json.loads(done.stderr)["event"]) == (64, "SSMD_PAGE is 'al'; it may be off, status, full")
