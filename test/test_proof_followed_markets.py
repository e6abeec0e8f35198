"""When followed markets were open and not collected, by ledgers of any kind."""

from __future__ import annotations

from typing import Any

import pytest

from ssmd.proof.coverage import open_times
from ssmd.proof.followed_markets import FollowedMarkets
from ssmd.proof.missed_markets import missed_markets, note_of
from ssmd.store.ledger import Entry
from ssmd.store.manifest import SessionRecord
from ssmd.store.sessions import sessions
from ssmd.store.timestamps import day_begins, timestamp

DAY, NEXT = "2026-11-28", "2026-11-29"
BEGIN = day_begins(DAY) // 1_000_000_000
CHANNELS = ["orderbook_delta", "trade"]


class Ledger:
    """The entries of one day's ledger; times are seconds since the beginning of DAY."""

    def __init__(self, day: str = DAY) -> None:
        self.day = day
        self.entries: list[Entry] = []
        self.last_line: dict[int, int] = {}

    def add(self, at: float, event: str, **fields: Any) -> None:
        self.entries.append(Entry(int((BEGIN + at) * 1e9), event, 0, 0, fields))

    def start(self, at: float, configuration: str = "one") -> None:
        self.add(at, "started", configuration=configuration)
        self.add(at + 1, "connected")

    def follow(self, at: float, **markets: Any) -> None:
        times = {name: [open_, close] for name, (open_, close) in markets.items()}
        unix = {name: [each and BEGIN + each for each in both] for name, both in times.items()}
        self.add(at, "followed", channels=CHANNELS, markets=unix)

    def subscribe(self, at: float, *names: str, channels: Any = CHANNELS) -> None:
        for channel in channels:
            self.add(at, "subscribed", sid=1, channel=channel, tickers=list(names), acknowledged=None)

    def stop(self, at: float, event: str = "stopped") -> None:
        self.add(at, event)


def found(*ledgers: Ledger, until: float = 86400) -> dict[str, list[tuple[float, float, str]]]:
    """Return when each market was not collected, in seconds since the beginning of DAY."""
    markets = FollowedMarkets()
    for ledger in ledgers:
        lasts = {index: int((BEGIN + at) * 1e9) for index, at in ledger.last_line.items()}
        markets.take(ledger.day, ledger.entries, open_times(ledger.day, sessions(ledger.entries), lasts))
    markets.finish()
    return {
        market.name: [(each.begin_ns / 1e9 - BEGIN, each.end_ns / 1e9 - BEGIN, each.cause) for each in market.missed]
        for market in missed_markets([markets], int((BEGIN + until) * 1e9))
    }


def test_a_market_is_collected_from_its_opening_to_its_close():
    ledger = Ledger()
    ledger.start(10)
    ledger.follow(20, A=(60, 120), B=(15, 100), C=(5, None))
    ledger.subscribe(30, "A", "B", "C")
    ledger.stop(150)
    assert found(ledger, until=150) == {
        "A": [],
        "B": [(15, 30, "not subscribed")],
        "C": [(10, 11, "not_started"), (11, 30, "not subscribed")],
    }


def test_a_market_is_collected_while_all_its_channels_are_confirmed():
    ledger = Ledger()
    ledger.start(10)
    ledger.follow(20, A=(20, 120))
    ledger.subscribe(30, "A", channels=["trade"])
    ledger.subscribe(40, "A", channels=["orderbook_delta"])
    ledger.add(50, "asked", subscription=1, channel="trade", action="remove", markets=["A"], commands=[])
    ledger.subscribe(60, "A", channels=["trade"])
    ledger.add(70, "subscribed", sid=1, channel="trade", tickers=["X"], acknowledged=0, unconfirmed=["A", "X"])
    ledger.subscribe(80, "A", channels=["trade"])
    ledger.stop(90)
    assert found(ledger, until=90)["A"] == [(s, e, "not subscribed") for s, e in ((20, 40), (50, 60), (70, 80))]


def test_an_outage_is_missed_by_what_was_followed_before_and_by_what_was_born_in_it():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, OLD=(10, 1000), CLOSED=(10, 130), LATER=(500, 600))
    ledger.subscribe(3, "OLD", "CLOSED", "LATER")
    ledger.last_line[0] = 100  # The run is killed.
    ledger.start(200)
    ledger.follow(202, OLD=(10, 1000), NEW=(150, 700), LATER=(500, 600))
    ledger.subscribe(203, "OLD", "NEW", "LATER")
    ledger.stop(1000)
    missing = [(100, 201, "killed"), (201, 203, "not subscribed")]
    assert found(ledger, until=1000) == {
        "OLD": missing,
        "CLOSED": [(100, 130, "killed")],
        "LATER": [],
        "NEW": [(150, 201, "killed"), (201, 203, "not subscribed")],
    }


def test_what_another_configuration_follows_was_not_missed_before_it():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, A=(1, 1000), B=(1, 1000))
    ledger.subscribe(3, "A", "B")
    ledger.stop(100)
    ledger.start(200, "two")
    ledger.follow(202, B=(1, 1000), C=(1, 1000))
    ledger.subscribe(203, "B", "C")
    ledger.stop(300)
    at_start = [(1, 3, "not subscribed")]
    assert found(ledger, until=300) == {
        "A": [*at_start, (100, 200, "stopped")],
        "B": [*at_start, (100, 201, "stopped"), (201, 203, "not subscribed")],
        "C": [(200, 201, "stopped"), (201, 203, "not subscribed")],
    }


def test_a_reload_begins_and_ends_what_is_followed():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, A=(3, 1000), B=(3, 1000))
    ledger.subscribe(2, "A", "B")
    ledger.add(100, "reconfigured", configuration="two")
    ledger.add(100, "unfollowed", markets="all")
    ledger.follow(102, B=(3, 1000), C=(3, 1000))
    ledger.add(110, "unfollowed", markets=["B", "X"])
    ledger.subscribe(120, "C")
    ledger.stop(300)
    assert found(ledger, until=300) == {"A": [], "B": [], "C": [(100, 120, "not subscribed")]}


def test_a_market_whose_times_change_is_missed_by_the_last_ones():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, A=(100, 1000))
    ledger.follow(50, A=(60, 70))
    ledger.stop(300)
    assert found(ledger, until=300) == {"A": [(60, 70, "not subscribed")]}


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_day_can_be_read_alone_and_with_the_one_before(is_alone):
    first, second = Ledger(), Ledger(NEXT)
    first.start(0)
    first.follow(2, A=(3, 90_000), B=(3, 90_000))
    first.subscribe(2, "A")
    first.add(86_399, "rotated", to=NEXT)
    second.add(86_400, "continued", configuration="one")
    for channel in CHANNELS:
        names = {"channel": channel, "action": "subscribe", "markets": ["A", "B"]}
        second.add(86_400, "asked", subscription=1, commands=[], **names)
        second.add(86_400, "subscribed", sid=1, channel=channel, unconfirmed=["B"])
    second.follow(86_400, A=(3, 90_000), B=(3, 90_000))
    second.subscribe(86_500, "B")
    second.stop(87_000)
    second.start(87_100)
    second.stop(87_200)
    ledgers = [second] if is_alone else [first, second]
    after = [(87_000, 87_101, "stopped"), (87_101, 87_200, "not subscribed")]
    begin = 86_400 if is_alone else 3
    assert found(*ledgers, until=87_200) == {"A": after, "B": [(begin, 86_500, "not subscribed"), *after]}


def test_a_market_that_moves_to_another_shard_is_collected_by_either():
    one, other = Ledger(), Ledger()
    one.start(0)
    one.follow(1, A=(1, 1000))
    one.subscribe(1, "A")
    one.stop(100)
    other.start(150)
    other.follow(152, A=(1, 1000))
    other.subscribe(152, "A")
    parts = []
    for ledger in (one, other):
        parts.append(FollowedMarkets())
        parts[-1].take(DAY, ledger.entries, open_times(DAY, sessions(ledger.entries), {0: int((BEGIN + 1000) * 1e9)}))
        parts[-1].finish()
    [market] = missed_markets(parts, int((BEGIN + 1000) * 1e9))
    assert [(each.begin_ns // 10**9 - BEGIN, each.end_ns // 10**9 - BEGIN) for each in market.missed] == [
        (100, 151),
        (151, 152),
    ]


def test_a_damaged_ledger_is_read_as_far_as_it_goes():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, A=(3, 100))
    ledger.add(3, "followed", channels=None, markets={"B": "x", "C": [True, 1e300], "D": [1]})
    ledger.add(3, "followed", markets=["x"])
    ledger.add(3, "unfollowed", markets=None)
    ledger.add(3, "subscribed")
    ledger.add(3, "asked", action=["x"])
    ledger.stop(10)
    assert found(ledger, until=10)["A"] == [(3, 10, "not subscribed")]


def test_the_sentence_names_the_markets_that_were_missed_longest():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, **{f"M{number}": (10, 10 + number) for number in range(6)}, LATER=(1000, 2000))
    ledger.subscribe(8, "M0", "M1")
    ledger.subscribe(12, "M5")
    ledger.stop(100)
    times = open_times(DAY, sessions(ledger.entries), {})
    record = SessionRecord(timestamp(times[0].begin_ns), timestamp(times[0].end_ns), "stopped", 0, 0, [])
    [note] = note_of(DAY, ledger.entries, [record], int((BEGIN + 100) * 1e9))
    assert note.startswith(
        "4 of 5 followed markets were not collected at some time while they were open, 3 of them at no time; added up, "
        "that is 11 s: M4 from 2026-11-28T00:00:10 to 2026-11-28T00:00:14 (not subscribed); M3 from "
    )
    assert note.endswith("; ...; `ssmd report --markets` names all")
    assert list(note_of(DAY, ledger.entries[:2], [], 0)) == []


def test_no_note_names_what_each_start_misses_before_the_subscription():
    ledger = Ledger()
    ledger.start(0)
    ledger.follow(2, A=(2, 50))
    ledger.subscribe(3, "A")
    ledger.stop(100)
    times = open_times(DAY, sessions(ledger.entries), {})
    record = SessionRecord(timestamp(times[0].begin_ns), timestamp(times[0].end_ns), "stopped", 0, 0, [])
    assert list(note_of(DAY, ledger.entries, [record], int((BEGIN + 100) * 1e9))) == []
    assert found(ledger, until=100)["A"] == [(2, 3, "not subscribed")]
