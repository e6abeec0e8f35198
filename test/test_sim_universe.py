"""The universe of markets: the same for the same seed, and everything in it happens by the clock."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from ssmd.sim.births import SECOND, SERIES, Births
from ssmd.sim.index import Entry
from ssmd.sim.universe import FIXED, Step, Universe

NOW = 1_790_000_000 * SECOND
HOUR = 3600 * SECOND
MANY = Births(per_hour=1000, open_after=60, life=900)


def steps(universe: Universe, until_us: int) -> list[Step]:
    """Return what happens up to a time."""
    begin = universe.end
    universe.advance(until_us)
    found = universe.since(begin)
    assert found is not None
    return list(found)


def states(universe: Universe) -> dict[str, Any]:
    return {m.ticker: (m.status, m.created_us, m.open_ts, m.close_ts, m.updated_us) for m in universe.markets.values()}


def lives_of(found: list[Step]) -> dict[str, list[str]]:
    lives: dict[str, list[str]] = {}
    for step in found:
        lives.setdefault(step.ticker, []).append(step.name)
    return {ticker: life for ticker, life in lives.items() if life[0] == "created"}


def test_without_births_there_are_the_fixed_markets_and_nothing_happens() -> None:
    universe = Universe(1, now_us=NOW)
    assert steps(universe, NOW + 1000 * HOUR) == []
    assert (list(universe.markets), sorted(universe.open.open)) == (list(FIXED), list(FIXED))
    assert universe.is_open("KXOTHER-1"), "every market that is asked for has data"


def test_at_one_time_there_are_the_same_markets_whenever_it_was_started() -> None:
    early, late = Universe(7, MANY, NOW), Universe(7, MANY, NOW + HOUR)
    early.advance(NOW + HOUR)
    assert states(early) == states(late)
    assert sorted(early.open.open) == sorted(late.open.open)
    assert states(Universe(8, MANY, NOW + HOUR)) != states(late)


def test_as_many_markets_are_born_in_an_hour_as_were_chosen() -> None:
    found = Counter(step.name for step in steps(Universe(1, MANY, NOW), NOW + HOUR))
    assert abs(found["created"] - 1000) <= 4
    assert abs(found["opened"] - 1000) <= 10
    assert min(found[name] for name in ("closed", "determined", "settled", "close_date_updated", "activated")) > 10


def test_every_series_always_has_a_market_that_is_open_or_will_be() -> None:
    """Whoever follows a single series, at any time, is not told that the exchange lists no market of it."""
    universe = Universe(1, Births(per_hour=1440, open_after=20, life=120), NOW)
    missing = set()
    for second in range(0, 7200, 5):
        universe.advance(NOW + second * SECOND)
        coming = [m.ticker for m in universe.markets.values() if m.status in ("initialized", "active", "inactive")]
        missing |= {each.ticker for each in SERIES if not any(name.startswith(f"{each.ticker}-") for name in coming)}
    assert missing == set()


def test_an_hour_passes_in_a_minute() -> None:
    quick = Births(per_hour=1000, open_after=60, life=900, faster=60)
    found = lives_of(steps(Universe(1, quick, NOW), NOW + HOUR // 60))
    assert abs(len(found) - 1000) <= 4
    assert sum("settled" in life for life in found.values()) > 600


def test_a_market_passes_through_its_stages_in_order() -> None:
    found = lives_of(steps(Universe(1, MANY, NOW), NOW + 2 * HOUR)[:12_000])
    plain = ["created", "opened", "closed", "determined", "settled"]
    paused = ["created", "opened", "deactivated", "activated", "closed", "determined", "settled"]
    early = ["created", "opened", "close_date_updated", "closed", "determined", "settled"]
    whole = Counter(tuple(life) for life in found.values() if life[-1] == "settled")
    assert set(whole) == {tuple(plain), tuple(paused), tuple(early)}
    assert all(any(life == each[: len(life)] for each in (plain, paused, early)) for life in found.values())


def test_a_market_opens_and_closes_at_the_second_that_was_announced_without_a_message() -> None:
    universe = Universe(1, MANY, NOW)
    announced: dict[str, dict[str, Any]] = {}
    opened, closed = 0, 0
    for second in range(1, 1800):
        for step in steps(universe, NOW + second * SECOND):
            for message in step.messages:
                if message.type == "market_lifecycle_v2":
                    announced.setdefault(step.ticker, {}).update(json.loads(message.msg))
            if "open_ts" not in announced.get(step.ticker, ()):
                continue  # It was created before the start.
            if step.name == "opened":
                assert announced[step.ticker]["open_ts"] == NOW // SECOND + second
                assert (step.messages, universe.is_open(step.ticker)) == ([], True)
                opened += 1
            elif step.name == "closed":
                assert announced[step.ticker]["close_ts"] == NOW // SECOND + second
                assert (step.messages, universe.is_open(step.ticker)) == ([], False)
                closed += 1
    assert min(opened, closed) > 100


def test_new_events_are_announced_with_their_series_and_old_ones_get_more_markets() -> None:
    universe = Universe(1, MANY, NOW)
    series: dict[str, str] = {}
    joined = 0
    for step in steps(universe, NOW + HOUR):
        for message in step.messages:
            msg = json.loads(message.msg)
            if message.type == "event_lifecycle":
                series[msg["event_ticker"]] = msg["series_ticker"]
            elif msg["event_type"] == "created":
                event = msg["additional_metadata"]["event_ticker"]
                assert msg["market_ticker"].startswith(f"{event}-T")
                joined += len(step.messages) == 1 and event in series
                assert event not in series or event.startswith(f"{series[event]}-")
    assert set(series.values()) == {"KXSIMBTC", "KXSIMETH", "KXSIMHIGHNY", "KXSIMWINS-NYM"}
    assert joined > 300


def test_a_settled_market_is_listed_for_an_hour() -> None:
    universe = Universe(1, MANY, NOW)
    first = next(iter(lives_of(steps(universe, NOW + 60 * SECOND))))
    market = universe.markets[first]
    universe.advance(market.settled_us(MANY) + HOUR - 1)
    assert (universe.markets[first].status, universe.is_open(first)) == ("finalized", False)
    universe.advance(universe.markets[first].settled_us(MANY) + HOUR)
    assert first not in universe.markets
    assert not universe.is_open(first), "it never opens again"
    universe.advance(NOW + 5 * HOUR)
    assert abs(len(universe.markets) - MANY.at_once) < 50
    # What is gone is also removed from the indexes, from time to time.
    assert len(list(universe.by_created.newest_first(Entry(2**62, "")))) < 3 * len(universe.markets)


def test_a_reader_that_is_too_slow_is_refused_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssmd.sim.universe._KEPT_STEPS", 100)
    universe = Universe(1, MANY, NOW)
    begin = universe.end
    assert len(steps(universe, NOW + 60 * SECOND)) > 50
    universe.advance(NOW + 600 * SECOND)
    assert universe.since(begin) is None
    assert universe.since(universe.end) == []
