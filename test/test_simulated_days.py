"""Two ordinary days of the simulated exchanges have no drift, and one new field in one message is found.

Nothing counts as documented, so that rare types and fields are compared too.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from exchange_runs import CONF, NAMES, described
from recorded import KALSHI, write_day

from ssmd.exchange.catalog import EXCHANGES
from ssmd.proof.day_shape import drifts_of
from ssmd.shape.drift import NEW_FIELD, Known, drifts
from ssmd.shape.file import day_shapes
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.together import together
from ssmd.sim.births import Births
from ssmd.sim.exchanges import EXCHANGES as SIMULATED
from ssmd.sim.exchanges.rules import Setting
from ssmd.sim.frames import Ping
from ssmd.sim.markets import Markets
from ssmd.sim.session import Session
from ssmd.sim.universe import Universe
from ssmd.store.timestamps import day_begins

DAYS = ("2026-02-02", "2026-02-03")
MESSAGES = 12_000


def kalshi(seed: int, day: str) -> Iterator[tuple[float, bytes]]:
    """Yield the messages of a day, each after its second of the day: commands and their replies, markets that come and
    go, refusals, and data of every channel.
    """
    begin, some = day_begins(day), Random(seed)
    session = Session(Markets(seed, Universe(seed, Births(per_hour=60), begin // 1000)))
    commands: list[dict[str, Any]] = [
        {"cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}},
        {"cmd": "list_subscriptions"},
        {"cmd": "subscribe", "params": {"channels": ["nonsense"]}},
    ]
    for number in range(12):
        params = {"channels": ["orderbook_delta", "ticker", "trade"], "market_tickers": [f"KXSIM-{number}"]}
        commands.append({"cmd": "subscribe", "params": {**params, "send_initial_snapshot": True}})
    for number, command in enumerate(commands, 1):
        for reply in session.receive(json.dumps({"id": number, **command}).encode(), begin):
            yield 1.0, reply
    for block in range(MESSAGES // 100):
        second = 2.0 + block * 300
        ns = begin + int(second * 1e9) + some.randrange(10**9)
        for frame in (*session.announce(ns), *session.produce(100, ns)):
            yield second, frame


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sealed days of the simulated Kalshi."""
    storage: Path = tmp_path_factory.mktemp("days")
    for seed, day in enumerate(DAYS, 1):
        ends = (86_000.0, "stopped", {"reason": "SIGTERM"})
        write_day(storage, day, (0, "started", KALSHI), (0, "connected", {}), *kalshi(seed, day), ends)
    return storage


def shapes(storage: Path, day: str) -> Any:
    return together(day_shapes(storage / day, "kalshi"))


def test_two_days_of_kalshi_have_no_drift(days: Path) -> None:
    assert drifts_of(days / DAYS[1], "kalshi") == []
    first, second = (shapes(days, day) for day in DAYS)
    assert {"orderbook_snapshot", "orderbook_delta", "ticker", "trade", "market_lifecycle_v2"} <= set(first)
    assert sum(one.messages for one in first.values()) >= MESSAGES
    assert drifts(Known(first, {}), second) == drifts(Known(second, {}), first) == []
    del first["trade"].fields["msg.taker_side"]
    assert [(each.kind, each.type, each.path) for each in drifts(Known(first, {}), second)] == [
        ("new_field", "trade", "msg.taker_side")
    ]


def messages(name: str, seed: int) -> list[bytes]:
    """Return messages of a simulated exchange to which the environment of conf/ is subscribed, all of one moment."""
    feed: Any = SIMULATED[name](Setting(rate=0, seed=seed), {}, {})
    environment = yaml.safe_load((CONF / "environments" / f"{name}.yaml").read_text())
    found: list[bytes] = []
    for command in environment["subscribe"]["messages"]:
        found += feed.receive(json.dumps(command).replace('"${now_s}"', str(int(time.time()))).encode())
    assert feed.subscriptions
    now = feed.now()
    feed.now = lambda: now  # What is sent once a second would depend on how fast this host is.
    while len(found) < MESSAGES:
        found += [frame for frame in feed.take(0.0, 1000) if not isinstance(frame, Ping)]
    return [zlib.decompress(frame, 31) if frame.startswith(b"\x1f\x8b") else frame for frame in found]


def learned(name: str, found: list[bytes]) -> Any:
    learner = ShapeLearner()
    reader = EXCHANGES["generic"].described(described(name)).reader()
    for at in range(0, len(found), 1000):
        some = found[at : at + 1000]
        try:
            types = [type for type, _ in reader.read(some)]
        except ValueError:
            types = [""] * len(some)
        learner.add(some, types, at)
    return learner.types()


@pytest.mark.parametrize("name", NAMES)
def test_two_days_of_another_exchange_have_no_drift(name: str) -> None:
    one, other = messages(name, 1), messages(name, 2)
    first, second = learned(name, one), learned(name, other)
    assert sum(shape.messages for shape in first.values()) >= MESSAGES
    assert drifts(Known(first, {}), second) == drifts(Known(second, {}), first) == []
    other[-1] = re.sub(rb"^(\[?)\{", rb'\1{"news":1,', other[-1])
    [drift] = drifts(Known(first, {}), learned(name, other))
    assert (drift.kind, drift.path.removeprefix("[]."), drift.line) == (NEW_FIELD, "news", len(other))
