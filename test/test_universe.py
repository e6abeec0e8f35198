"""The script that says how soon a run had the new markets, on recordings that were made for this."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from process import ROOT
from universe import read, summary

from ssmd.sim.births import SECOND, Births
from ssmd.sim.universe import Universe

NOW = 1_790_000_000 * SECOND
BIRTHS = Births(per_hour=3600, open_after=10, life=60)


def write(path: Path, lines: Sequence[tuple[int, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for at_us, message in lines:
            ts = datetime.fromtimestamp(at_us / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            file.write(json.dumps({"ts": ts, "feed": "kalshi", "data": message}) + "\n")


def record(storage: Path) -> list[str]:
    """Write a run of 100 seconds that had each new market after half a second, one of them never, and one only by the
    listing, after twelve seconds. Returns the tickers, in the order of their births.
    """
    universe = Universe(1, BIRTHS, NOW)
    lines: list[tuple[int, Any]] = [(NOW, {"type": "ok"}), (NOW + 100 * SECOND, {"type": "ok"})]
    listing = []
    universe.advance(NOW + 100 * SECOND)
    new = [market for market in universe.markets.values() if market.created_us > NOW]
    for place, market in enumerate(new):
        known_us = market.created_us + SECOND // 10
        msg = {"market_ticker": market.ticker}
        if place == 7:
            continue
        if place == 5:
            known_us = market.created_us + 12 * SECOND
            listing.append((known_us, {"markets": [{"ticker": market.ticker}], "cursor": ""}))
        else:
            lines.append((known_us, {"type": "market_lifecycle_v2", "msg": msg | {"event_type": "created"}}))
        lines.append((known_us + SECOND // 2, {"type": "orderbook_snapshot", "msg": msg}))
        lines.append((market.open_ts * SECOND + SECOND, {"type": "orderbook_delta", "msg": msg}))
    lines = sorted((line for line in lines if line[0] <= NOW + 100 * SECOND), key=lambda line: line[0])
    write(storage / "2026-09-21" / "kalshi.jsonl", lines)
    write(storage / "2026-09-21" / "kalshi.listing.jsonl", listing)
    write(storage / "2026-09-21" / "kalshi.ledger.jsonl", [])
    return [market.ticker for market in new]


def test_what_was_late_and_what_never_came(tmp_path: Path) -> None:
    new = record(tmp_path)
    figures = summary(read(tmp_path, "kalshi", 1, BIRTHS))
    assert abs(figures["born during the run"] - 95) < 5
    assert figures["of these known by the listing only"] == 1
    never = {each.ticker for each in read(tmp_path, "kalshi", 1, BIRTHS).records if each.subscribed_us is None}
    assert never & set(new[:90]) == {new[7]}
    assert figures["seconds from birth to known"] == {"p50": 0.1, "p99": 12.0, "max": 12.0}
    assert figures["seconds from known to subscribed"] == {"p50": 0.5, "p99": 0.5, "max": 0.5}
    assert figures["subscribed to after their opening"] == 1


def test_only_some_series(tmp_path: Path) -> None:
    new = record(tmp_path)
    found = {each.ticker for each in read(tmp_path, "kalshi", 1, BIRTHS, ["KXSIMWINS-NYM"]).records}
    assert {each for each in new if each in found} == {each for each in new if each.startswith("KXSIMWINS-NYM-")}


def test_the_command_prints_the_figures(tmp_path: Path) -> None:
    record(tmp_path)
    options = ["--feed", "kalshi", "--births", "3600", "--open-after", "10", "--life", "60"]
    done = subprocess.run(
        [sys.executable, ROOT / "test" / "universe.py", tmp_path, *options],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'test'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == summary(read(tmp_path, "kalshi", 1, BIRTHS))
