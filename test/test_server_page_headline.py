"""The top of the page: since when it is so, what happens next, and the three ages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from test_server_status import ABOUT, BOOKS, NOW, SECOND, SHIP, UPLOAD
from test_server_verdict import TRADES, lost, out, running, silent

from ssmd.contracts.strip import End, Strip
from ssmd.runtime.status import Status
from ssmd.server.levels import FULL, STATUS
from ssmd.server.page.headline import ages, headline
from ssmd.server.status import describe
from ssmd.store.timestamps import DAY_NS

AWAY = [Strip("2026-09-21", [out(NOW - 94 * SECOND, NOW)])]
TICKER = replace(TRADES, channel="ticker")


def said(status: Status, started: int = NOW - 3600 * SECOND, days: Any = None) -> dict[str, Any]:
    return describe(status, replace(ABOUT, started_ns=started, days=lambda: days), FULL, lambda: NOW)


def since(status: Status, **about: Any) -> str:
    return str(headline(said(status, **about), NOW)["since"])


def well(ago: int) -> Status:
    """A run that has collected all of it for so many seconds, which were looked at."""
    status = running()
    status.state_since(NOW - ago * SECOND)
    return status


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (lambda: well(94), "Collecting since 14:11:46 UTC, for 94 s"),
        (lambda: well(3600), "Since the start of the run at 13:13:20 UTC, for 1 h"),
        (lambda: lost(94), ""),
        (lambda: lost(500, 94), "Lost since 14:05 UTC, for 8 min 20 s"),
        (lambda: running(closed_until_ns=NOW + DAY_NS), "Waiting since 14:13:20 UTC, for 0 s"),
        (lambda: running(channels=[silent("trade", 94), TICKER]), "The last one came at 14:11:46 UTC"),
        (lambda: running(channels=[BOOKS]), "Since 14:13:20 UTC"),
        (lambda: running(channels=[silent("trade", 94), silent("fill", 31), TICKER]), "Since 14:11:46 UTC"),
        (lambda: running(last_received_ns=NOW - 94 * SECOND), "The last one came at 14:11:46 UTC"),
        (lambda: running(ending="no room", channels=[silent("trade", 94)]), "Since 14:13:20 UTC, for 0 s"),
        (lambda: running(refused={"trade": 26}), "Since 14:13:20 UTC, for 0 s"),
    ],
    ids=[
        *("well", "start", "lost", "lost twice", "closed", "silent", "two silent", "unconfirmed", "quiet"),
        *("ending", "refused"),
    ],
)
def test_it_says_what_began_and_no_time_twice(status: Callable[[], Status], line):
    assert since(status()) == line


def test_without_a_connection_the_time_is_only_in_the_sentence():
    status = running(connected=False)
    assert headline(said(status, days=AWAY), NOW)["text"] == "Not connected to the exchange since 14:11:46 UTC"
    assert since(status, days=AWAY) == "For 94 s"


def test_a_disk_that_does_not_answer_has_its_duration_in_the_sentence():
    line = since(running(sync_began=time.monotonic() - 94, channels=[silent("trade", 94)]))
    assert re.fullmatch(r"Since \d\d:\d\d(:\d\d)? UTC", line), line


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (None, ""),
        (End(NOW - 94 * SECOND, "no route"), "The last run ended at 14:11:46 UTC: no route"),
        (End(NOW - 94 * SECOND, None), "The last run was killed, or its host lost power, at 14:11:46 UTC or later."),
    ],
)
def test_without_a_connection_it_says_how_the_last_run_ended(end, line):
    status, days = running(connected=False), [AWAY[0]._replace(last_end=end)]
    assert headline(said(status, NOW - 90 * SECOND, days=days), NOW)["why"] == line
    assert headline(said(running(), days=days), NOW)["why"] == ""


def test_while_a_run_waits_before_its_end_it_says_how_its_attempt_failed():
    status = running(connected=False)
    status.not_connected = End(NOW - 4 * SECOND, "HTTP 429")
    shown = headline(said(status, NOW - 5 * SECOND, days=AWAY), NOW)["why"]
    assert shown == "The attempt to connect failed at 14:13:16 UTC: HTTP 429"


def test_without_the_texts_of_errors_it_says_where_the_reason_is():
    days = [AWAY[0]._replace(last_end=End(NOW - 94 * SECOND, "no route"))]
    about = replace(ABOUT, days=lambda: days, started_ns=NOW - 90 * SECOND)
    found = describe(running(connected=False), about, STATUS, lambda: NOW)
    assert headline(found, NOW)["why"] == "The last run ended at 14:11:46 UTC. The log says why."
    days[0] = days[0]._replace(last_end=End(NOW - 94 * SECOND, None))
    found = describe(running(connected=False), about, STATUS, lambda: NOW)
    shown = headline(found, NOW)["why"]
    assert shown == "The last run was killed, or its host lost power, at 14:11:46 UTC or later."


def test_a_copy_that_is_behind_says_from_when_its_oldest_message_is():
    report = {**SHIP.report, "up": True, "lag_seconds": 300.0}
    ship = replace(SHIP, report=report, reported=time.monotonic())
    assert since(running(companions={"ship": ship})).startswith("The oldest message that is not copied came at 14:0")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (lambda: running(), ""),
        (lambda: running(connected=False), "Nothing is recorded until it is connected."),
        (lambda: lost(94), "What comes is recorded. This is shown until 14:21:46 UTC, unless more are lost."),
        (
            lambda: running(refused={"trade": 26}, channels=[replace(TRADES, confirmed=False), TICKER]),
            "What the exchange answered is in the log. Still recorded: ticker.",
        ),
        (lambda: running(channels=[silent("trade", 94)]), ""),
        (lambda: running(companions={"upload": UPLOAD}), "Recording to the disk goes on. It is tried again by itself."),
    ],
    ids=["well", "away", "lost", "refused", "silent", "engine"],
)
def test_it_says_what_still_works_and_what_happens_next(status: Callable[[], Status], line):
    assert headline(said(status()), NOW)["next"] == line


def test_what_is_refused_is_not_said_a_second_time():
    status = running(refused={"trade": 26}, channels=[replace(TRADES, confirmed=False, confirmed_markets=39)])
    assert headline(said(status), NOW)["missing"] == []
    status.channels = [*(status.channels or ()), BOOKS]
    assert headline(said(status), NOW)["missing"] == [
        "trade: refused by the exchange (error 26), 1 of 40 markets not confirmed",
        BOOKS.missing[0].text,
    ]


def test_before_the_first_of_its_kind_there_is_no_age():
    assert [age.value for age in ages(said(Status()), NOW)] == ["none yet"] * 3
    assert [age.value for age in ages(said(Status(closed_until_ns=NOW + DAY_NS)), NOW)] == ["none expected"] * 3
    byte, message, sync = ages(said(running()), NOW)
    assert (byte.value, message.value, sync.value) == ("?", "0.2 s", "none yet")  # Nobody looks at the socket.
