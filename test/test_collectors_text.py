"""The lines about a collector: what it says, and what it leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from test_server_status import ABOUT, BOOKS, NOW, SECOND, busy

from ssmd.collectors.ask import Address
from ssmd.collectors.rows import view
from ssmd.collectors.said import read
from ssmd.collectors.text import lines, name_of, plain, strip_of
from ssmd.collectors.watch import Watched
from ssmd.contracts.events import Gap
from ssmd.contracts.shard import Shard
from ssmd.contracts.strip import CLOSED, LISTENING, NOT_STARTED, OUTAGE, UNKNOWN, End, Piece, Strip
from ssmd.runtime.reason import Reason
from ssmd.runtime.status import Status
from ssmd.server.levels import FULL, LEVELS, OFF, STATUS
from ssmd.server.status import describe
from ssmd.store.timestamps import day_begins

AT = datetime.fromtimestamp(NOW / 1e9, UTC)
BEGIN = day_begins("2026-09-21")
HOUR = 3600 * SECOND
SILENT = Reason("trade: no message for 94 s", "trade", says_how_long=True)


def said(status, level=FULL, about=ABOUT):
    return read(json.dumps(describe(status, about, level, lambda: NOW)).encode())


def shown(status, level=FULL, about=ABOUT):
    return [plain(line) for line in lines(said(status, level, about), AT)]


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_of_every_state_can_be_shown(level):
    for status in (busy(), Status()):
        assert shown(status, level)[0].startswith("  feed     ")


def test_without_details():
    assert shown(busy(), OFF) == ["  feed     incomplete; its --page is off, which hides the rest"]


def test_what_is_missing_is_named():
    status = busy()
    status.channels = [BOOKS, replace(BOOKS, channel="trade", silent=True, missing=(SILENT,))]
    found = shown(status)
    assert found[0].startswith("  feed     Connected, but no trade messages for ")
    assert "  missing  trade: no message for 94 s" in found
    assert any(line.startswith("  silent   trade, last message ") for line in found)


def test_without_a_connection_it_says_how_the_last_run_ended():
    days = [Strip("2026-09-21", [], last_end=End(NOW - 94 * SECOND, "no route"))]
    about = replace(ABOUT, days=lambda: days, started_ns=NOW - 90 * SECOND)
    assert "  why      the last run ended at 14:11:46 UTC: no route" in shown(Status(), FULL, about)
    assert "  ended    the last run ended at 14:11:46 UTC" in shown(Status(), STATUS, about)
    assert not any(line.startswith("  why") for line in shown(busy(), FULL, about))
    days[0] = days[0]._replace(last_end=End(NOW - 94 * SECOND, None))
    killed = "  ended    the last run was killed, or its host lost power, at 14:11:46 UTC or later"
    assert all(killed in shown(Status(), level, about) for level in (FULL, STATUS))
    waits = Status(not_connected=End(NOW - 4 * SECOND, "HTTP 429"))
    assert "  why      the attempt to connect failed at 14:13:16 UTC: HTTP 429" in shown(waits, FULL, about)


def test_one_is_not_said_as_many():
    status = busy()
    status.queue_messages = lambda: 1.0
    assert any(line.startswith("  queue    1 message, ") for line in shown(status))


def test_an_earlier_version_that_has_no_verdict():
    old = b'{"state":"incomplete","since":"2026-09-21T14:00:00.000000Z","connected":true,"missing":["a","b"]}'
    assert plain(next(lines(read(old), AT))) == "  feed     incomplete; a; b"


def test_what_a_collector_says_cannot_steer_the_terminal():
    about = replace(ABOUT, environment="a\x1b[2Jb", shard=Shard(2, 4))
    status = busy()
    status.channels = [replace(BOOKS, channel="\x1b]0;x\x07\n", missing=(Reason("\x1b[31m", "x"),), silent=True)]
    found = said(status, about=about)
    assert name_of(found) == "a [2Jb shard 2/4"
    assert all(line.text.isprintable() for line in lines(found, AT))


def test_a_day_as_letters():
    strip = Strip(
        "2026-09-21",
        [
            Piece(BEGIN, BEGIN + HOUR, UNKNOWN),
            Piece(BEGIN + HOUR, BEGIN + 2 * HOUR, CLOSED),
            Piece(BEGIN + 2 * HOUR, BEGIN + 3 * HOUR, LISTENING),
            Piece(BEGIN + 3 * HOUR, BEGIN + 3 * HOUR + SECOND, OUTAGE, "disconnected"),
            Piece(BEGIN + 3 * HOUR + SECOND, BEGIN + 4 * HOUR, LISTENING),
        ],
    )
    found = said(busy(), about=replace(ABOUT, days=lambda: [strip]))
    assert strip_of(found.today) == "??--==x=".ljust(48)
    assert any(line.name == "today" and line.text.endswith("listened, 1 outage") for line in lines(found, AT))


def test_of_an_earlier_version_the_part_since_the_first_run_is_not_known():
    first = BEGIN + HOUR
    strip = Strip("2026-09-21", [Piece(BEGIN, first, OUTAGE, NOT_STARTED), Piece(first, first + HOUR, LISTENING)])
    found = said(busy(), about=replace(ABOUT, days=lambda: [strip]))
    assert (found.today.coverage_percent, found.today.listened_percent) == (50, 100)
    found.today.coverage_since_first_run_percent = None
    assert found.today.listened_percent is None


def test_lost_messages_are_called_so():
    status = busy()
    status.add_gap(Gap(1, 5, 8), NOW)
    assert "  gaps     1 since the start, 3 messages lost" in shown(status)


def test_before_the_first_run_nothing_was_missed():
    first = BEGIN + HOUR
    strip = Strip("2026-09-21", [Piece(BEGIN, first, OUTAGE, NOT_STARTED), Piece(first, first + HOUR, LISTENING)])
    found = said(busy(), about=replace(ABOUT, days=lambda: [strip]))
    assert strip_of(found.today) == "  ==".ljust(48)
    watched = Watched(Address("127.0.0.1", 8080), {}, found, answered=0.0)
    assert view([watched], None, 0.0, NOW)["rows"][0]["coverage"] == "100.00 %"
    texts = {line.name: line.text for line in lines(found, AT)}
    assert texts["today"] == "100.00 % listened since the first run, at 01:00 UTC"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"state":1,"since":"2026-09-21T14:00:00.000000Z"}',
        b'{"state":"x","since":"2026-99-21T14:00:00.000000Z"}',
        b'{"state":"x","since":"2026-09-21T14:00:00"}',
        b'{"state":"x","since":"2026-09-21T14:00:00.000000Z","channels":[{"channel":null}]}',
        b"[" * 100_000,
        b'{"state":"x","since":"2026-09-21T14:00:00.000000Z","more":' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_a_collector(answer):
    with pytest.raises(ValueError, match=r".+"):
        read(answer)
