"""The verdict: one sentence for each state of a run, from what /status says of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from test_server_status import ABOUT, BOOKS, LISTING, NOW, SECOND, SHIP, UPLOAD

from ssmd.contracts.events import Gap
from ssmd.contracts.strip import LISTENING, OUTAGE, Piece, Strip
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.gap_counts import LOSS_SECONDS
from ssmd.runtime.histogram import Histogram
from ssmd.runtime.reason import Reason
from ssmd.runtime.recent import QUEUE, Recent
from ssmd.runtime.status import STUCK_SECONDS, Status
from ssmd.server.kinds import KINDS, MOMENTS
from ssmd.server.levels import FULL
from ssmd.server.status import About, describe
from ssmd.store.timestamps import DAY_NS, parse_timestamp

BEGIN = NOW // DAY_NS * DAY_NS
TRADES = replace(BOOKS, channel="trade", confirmed=True, confirmed_markets=40, heard=40, missing=(), last_ns=NOW)


def running(**changes: Any) -> Status:
    """A run to which nothing has happened, at 14:13:20 UTC."""
    status = Status(connected=True, connected_ns=NOW, last_received_ns=NOW - SECOND // 4, day="2026-09-21")
    status.channels = [TRADES]
    for name, value in changes.items():
        setattr(status, name, value)
    return status


def described(status: Status, days: list[Strip] | None = None, since: int = NOW - 3600 * SECOND) -> dict[str, Any]:
    """Return the verdict of /status, after five seconds with 830 messages in each."""
    now = 0.0
    recent = Recent(status, Histogram("age", "", (1.0,)), lambda: now, lambda: NOW - 5 * SECOND + int(now * SECOND))
    for _ in range(6):
        recent.sample()
        now, status.messages = now + 1, status.messages + 830
    about: About = replace(ABOUT, recent=recent, days=lambda: days, started_ns=since)
    found = describe(status, about, FULL, lambda: NOW)["verdict"]
    assert 0 < len(found["brief"]) < 40
    assert not any(letter.isdigit() for letter in found["brief"].replace("s3", ""))
    assert (found["kind"] in KINDS, found["since_is"] in MOMENTS) == (True, True)
    return found


def verdict(status: Status, days: list[Strip] | None = None, since: int = NOW - 3600 * SECOND) -> tuple[str, str]:
    """Return the grade and the sentence."""
    found = described(status, days, since)
    return found["grade"], found["text"]


def since(status: Status, days: list[Strip] | None = None) -> int | None:
    """Return for how many seconds it has been so."""
    began = described(status, days)["since"]
    return None if began is None else (NOW - parse_timestamp(began)) // SECOND


def day(*pieces: Piece, gaps: tuple[int, ...] = ()) -> list[Strip]:
    return [Strip("2026-09-21", pieces, gaps_ns=gaps)]


WHOLE = day(Piece(BEGIN, NOW, LISTENING))
LATE = day(Piece(BEGIN, BEGIN + DAY_NS // 4, OUTAGE, "not_started"), Piece(BEGIN + DAY_NS // 4, NOW, LISTENING))
TWICE = day(*LATE[0].pieces[:1], *(Piece(ns, ns + SECOND, OUTAGE, "stopped") for ns in (BEGIN + DAY_NS // 4, NOW - 60)))
LOST = day(Piece(BEGIN, NOW - 5122 * SECOND, LISTENING), Piece(NOW - 5122 * SECOND, NOW, OUTAGE, "stopped"))


@pytest.mark.parametrize(
    ("days", "how"),
    [
        (None, ""),
        (WHOLE, ", complete so far today"),
        (LATE, ", complete since 06:00 UTC"),
        (TWICE, ", 2 outages since 06:00 UTC"),
        (LOST, ", connected for 89.99 % of today so far"),
        (day(*WHOLE[0].pieces, gaps=(NOW,)), ", messages were lost today"),
    ],
    ids=["not known", "whole", "first run", "outages since it", "outage", "gap"],
)
def test_how_much_of_today_is_there(days, how):
    assert verdict(running(), days) == ("good", f"Collecting 40 markets, 830 messages a second{how}")


def test_where_lost_messages_do_not_show_it_does_not_say_complete():
    text = verdict(running(loss_shown_by=None), WHOLE)[1]
    assert text.endswith("830 messages a second, connected without a break so far today")


def test_gaps_of_this_run():
    assert verdict(running(gaps=2, missed=1234), WHOLE)[1].endswith(", 1,234 messages were lost since the start")
    assert verdict(running(gaps=2, missed=None), WHOLE)[1].endswith(", messages were lost since the start")


@pytest.mark.parametrize(
    ("status", "grade", "text"),
    [
        (lambda: running(ending="the disk is full"), "bad", "The run is ending: the disk is full"),
        (lambda: running(connected=False), "bad", "Not connected to the exchange since 14:13:20 UTC"),
        (
            lambda: running(channels=[BOOKS]),
            "bad",
            "Connected, but on orderbook_delta: 1 of 40 markets not confirmed for 11 s",
        ),
        (
            lambda: running(channels=[silent("orderbook_delta", 94)]),
            "bad",
            "Connected, but no orderbook_delta messages for 94 s",
        ),
        (
            lambda: running(channels=[silent("ticker", 300), silent("trade", 94), BOOKS]),
            "bad",
            "Connected, but no ticker messages for 5 min and no trade messages for 94 s (and 1 more)",
        ),
        (
            lambda: running(channels=[silent("ticker", 94), silent("trade", 94), TRADES]),
            "bad",
            "Connected, but no ticker or trade messages for 94 s",
        ),
        (
            lambda: running(channels=[silent("ticker", 31), silent("trade", 94), silent("fill", 600)]),
            "bad",
            "Connected, but no fill messages for 10 min and no trade messages for 94 s (and 1 more)",
        ),
        (
            lambda: running(channels=[replace(silent("ticker", 1), last_ns=None), silent("trade", 94)]),
            "bad",
            "Connected, but no ticker messages since the start and no trade messages for 94 s",
        ),
        (
            lambda: running(refused={"trade": 26}, channels=[replace(TRADES, confirmed_markets=39)]),
            "bad",
            "Connected, but the exchange refused the subscription to trade (error 26)",
        ),
        (
            lambda: running(refused={"trade": 26, "": None}),
            "bad",
            "Connected, but the exchange refused the subscription to trade (error 26) (and 1 more)",
        ),
        (lambda: running(closed_until_ns=NOW + DAY_NS), "waiting", "Closed by schedule until 2026-09-22 14:13:20 UTC"),
        (
            lambda: running(silence_until_ns=NOW + 600 * SECOND),
            "waiting",
            "Connected; no message is expected until 14:23:20 UTC",
        ),
        (
            lambda: running(last_received_ns=NOW - 94 * SECOND),
            "attention",
            "Connected, but no message has come for 94 s",
        ),
        (
            lambda: running(queue_messages=lambda: 41_000.0, queue_bytes=lambda: 2e7),
            "attention",
            "Collecting, but the disk is behind: 41,000 messages wait to be written",
        ),
        (
            lambda: running(companions={"upload": UPLOAD}),
            "attention",
            "Collecting, but nothing is copied to s3 now",
        ),
    ],
)
def test_each_state_has_its_sentence(status: Callable[[], Status], grade, text):
    assert verdict(status()) == (grade, text)


def silent(channel: str, seconds: int):
    reason = Reason(f"{channel}: no message for {seconds} s", channel, says_how_long=True)
    return replace(TRADES, channel=channel, silent=True, last_ns=NOW - seconds * SECOND, missing=(reason,))


def test_a_disk_that_does_not_answer_comes_first():
    status = running(channels=[BOOKS], location="/data/x.jsonl", sync_began=time.monotonic() - STUCK_SECONDS - 33)
    grade, text = verdict(status)
    assert grade == "bad"
    assert text.startswith("Nothing reaches the disk: a sync to /data/x.jsonl has been stuck for ")


def test_a_start_has_some_seconds_to_connect():
    status = running(connected=False)
    assert verdict(status, since=NOW - SECOND) == ("attention", "Connecting to the exchange")
    assert verdict(status, since=NOW - 6 * SECOND)[0] == "bad"


def test_a_disk_that_will_be_full_within_a_day():
    status = running(disk_free=43_200_000, written_bytes=0)
    now = 0.0
    recent = Recent(status, Histogram("age", "", (1.0,)), lambda: now)
    recent.sample()
    now, status.written_bytes = 100.0, 100_000
    found = describe(status, replace(ABOUT, recent=recent), FULL, lambda: NOW)
    assert (found["disk"]["bytes_per_day"], found["disk"]["full_in_days"]) == (86_400_000, 0.5)
    assert found["verdict"]["text"] == "Collecting, but the disk will be full in 12 h"


def test_all_markets():
    status = running(channels=[replace(TRADES, asked=None, confirmed_markets=None, heard=None)])
    assert verdict(status)[1] == "Collecting all markets, 830 messages a second"


def test_markets_that_are_named_count_beside_the_followed_ones():
    followed = LISTING._replace(subscribed=32)
    assert verdict(running(listing=followed))[1] == "Collecting 40 markets, 830 messages a second"
    trades = replace(TRADES, asked=None, confirmed_markets=None, heard=None)
    assert verdict(running(listing=followed, channels=[trades]))[1].startswith("Collecting 32 markets, ")


def lost(*seconds_ago: int) -> Status:
    status = running()
    for ago in seconds_ago:
        status.add_gap(Gap(1, 5, 8), NOW - ago * SECOND)
    return status


def test_lost_messages_are_a_state_for_ten_minutes():
    text = "Collecting, but 6 messages were lost since the start, the last at 14:11:46 UTC"
    assert verdict(lost(1200, 94), WHOLE) == ("bad", text)
    assert verdict(lost(int(LOSS_SECONDS)), WHOLE)[0] == "good"
    chain = running()
    chain.add_gap(Gap(1, 5, 8, counted=False), NOW - 94 * SECOND)
    assert verdict(chain)[1] == "Collecting, but messages were lost, the last at 14:11:46 UTC"


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        (lambda: running(), 0),
        (lambda: running(channels=[silent("ticker", 300), silent("trade", 94), BOOKS]), 300),
        (lambda: running(last_received_ns=NOW - 94 * SECOND), 94),
        (lambda: lost(1200, 500, 94), 500),
        (lambda: running(queue_messages=lambda: 41_000.0, queue_bytes=lambda: 2e7), 5),
        (lambda: running(companions={"upload": UPLOAD}), 5),
        (lambda: running(companions={"seal": CompanionState(failures=1)}), 5),
        (lambda: running(silence_until_ns=NOW + 600 * SECOND), None),
    ],
    ids=["well", "silent", "quiet", "lost", "disk", "engine", "companion", "silence"],
)
def test_each_state_says_since_when(status: Callable[[], Status], seconds):
    assert since(status()) == seconds


def test_a_copy_that_is_behind_has_been_since_its_oldest_line():
    report = {**SHIP.report, "up": True, "lag_seconds": 300.0}
    ship = replace(SHIP, report=report, reported=time.monotonic())
    assert since(running(companions={"ship": ship})) == 300


def test_a_disk_that_does_not_answer_has_not_since_the_call_began():
    assert since(running(sync_began=time.monotonic() - 33)) == 33


def test_what_is_late_has_not_been_for_longer_when_it_was_in_time_between():
    status = running(queue_bytes=lambda: 2e7)
    clock = itertools.count()
    recent = Recent(status, Histogram("age", "", (1.0,)), clock=lambda: next(clock))
    seen = []
    for size in (2e7, 2e7, 0.0, 2e7, 2e7):
        status.queue_bytes = partial(float, size)
        recent.sample()
        seen.append(recent.late_since(QUEUE))
    assert seen == [0, 0, None, 2, 2]


def test_without_a_connection_the_earlier_runs_count_too():
    """A process that cannot connect ends, and is started again and again."""
    away = running(connected=False)
    text = "Not connected to the exchange since 12:47:58 UTC"
    assert described(away, LOST, since=NOW - SECOND) == {
        "kind": "not_connected",
        "grade": "bad",
        "brief": "Not connected",
        "text": text,
        "since": "2026-09-21T12:47:58.000000Z",
        "since_is": "state_began",
        "says_since": True,
        "says_how_long": False,
    }
    yesterday = Strip("2026-09-20", [Piece(BEGIN - DAY_NS, BEGIN - 60 * SECOND, LISTENING), out(BEGIN - 60 * SECOND)])
    assert since(away, [yesterday, *day(out(BEGIN, NOW))]) == (NOW - BEGIN) // SECOND + 60
    first = [Piece(BEGIN, NOW - 60 * SECOND, OUTAGE, "not_started"), out(NOW - 60 * SECOND, NOW)]
    assert since(away, day(*first)) == 60


def out(begin: int, end: int = BEGIN) -> Piece:
    return Piece(begin, end, OUTAGE, "disconnected")
