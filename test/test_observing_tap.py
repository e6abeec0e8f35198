"""The tap: which messages people get to see, how many, and what it does while nobody looks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmd.contracts.observer import Observer
from ssmd.contracts.tail import EVERYTHING, Wish
from ssmd.exchange.catalog import EXCHANGES
from ssmd.exchange.topics import PRIVATE, topic_of
from ssmd.observing.harmless import Harmless
from ssmd.observing.tap import (
    KEPT,
    LONGEST_BYTES,
    LOOK_BYTES,
    LOOK_SECONDS,
    LOOKS,
    PAUSE_SECONDS,
    RETRY_SECONDS,
    TEXT_BYTES,
    Tap,
)

SECOND = 10**9
TRADES = Wish(type="trade")


def message(kind: str = "trade", market: str = "KX-A", **more: Any) -> bytes:
    return json.dumps({"type": kind, "msg": {"market_ticker": market, **more}}).encode()


class Tapped:
    """A tap on Kalshi's messages, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        """How often the tap has read its clock."""
        reader = EXCHANGES["kalshi"].reader()
        self.tap = Tap(reader, lambda kind: topic_of("kalshi", kind).section != PRIVATE, self._monotonic)
        self.observers: list[Observer] = []
        self.tap.join(self.observers)

    def _monotonic(self) -> float:
        self.asked += 1
        return self.now

    def receive(self, *payloads: bytes, seconds: float = PAUSE_SECONDS) -> None:
        self.now += seconds
        self.observe(int(self.now * SECOND), *payloads)

    def observe(self, ts_ns: int, *payloads: bytes) -> None:
        """Let it observe messages that were received at any time of the wall clock."""
        for observer in self.observers:
            observer.observe([(ts_ns, len(payloads))], list(payloads))

    def taken(self, wish: Wish = EVERYTHING) -> list[str]:
        return [seen.text for seen in self.tap.take(wish)]


@pytest.fixture
def tapped() -> Tapped:
    tapped = Tapped()
    tapped.tap.want([EVERYTHING])
    return tapped


def test_nothing_is_kept_while_nobody_looks():
    tapped = Tapped()
    tapped.receive(message())
    tapped.tap.want([EVERYTHING])
    assert tapped.taken() == []
    tapped.tap.want([])
    tapped.receive(message())
    tapped.tap.want([EVERYTHING])
    assert tapped.taken() == []


def test_it_is_an_observer_only_while_somebody_looks(tapped):
    others = [Harmless(Tapped().tap)]
    observers = [*others]
    tapped.tap.join(observers)
    assert observers == others
    for wishes in ([EVERYTHING], [EVERYTHING, TRADES]):
        tapped.tap.want(wishes)
        assert len(observers) == 2
    observers[-1].observe([(10**19, 1)], [message()])
    assert tapped.taken() == tapped.taken(TRADES) == [message().decode()]
    assert observers[-1].notes(1, end=True) == []
    for _ in range(2):
        tapped.tap.want([])
        assert observers == others


def test_between_two_messages_that_are_shown_it_does_not_even_read_its_clock(tapped):
    for number in range(10_000):
        tapped.receive(message(number=number), seconds=0.0001)
    assert len(tapped.taken()) == KEPT
    assert tapped.asked <= 1 / PAUSE_SECONDS + 1


def test_when_too_many_were_looked_at_it_waits_without_looking(tapped):
    tapped.tap.want([Wish(market="RARE")])
    for _ in range(10_000):
        tapped.receive(*[message()] * 100, seconds=0.0001)
    assert tapped.asked <= (1 / LOOK_SECONDS + 1) * (LOOKS / 100 + 1)


def test_when_a_message_is_not_to_be_shown_it_waits_a_little(tapped):
    for _ in range(10_000):
        tapped.receive(message("fill"), seconds=0.0001)
    assert tapped.asked <= 1 / RETRY_SECONDS + 1
    tapped.receive(message())
    assert tapped.taken() == [message().decode()]


def test_a_wall_clock_that_was_ahead_stops_it_only_until_somebody_asks_again(tapped):
    """Which is once a second."""
    tapped.observe(10**19, message())
    tapped.now += 1
    tapped.observe(10**18, message("ticker"))
    assert tapped.taken() == [message().decode()]
    tapped.tap.want([EVERYTHING])
    tapped.observe(10**18, message("ticker"))
    assert tapped.taken() == [message("ticker").decode()]


def test_a_message_is_shown_with_its_time_type_and_market(tapped):
    tapped.receive(message("ticker", "KX-Ä"))
    [seen] = tapped.tap.take(EVERYTHING)
    assert (seen.ts_ns, seen.type, seen.market) == (int(tapped.now * SECOND), "ticker", "KX-Ä")
    assert (seen.text, seen.size) == (message("ticker", "KX-Ä").decode(), len(message("ticker", "KX-Ä")))
    assert tapped.taken() == []


@pytest.mark.parametrize(
    "kind",
    ["fill", "user_order", "user_orders", "market_position", "market_positions", "communications", "rfq", "new"],
)
@pytest.mark.parametrize("wish", [EVERYTHING, Wish(market="KX")])
def test_what_is_private_to_an_account_is_never_shown(kind, wish):
    """A type that this version does not know counts as private too."""
    tapped = Tapped()
    tapped.tap.want([wish, Wish(type=kind)])
    for _ in range(10):
        tapped.receive(message(kind))
    assert tapped.taken(wish) == tapped.taken(Wish(type=kind)) == []


@pytest.mark.parametrize("payload", [b"pong", b"\xff\xfe", b"", b"[" * 100_000, b'{"type":1}', b"7", b"null"])
def test_what_is_no_message_of_a_known_type_is_never_shown(tapped, payload):
    tapped.receive(payload)
    assert tapped.taken() == []


def test_no_more_than_can_be_read(tapped):
    for number in range(10_000):
        tapped.receive(message(number=number), seconds=0.0001)
    assert len(tapped.taken()) == KEPT
    for number in range(10_000):
        tapped.receive(message(number=number), seconds=0.00001)
    assert len(tapped.taken()) == 1


def test_what_comes_together_is_shown_in_turn(tapped):
    """Otherwise a type that is always first would never be seen."""
    kinds = set()
    for _ in range(10):
        tapped.receive(message("ticker"), message("trade"), message("orderbook_delta"))
        kinds |= {seen.type for seen in tapped.tap.take(EVERYTHING)}
    assert kinds == {"ticker", "trade", "orderbook_delta"}


def test_a_wish_for_a_type_and_a_market(tapped):
    wish = Wish("trade", "-B")
    tapped.tap.want([wish])
    tapped.receive(message("ticker", "KX-B"), message("trade", "KX-A"), message("trade", "KX-B", n=1), message())
    assert tapped.taken(wish) == [message("trade", "KX-B", n=1).decode()]
    assert tapped.taken(EVERYTHING) == []


def test_a_name_elsewhere_in_a_message_does_not_count(tapped):
    wish = Wish("trade", "KX-B")
    tapped.tap.want([wish])
    tapped.receive(message("ticker", "KX-A", note="trade KX-B"))
    assert tapped.taken(wish) == []


def test_only_so_many_messages_are_looked_at(tapped):
    rare, many = Wish(market="RARE"), [message() for _ in range(LOOKS)]
    tapped.tap.want([rare])
    tapped.receive(message("trade", "RARE"), *many)
    assert tapped.taken(rare) == []
    tapped.receive(message("trade", "RARE"), *many[1:])
    assert len(tapped.taken(rare)) == 1


def test_only_so_many_bytes_are_looked_at(tapped):
    rare, long = Wish(market="RARE"), message(text="x" * (LOOK_BYTES // 4))
    tapped.tap.want([rare])
    tapped.receive(message("trade", "RARE"), *[long] * 4)
    assert tapped.taken(rare) == []
    tapped.receive(message("trade", "RARE"), *[long] * 3)
    assert len(tapped.taken(rare)) == 1


def test_a_long_message_is_cut_and_a_very_long_one_left_out(tapped):
    tapped.receive(message(text="x" * TEXT_BYTES))
    [seen] = tapped.tap.take(EVERYTHING)
    assert len(seen.text) == TEXT_BYTES < seen.size
    tapped.receive(message(text="x" * LONGEST_BYTES))
    assert tapped.taken() == []


def test_all_who_want_the_same_share_it_and_others_get_their_own(tapped):
    tapped.tap.want([EVERYTHING, TRADES])
    tapped.receive(message())
    assert tapped.taken(EVERYTHING) == tapped.taken(TRADES) == [message().decode()]
    tapped.tap.want([EVERYTHING])
    tapped.receive(message())
    assert (len(tapped.taken(EVERYTHING)), tapped.taken(TRADES)) == (1, [])


def test_names_are_short_and_can_be_encoded(tapped):
    """The market may have any length. Where a number is too large for a float, a reader might take Python's json, which
    takes half a surrogate pair.
    """
    tapped.receive(message(market="KX" * 1000))
    tapped.receive(b'{"type":"trade","msg":{"market_ticker":1e999,"market_ticker":"\\ud800"}}')
    tapped.receive(message(market="a\nb\u202e"))
    assert [len(seen.market) for seen in tapped.tap.take(EVERYTHING)] == [200, 3]
