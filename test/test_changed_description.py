"""A feed's description is used by everything downstream, and a day stays right when the description changes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from exchange_server import serving
from process import Collector, ssmd

from ssmd.contracts.exchange import LOSS_NOT_DETECTED, NO_NUMBERS_YET

FIRST = """  dialect:
    paths:
      type: e
      market: d.s
      time: {path: at, format: ms}
      sequence: {previous: [d.prev, d.seq], scope: market}
"""
SECOND = """  dialect:
    paths:
      type: kind
      market: [data.symbol, "data[0].symbol"]
      time: {path: data.at, format: ms}
      sequence: {plus_one: n, scope: connection}
"""


def chained(kind: str, market: str, before: int, number: int) -> dict[str, Any]:
    """Return a message of the first form."""
    return {"e": kind, "d": {"s": market, "prev": before, "seq": number}, "at": int(time.time() * 1000)}


def counted(kind: str, market: str, number: int) -> dict[str, Any]:
    """Return a message of the second form."""
    return {"kind": kind, "n": number, "data": {"symbol": market, "at": int(time.time() * 1000)}}


CHAINED = [("trade", "BTC", -1, 5), ("trade", "ETH", -1, 7), ("book", "BTC", 5, 9), ("trade", "BTC", 11, 12)]
"""After the number 9 of BTC something is missing, and nobody knows how much."""
COUNTED = [("trade", "BTC", 1), ("book", "ETH", 2), ("trade", "BTC", 5)]
"""Two messages are missing."""


class Run:
    """What a run has shown of itself by its end."""

    def __init__(self, folder: Path, version: str, messages: list[dict[str, Any]]) -> None:
        def script(peer: Any) -> None:
            peer.upgrade()
            peer.text(*(json.dumps(message).encode() for message in messages))
            peer.received()

        with serving(script) as server, Collector(folder, server.url, exchange="generic", version=version) as collector:
            before = len(collector.lines())
            collector.start_up()
            collector.wait_for_lines(before + len(messages))
            self.status = json.loads(collector.get("/status")[1])
            self.metrics = collector.get("/metrics")[1]
            assert collector.end() == 0
            self.stopped = collector.events[-1]
            self.gaps = [event for event in collector.events if event["event"] == "sequence gap"]

    def metric(self, name: str) -> float | None:
        series = f'{name}{{feed="test",shard=""}}'
        values = [line.split()[-1] for line in self.metrics.splitlines() if line.startswith(series)]
        return float(values[0]) if values else None


@pytest.fixture
def runs(tmp_path):
    chain = Run(tmp_path, FIRST, [chained(*each) for each in CHAINED])
    counter = Run(tmp_path, SECOND, [counted(*each) for each in COUNTED])
    return chain, counter


def found(tmp_path: Path, *options: str) -> list[dict[str, Any]]:
    """Return the messages that `ssmd cat` finds."""
    ended = ssmd("cat", *options, tmp_path / "data")
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line)["data"] for line in ended.stdout.splitlines()]


def manifests(tmp_path: Path) -> list[dict[str, Any]]:
    """Return those of all days: midnight may have come between the runs."""
    paths = sorted((tmp_path / "data").glob("*/test.manifest.json"))
    return [json.loads(path.read_text()) for path in paths]


def check_reading(tmp_path: Path) -> None:
    """Check that each line is read by the description that held when it was received."""
    names = [*((kind, market) for kind, market, *_ in CHAINED), *((kind, market) for kind, market, _ in COUNTED)]
    for kind in ("trade", "book"):
        assert len(found(tmp_path, "--type", kind)) == sum(name[0] == kind for name in names)
        for market in ("BTC", "ETH"):
            assert len(found(tmp_path, "--type", kind, "--market", market)) == names.count((kind, market))
    assert len(found(tmp_path, "--market", "BTC")) == sum(name[1] == "BTC" for name in names)


def test_each_run_shows_what_its_description_knows(tmp_path, runs):
    chain, counter = runs
    assert [run.status["messages"]["loss_shown_by"] for run in runs] == ["chain", "counter"]
    assert [run.status["notes"] for run in runs] == [[], []]
    assert [run.status["messages"]["gaps"] for run in runs] == [1, 1]
    assert [run.status["messages"]["missed"] for run in runs] == [None, 2]
    assert [run.metric("ssmd_sequence_gaps_total") for run in runs] == [1, 1]
    assert [run.metric("ssmd_missed_messages_total") for run in runs] == [None, 2]
    [gap], [other] = chain.gaps, counter.gaps
    assert (gap["missing"], gap["last_name"], other["missing"]) == (None, "BTC", 2)
    for run in runs:
        age = run.metric("ssmd_message_age_seconds_sum")
        assert (run.metric("ssmd_message_age_seconds_count") or 0) > 0
        assert age is not None
        assert age < 3600  # In seconds of Unix time it would be half a century.


def test_a_day_with_two_descriptions_is_verified_searched_sealed_and_reported(tmp_path, runs):
    storage = tmp_path / "data"
    assert ssmd("verify", storage).returncode == 0
    check_reading(tmp_path)
    sealed = ssmd("seal", storage, "--before", "2999-01-01")
    assert (sealed.returncode, sealed.stderr) == (0, "")
    assert "an unknown number of messages lost" in sealed.stdout
    days = manifests(tmp_path)
    assert [sum(day["messages_by_type"].get(kind, 0) for day in days) for kind in ("trade", "book")] == [5, 2]
    assert sum(day["sequence_gaps"] for day in days) == 2
    sessions = [session for day in days for session in day["sessions"] if session["sequences"]]
    assert days[0]["missing"] is None
    rows = {(row.get("name"), row["gaps"], row["missing"]) for session in sessions for row in session["sequences"]}
    assert rows == {("BTC", 1, None), ("ETH", 0, 0), (None, 1, 2)}
    # The description changes once more. The days that are sealed stay as they are.
    Run(tmp_path / "later", FIRST.replace("type: e", "type: nothing"), [chained(*each) for each in CHAINED])
    verified = ssmd("verify", storage)
    assert verified.returncode == 0, verified.stdout
    check_reading(tmp_path)
    report = ssmd("report", storage)
    assert report.returncode == 0
    assert "?" in report.stdout


def test_a_message_that_a_description_says_nothing_of_is_not_found_and_a_note_names_the_remedy(tmp_path):
    Run(tmp_path, "  dialect:\n    paths: {type: e}\n", [chained(*each) for each in CHAINED])
    ended = ssmd("cat", "--market", "BTC", tmp_path / "data")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "has no path to what --market looks for; add the path to `dialect.paths` of the feed" in ended.stderr
    ended = ssmd("cat", "--type", "tade", tmp_path / "data")
    assert "--type looks at `e`, which in the first 4 messages is trade, book\n" in ended.stderr


def test_a_damaged_description_raises_nothing(tmp_path):
    Run(tmp_path, FIRST, [chained(*each) for each in CHAINED])
    [ledger, *_] = sorted((tmp_path / "data").glob("*/test.ledger.jsonl"))
    first, _, rest = ledger.read_text().partition("\n")
    damaged: Any
    for damaged in (5, [], {"paths": 5}, {"paths": {"type": 7, "market": ["a", None]}}, {"paths": {"sequence": "x"}}):
        entry = json.loads(first) | {"description": damaged}
        ledger.write_text(f"{json.dumps(entry)}\n{rest}")
        for command in (["verify"], ["cat", "--type", "trade"], ["report"]):
            ended = ssmd(*command, tmp_path / "data")
            assert (ended.returncode in (0, 65), "Traceback" in ended.stderr) == (True, False), ended.stderr


def test_a_sequence_that_no_message_has_is_shown_as_unknown_everywhere(tmp_path):
    """A misspelt path must not look like a feed that lost nothing."""
    wrong = FIRST.replace("[d.prev, d.seq]", "[d.pu, d.u]")
    run = Run(tmp_path, wrong, [chained(*each) for each in CHAINED])
    messages = run.status["messages"]
    assert (messages["loss_shown_by"], messages["gaps"], messages["missed"]) == ("chain", None, None)
    assert run.status["notes"] == [NO_NUMBERS_YET]
    assert (run.metric("ssmd_sequence_gaps_total"), run.metric("ssmd_missed_messages_total")) == (None, None)
    assert (run.stopped["gaps"], run.stopped["missed"]) == (None, None)
    storage = tmp_path / "data"
    for _ in ("not sealed", "sealed"):
        verified, reported = ssmd("verify", storage), ssmd("report", storage)
        assert (verified.returncode, reported.returncode) == (0, 0)
        assert LOSS_NOT_DETECTED in verified.stdout + verified.stderr
        assert LOSS_NOT_DETECTED in reported.stdout + reported.stderr
        assert ssmd("seal", storage, "--before", "2999-01-01").returncode == 0
    days = manifests(tmp_path)
    assert {(day["sequence_gaps"], day["missing"]) for day in days if day["lines"]} == {(None, None)}
