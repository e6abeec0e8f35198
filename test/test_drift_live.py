"""Drift in a real `ssmd run`: what a real exchange sends is compared with a real sealed day before."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest
from bench.messages import TICKERS, Cycle, acknowledgements
from drifting import PLANTED, messages
from exchange_server import Peer, serving
from process import ROOT, Collector, ssmd
from recorded import GENERIC, KALSHI, write_day
from test_described_live import CANARY, KEYS, collecting
from test_never_silent import entries, eventually

from ssmd.errors import printable

pytestmark = pytest.mark.one_day

DIALECT = {"paths": {"type": "type"}}
SENT = [*messages(400, seed=7), *(PLANTED["text to number"].change(one) for one in messages(60, seed=8))]
SENT.append({"type": "quote", "msg": {"market": "M", "note": CANARY}})
"""An ordinary stretch, then prices that have become numbers, and at the end a new field that repeats a key."""
FOUND = [("retyped", "trade", "msg.price", "decimal text", "number"), ("new_field", "quote", "msg.note", "", "text")]


@pytest.fixture(scope="module")
def day_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with yesterday in it, sealed."""
    storage: Path = tmp_path_factory.mktemp("days")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    payloads = [(1 + number / 1000, json.dumps(one).encode()) for number, one in enumerate(messages(12_000))]
    begin: list[Any] = [(0.0, "started", {**GENERIC, "description": DIALECT}), (0.0, "connected", {})]
    write_day(storage, yesterday, *begin, *payloads, (86_000.0, "stopped", {"reason": "SIGTERM"}), feed="test")
    return storage


def script(peer: Peer) -> None:
    peer.upgrade()
    peer.text(*[json.dumps(message).encode() for message in SENT])
    peer.drained()


def again_and_again(peer: Peer) -> None:
    """Send all, then those that drift, until the collector has gone: on a busy host a sample leaves out some."""
    peer.upgrade()
    texts = [json.dumps(message).encode() for message in SENT]
    peer.text(*texts)
    with suppress(OSError):
        while True:
            peer.text(*texts[400:])
            gevent.sleep(0.1)


def values(metrics: str) -> dict[str, float]:
    return {series: float(value) for series, value in re.findall(r"^(ssmd_drift\S+) (\S+)$", metrics, re.MULTILINE)}


class Seen(NamedTuple):
    """What a run shows of drift."""

    warnings: list[dict[str, Any]]
    noted: list[dict[str, Any]]
    """The entries of the day's ledger."""
    metrics: dict[str, float]
    status: dict[str, Any]
    """`drift` of /status."""


def run(folder: Path, lines: int) -> Seen:
    """Collect until the file has so many lines, and the ledger all drifts."""
    with collecting(folder, script, DIALECT, drift_check="all", **KEYS) as (collector, _):
        collector.wait_for_lines(lines)
        eventually(lambda: len(entries(collector, "drift")) >= len(FOUND))
        eventually(lambda: json.loads(collector.get("/status")[1])["drift"]["looked_at"] == len(SENT))
        metrics, status = collector.get("/metrics")[1], json.loads(collector.get("/status")[1])["drift"]
        assert collector.end() == 0
    warnings = [event for event in collector.events if event["event"].startswith("drift:")]
    for text in (metrics, json.dumps([status, collector.events, entries(collector, "drift")])):
        assert CANARY not in text
    return Seen(warnings, entries(collector, "drift"), values(metrics), status)


def keys(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [tuple(one[name] for name in ("kind", "type", "path", "was", "now")) for one in found]


def test_what_is_new_is_reported_everywhere_and_after_a_restart_not_again(tmp_path: Path, day_before: Path) -> None:
    shutil.copytree(day_before, tmp_path / "data")
    first = run(tmp_path, len(SENT))
    assert keys(first.warnings) == keys(first.noted) == FOUND
    price = next(one for one in SENT if one["type"] == "trade" and isinstance(one["msg"]["price"], float))
    assert first.warnings[0]["first"] == printable(json.dumps(price))
    assert first.warnings[1]["first"] == json.dumps({**SENT[-1], "msg": {"market": "M", "note": "(hidden)"}})
    assert first.metrics == {
        'ssmd_drift_total{feed="test",kind="retyped",shard="",type="trade"}': 1,
        'ssmd_drift_total{feed="test",kind="new_field",shard="",type="quote"}': 1,
        'ssmd_drift_looked_at_messages_total{feed="test",shard=""}': len(SENT),
        'ssmd_drift_passed_over_messages_total{feed="test",shard=""}': 0,
    }
    assert (first.status["level"], first.status["days_before"], first.status["changes"]) == ("all", True, 2)
    data = next(path for path in (tmp_path / "data").glob("*/test.jsonl") if len(first_lines(path)) == len(SENT))
    for one in first.warnings:
        assert any(line.startswith(b'{"ts":"%b"' % one["received"].encode()) for line in first_lines(data))

    again = run(tmp_path, 2 * len(SENT))
    assert (again.warnings, again.noted) == ([], first.noted)
    assert not any(series.startswith("ssmd_drift_total") for series in again.metrics)
    assert again.status["changes"] == 2
    assert leaked_by_shapes(tmp_path / "data") == []


def test_a_sample_reports_what_is_new_and_says_how_much_it_left_out(tmp_path: Path, day_before: Path) -> None:
    shutil.copytree(day_before, tmp_path / "data")
    with collecting(tmp_path, again_and_again, DIALECT, drift_check="sample", **KEYS) as (collector, _):
        eventually(lambda: len(entries(collector, "drift")) >= len(FOUND))
        drift = json.loads(collector.get("/status")[1])["drift"]
        metrics = values(collector.get("/metrics")[1])
        assert collector.end() == 0
    warnings = [event for event in collector.events if event["event"].startswith("drift:")]
    assert sorted(keys(warnings)) == sorted(keys(entries(collector, "drift"))) == sorted(FOUND)
    assert (drift["level"], drift["days_before"], drift["changes"]) == ("sample", True, 2)
    looked_at, passed_over = (
        metrics[f'ssmd_drift_{what}_messages_total{{feed="test",shard=""}}'] for what in ("looked_at", "passed_over")
    )
    assert drift["looked_at"] <= looked_at
    received = sum(len(first_lines(path)) for path in (tmp_path / "data").glob("*/test.jsonl")) - 12_000
    assert 0 < looked_at + passed_over <= received


def test_what_sealing_finds_is_a_metric_also_after_a_restart(tmp_path: Path) -> None:
    """A field that has vanished shows when its day is sealed, which the collector does after its start."""
    begin: list[Any] = [(0.0, "started", {**GENERIC, "description": DIALECT}), (0.0, "connected", {})]
    for ago, change in ((2, dict), (1, PLANTED["vanished"].change)):
        day = (datetime.now(UTC) - timedelta(days=ago)).strftime("%Y-%m-%d")
        sent = [(number / 1000, json.dumps(change(one)).encode()) for number, one in enumerate(messages(4000), 1)]
        end = (60.0, "stopped", {"reason": "SIGTERM"})
        write_day(tmp_path / "data", day, *begin, *sent, end, feed="test", sealed=ago == 2)
    for _ in range(2):
        with collecting(tmp_path, script, DIALECT, **KEYS) as (collector, _):
            eventually(lambda: "ssmd_sealed_drift{" in collector.get("/metrics")[1])
            found = re.findall("^ssmd_sealed_drift.*", collector.get("/metrics")[1], re.MULTILINE)
            assert collector.end() == 0
        assert found == ['ssmd_sealed_drift{feed="test",kind="vanished",shard="",type="quote"} 1.0']


def first_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def leaked_by_shapes(storage: Path) -> list[Path]:
    """Seal the day; return the files beside the data that have the key which the exchange has repeated."""
    [path] = [path for path in storage.glob("*/test.jsonl") if CANARY.encode() in path.read_bytes()]
    ended = ssmd("seal", storage, "--before", "9999-12-31")
    assert ended.returncode == 0, ended
    assert CANARY not in ended.stdout + ended.stderr
    beside = [*path.parent.glob("test.*.json*"), *storage.glob(".test.*")]
    assert {each.name for each in beside} >= {"test.shape.json", "test.manifest.json", ".test.drift"}
    return [each for each in beside if CANARY.encode() in each.read_bytes()]


def kalshi_messages() -> tuple[list[bytes], dict[int, bytes]]:
    """Return messages of Kalshi in order, and those of them that are not ordinary, by their number."""
    cycle = Cycle()
    sent = [cycle.text(number).strip() for number in range(2_000)]
    changed = {
        700: re.sub(rb'"price_dollars":"[^"]*"', b'"price_dollars":"0.4800000"', sent[700]),
        701: sent[701].replace(b'"side":"no"', b'"side":"maybe"'),
        702: sent[702].replace(b'"side":"no"', b'"side":7'),
        703: sent[703].replace(b'"side":"no"', b'"side":"no","queue":3'),
        704: sent[704].replace(b'"orderbook_delta"', b'"orderbook_delta_v2"'),
    }
    for number, payload in changed.items():
        assert payload != sent[number]
        sent[number] = payload
    return sent, changed


def test_with_a_check_against_a_schema_each_finds_what_is_its_own(tmp_path: Path) -> None:
    """One message is not as the schema says and also new to the days before, two are the one, and two the other."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    cycle = Cycle()
    before = [(1 + number / 1000, cycle.text(number).strip()) for number in range(12_000)]
    begin: list[Any] = [(0.0, "started", KALSHI), (0.0, "connected", {})]
    write_day(tmp_path / "data", yesterday, *begin, *before, (86_000.0, "stopped", {"reason": "SIGTERM"}), feed="test")
    shutil.copytree(ROOT / "conf/schemas", tmp_path / "conf/schemas")
    sent, changed = kalshi_messages()
    sent.append(b"pong")
    acknowledged = acknowledgements(1, ["orderbook_delta"])

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.receive()
        peer.text(*acknowledged, *sent)
        peer.drained()

    environment = "schema: kalshi:v2\nschema_check: count\ndrift_check: all\n"
    environment += f"subscribe: {{channels: [orderbook_delta], market_tickers: {json.dumps(TICKERS)}}}\n"
    count = len(acknowledged) + len(sent)

    def state() -> Any:
        found = json.loads(collector.get("/status")[1])
        return found if found["schema"]["checked"] == found["drift"]["looked_at"] == count else None

    with serving(script) as server, Collector(tmp_path, f"'{server.url}'", environment=environment) as collector:
        collector.start_up()
        collector.wait_for_lines(len(before) + count)
        status = eventually(state)
        assert collector.end() == 0
    assert status["schema"]["violations"] == {**status["schema"]["violations"], "orderbook_delta": 3, "": 1}
    assert sum(status["schema"]["violations"].values()) == 4
    found = [tuple(one[name] for name in ("kind", "type", "path", "was", "now")) for one in entries(collector, "drift")]
    assert found == [
        ("retyped", "orderbook_delta", "msg.side", "text", "integer"),
        ("new_field", "orderbook_delta", "msg.queue", "", "integer"),
        ("new_type", "orderbook_delta_v2", "", "", ""),
    ]
    noted = {(one["type"], one["count"], one["path"]) for one in entries(collector, "violations")}
    assert noted == {("orderbook_delta", 3, "msg.side"), ("", 1, "")}
    assert collector.payloads()[len(before) + len(acknowledged) :] == sent
    received = {one["kind"]: one["received"].encode() for one in entries(collector, "drift")}
    for kind, number in (("retyped", 702), ("new_field", 703), ("new_type", 704)):
        [line] = [line for line in collector.lines() if changed[number] in line]
        assert line.startswith(b'{"ts":"%b"' % received[kind])
