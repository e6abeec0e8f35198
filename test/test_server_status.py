"""/status: what it says at each level, that the schema in docs/status.md holds for it, and that it shows no secret."""

from __future__ import annotations

import html
import json
import re
import socket
import time
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from ports import free_port
from process import ROOT, Collector, Simulator

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import CHAIN, LOSS_NOT_DETECTED, NO_NUMBERS_YET
from ssmd.contracts.listing import ListingState
from ssmd.contracts.shard import WHOLE
from ssmd.contracts.strip import End, Strip
from ssmd.runtime.channel_status import ChannelStatus
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.reason import Reason
from ssmd.runtime.status import Status
from ssmd.server.levels import FULL, LEVELS, OFF, STATUS
from ssmd.server.status import About, describe

NOW = 1_790_000_000_000_000_000
SECOND = 10**9
PAGE = (ROOT / "docs" / "status.md").read_text()
SCHEMA = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
ABOUT = About("kalshi", WHOLE, "kalshi-dev", "kalshi", "wss://example.com/ws", NOW - 3600 * SECOND)
BOOKS = ChannelStatus(
    channel="orderbook_delta",
    asked=40,
    confirmed_markets=39,
    heard=30,
    confirmed=False,
    silent=False,
    last_ns=NOW - 2 * SECOND,
    books_pending=10,
    books_missing=0,
    may_be_silent=False,
    missing=(Reason("orderbook_delta: 1 of 40 markets not confirmed for 11 s", "orderbook_delta", says_how_long=True),),
)
LISTING = ListingState(
    listed=500,
    subscribed=490,
    not_subscribed=10,
    over_limit=2,
    last_listed_ms=NOW // 1_000_000 - 5000,
    error="KX-SECRET: Kalshi answers 429",
    pause_seconds=4,
    responses={200: 17, 429: 1, 0: 1},
    waiting_since_ms=NOW // 1_000_000 - 70_000,
)
NO_RATE = {"bytes_per_day": None, "full_in_days": None}
FILLS = ChannelStatus("fill", None, None, None, True, False, None, None, None, True)

SHIP = CompanionState(
    up=True,
    reported=time.monotonic(),
    report={
        "engine": "nats",
        "up": False,
        "messages": 5,
        "failures": 1,
        "lag_bytes": 100,
        "lag_seconds": 0.25,
        "error": "KX-SECRET: no such stream",
        "shipped_until": {"day": "2026-09-21", "offset": 500, "line": 5, "last": "2026-09-21T14:13:19.000000Z"},
    },
)
UPLOAD = CompanionState(
    up=True,
    reported=time.monotonic(),
    report={**SHIP.report, "engine": "s3", "day_overdue_seconds": 7200.0, "live_overdue_seconds": None},
)


def busy() -> Status:
    return Status(
        connected=True,
        connected_ns=NOW - 60 * SECOND,
        last_received_ns=NOW - SECOND // 4,
        messages=1000,
        channels=[BOOKS, FILLS],
        unheard=lambda channel: [f"KX-{channel}-{number}" for number in range(10_000)],
        unconfirmed=lambda channel: [f"KX-{channel}-0"],
        day="2026-09-21",
        starts=3,
        disk_free=10**12,
        last_write=NOW / 1e9,
        last_sync=NOW / 1e9,
        listing=LISTING,
        companions={
            "seal": CompanionState(starts=1, failures=1, error="KX-SECRET: no such file"),
            "ship": SHIP,
            "upload": UPLOAD,
        },
    )


def said(status: Status, level: str = FULL, about: About = ABOUT) -> dict[str, Any]:
    found = describe(status, about, level, lambda: NOW)
    jsonschema.validate(found, SCHEMA)
    return json.loads(json.dumps(found))


def properties(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """The names of all fields of a schema, as the table of the page writes them."""
    found = set()
    for name, inner in schema.get("properties", {}).items():
        is_list = "array" in inner.get("type", "") and "properties" in inner["items"]
        below = properties(inner["items"] if is_list else inner, f"{prefix}{name}{'[]' * is_list}.")
        found |= below or {prefix + name}
        found |= {f"{prefix}{name}[]"} if is_list else set()
    return found


def no_more_than(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the permission for further fields, which is for later versions."""
    if not isinstance(schema, dict):
        return schema
    closed = {key: no_more_than(value) if isinstance(value, dict) else value for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema and "type" in schema else closed


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("status", [Status(), busy()], ids=["at the start", "busy"])
def test_the_schema_holds_and_names_every_field(status, level):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(said(status, level), no_more_than(SCHEMA))


def test_the_table_names_every_field_of_the_schema_and_no_other():
    text = PAGE.partition("## The fields")[2].partition("## The schema")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    real = {name for name in properties(SCHEMA) if not name.startswith("companions[].")}
    assert named | {"format"} == real


def test_off_shows_the_state_alone():
    assert said(busy(), OFF) == {"format": 1, "state": "incomplete", "since": "2026-09-21T14:13:20.000000Z"}


def test_the_state_follows_the_run_and_says_since_when():
    status = Status()
    times = iter([NOW, NOW + SECOND, NOW + 2 * SECOND, NOW + 3 * SECOND, NOW + 4 * SECOND])
    seen = []
    for change in ({}, {"connected": True}, {}, {"channels": [BOOKS]}, {"ending": "gone"}):
        for name, value in change.items():
            setattr(status, name, value)
        found = describe(status, ABOUT, OFF, lambda: next(times))
        seen.append((found["state"], found["since"][17:19]))
    assert seen == [
        ("connecting", "20"),
        ("collecting", "21"),
        ("collecting", "21"),
        ("incomplete", "23"),
        ("ending", "24"),
    ]


def test_what_is_not_known_is_null():
    found = said(Status(loss_shown_by=None))
    assert found["messages"] == {
        "written": 0,
        "received_bytes": 0,
        "written_bytes": 0,
        "not_json": 0,
        "not_decompressed": None,
        "loss_shown_by": None,
        "gaps": None,
        "missed": None,
        "last_gap": None,
        "lost_since": None,
        "gaps_in": [],
        "last": None,
        "age_seconds": None,
        "last_byte_age_seconds": None,
    }
    assert found["notes"] == [LOSS_NOT_DETECTED]
    nothing_written = {"day": None, "free_bytes": None, "last_write": None, "last_sync": None, "waiting_seconds": 0}
    assert found["disk"] == nothing_written | NO_RATE
    assert found["rates"] == {"messages_per_second": None, "bytes_per_second": None}
    assert (found["age"], found["today"]) == ({"p50_seconds": None, "p99_seconds": None}, None)
    assert found["runs"] == {"starts_today": None, "earlier_errors": None, "last_end": None}
    assert (found["connected_since"], found["channels"], found["missing"]) == (None, None, ["not connected"])


def test_it_says_how_lost_messages_show():
    status = Status(loss_shown_by=CHAIN, gaps=1)
    status.add_gap(Gap(1, 5, 9, counted=False), NOW)
    messages = said(status)["messages"]
    assert (messages["loss_shown_by"], messages["gaps"], messages["missed"]) == ("chain", 2, None)
    assert said(status)["notes"] == []


def test_gaps_are_not_known_until_a_message_has_had_a_number():
    seen = []
    status = Status(loss_shown_by=CHAIN)
    steps = ((None, lambda: False), (NOW, lambda: False), (NOW, lambda: True))
    for status.last_received_ns, status.shows_loss in steps:
        messages = said(status)["messages"]
        seen.append((messages["gaps"], messages["missed"], said(status)["notes"]))
    assert seen == [(None, None, []), (None, None, [NO_NUMBERS_YET]), (0, 0, [])]


def test_a_channel_has_its_counts_ages_and_with_full_the_first_of_its_names():
    books, fills = said(busy())["channels"]
    assert books == {
        "channel": "orderbook_delta",
        "asked": 40,
        "confirmed_markets": 39,
        "heard": 30,
        "confirmed": False,
        "refused": False,
        "silent": False,
        "last": "2026-09-21T14:13:18.000000Z",
        "age_seconds": 2.0,
        "books_pending": 10,
        "books_missing": 0,
        "may_be_silent": False,
        "messages_per_second": None,
        "unconfirmed": ["KX-orderbook_delta-0"],
        "unheard": [f"KX-orderbook_delta-{number}" for number in range(20)],
    }
    assert (fills["asked"], fills["heard"], fills["last"], fills["may_be_silent"]) == ("all", None, None, True)


def test_a_private_channel_never_shows_its_markets():
    status = busy()
    status.channels = [replace(BOOKS, channel="fill", may_be_silent=True)]
    assert "KX-" not in json.dumps(said(status, FULL)["channels"])


def test_status_shows_no_market_and_no_text_of_an_error():
    text = json.dumps(said(busy(), STATUS))
    assert "KX-" not in text
    assert json.loads(text)["missing"] == ["orderbook_delta: 1 of 40 markets not confirmed for 11 s"]


def test_how_the_last_run_has_ended_and_with_full_why():
    days = [Strip("2026-09-20", [], last_end=End(NOW - SECOND, "no route (KX-SECRET)")), Strip("2026-09-21", [])]
    about = replace(ABOUT, days=lambda: days)
    time = "2026-09-21T14:13:19.000000Z"
    reason = {"reason": "no route (KX-SECRET)"}
    assert said(Status(), FULL, about)["runs"]["last_end"] == {"time": time, "killed": False} | reason
    assert said(Status(), STATUS, about)["runs"]["last_end"] == {"time": time, "killed": False}
    days[0] = days[0]._replace(last_end=End(NOW - SECOND, None))
    assert said(Status(), FULL, about)["runs"]["last_end"] == {"time": time, "killed": True, "reason": None}
    assert said(Status(), STATUS, about)["runs"]["last_end"] == {"time": time, "killed": True}
    waits = Status(not_connected=End(NOW, "come back later"))
    assert said(waits, FULL, about)["runs"]["last_end"]["reason"] == "come back later"
    assert said(Status())["runs"]["last_end"] is None


@pytest.mark.one_day
def test_without_a_connection_it_says_why_and_shows_no_secret(tmp_path):
    """The first run finds nobody at the address, the second one somebody who does not answer."""
    port = free_port()
    endpoint = f"ws://127.0.0.1:{port}/feed?token=sesame"
    with Collector(tmp_path, endpoint, exchange="generic") as first:
        assert first.wait() == 69
    with socket.create_server(("127.0.0.1", port)), Collector(tmp_path, endpoint, exchange="generic") as second:
        second.start_up()
        while (found := json.loads(text := second.get("/status")[1]))["runs"]["last_end"] is None:
            pass  # The disk has not answered yet.
        page = second.get("/")[1]
    assert found["state"] == "connecting"
    assert "127.0.0.1" in found["runs"]["last_end"]["reason"]
    assert found["runs"]["last_end"]["reason"].endswith("Connection refused")
    assert found["runs"]["last_end"]["reason"] in html.unescape(page)
    assert "sesame" not in text + page


@pytest.mark.one_day
@pytest.mark.parametrize("exchange", ["kalshi", "generic"])
def test_the_schema_holds_for_a_real_run(tmp_path, exchange):
    with Simulator("--rate", "500") as simulator:
        endpoint = simulator.endpoint if exchange == "kalshi" else simulator.generic
        with Collector(tmp_path, endpoint, exchange=exchange) as collector:
            collector.start_up()
            early = json.loads(collector.get("/status")[1])
            collector.wait_for_lines(1000)  # Two seconds: the channels are looked at once in each.
            late = json.loads(collector.get("/status")[1])
            assert collector.end() == 0
    for found in (early, late):
        jsonschema.validate(found, no_more_than(SCHEMA))
    assert (late["state"], late["connected"], late["exchange"], late["missing"]) == ("collecting", True, exchange, [])
    assert late["endpoint"] == endpoint
    assert late["runs"] == {"starts_today": 1, "earlier_errors": {}, "last_end": None}
    assert late["messages"]["written"] >= 1000
    assert late["disk"]["day"] == next(collector.data.glob("*/")).name
    names = ["ticker", "trade", "market_lifecycle_v2"] if exchange == "kalshi" else []
    assert [channel["channel"] for channel in late["channels"]] == names
    assert (late["messages"]["gaps"] is None) == (exchange == "generic")


def test_how_far_the_following_of_markets_is():
    found = said(busy())["following"]
    assert (found["listed"], found["subscribed"], found["not_subscribed"], found["over_limit"]) == (500, 490, 10, 2)
    assert found["responses"] == {"200": 17, "429": 1, "none": 1}
    assert (found["waiting_seconds"], found["pause_seconds"], found["failing"]) == (70.0, 4, True)
    assert "429" in found["error"]
    assert "error" not in said(busy(), STATUS)["following"]
    assert said(Status())["following"] is None
