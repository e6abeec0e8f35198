"""The markets of a feed in the report: the ones with the most messages, and the silent ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from process import ssmd
from recorded import GENERIC, KALSHI, fail, write_day

from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.reports.html import page
from ssmd.reports.top_markets import market_lines, markets_of_shards
from ssmd.shape.shape import Markets
from ssmd.store.layout import shape_path
from ssmd.store.timestamps import day_begins

pytestmark = pytest.mark.one_day
DAY = "2026-11-20"
FOUND = Markets(1000, True, 3, {"KX-A": 700, "KX-B": 299, "KX-C": 1}, 5, 2, ["KX-D", "KX-E"])


def record(storage: Path, *, sealed: bool) -> Path:
    asked = {"subscription": 1, "channel": "trade", "action": "subscribe", "markets": ["KX-1", "KX-2", "KX-3"]}
    return write_day(
        storage,
        DAY,
        (0, "started", KALSHI),
        (0, "connected", {}),
        (0, "asked", {**asked, "commands": []}),
        (1, b'{"id":1,"type":"ok"}'),
        *((2, b'{"type":"trade","sid":2,"msg":{"market_ticker":"KX-%d"}}' % number) for number in (1, 2, 1)),
        (9, b'{"type":"trade","sid":2,"msg":{"market_ticker":7}}'),
        (9, b'{"type":"trade","sid":2,"msg":null}'),
        (10, b"pong"),
        (11, "stopped", {"reason": "SIGTERM"}),
        sealed=sealed,
    )


@pytest.mark.parametrize("sealed", [True, False])
def test_the_report_names_them_for_the_newest_day_sealed_or_not(tmp_path, sealed):
    record(tmp_path, sealed=sealed)
    done = ssmd("report", tmp_path)
    assert done.returncode == 0
    assert (
        f"markets on {DAY}: 2 had a message, 3 were asked for by name\n"
        "  KX-1  2  66.7 %\n"
        "  KX-2  1  33.3 %\n"
        "  1 of the markets asked for by name had no message: KX-3\n"
    ) in done.stdout
    assert ">KX-1<" in ssmd("report", tmp_path, "--html").stdout


def test_a_dialect_that_says_where_the_market_is_has_them_too(tmp_path):
    dialect = {**GENERIC, "description": {"paths": {"type": "t", "market": "data[0].s"}}}
    some = [(5, json.dumps({"t": "x", "data": [{"s": name}]}).encode()) for name in ("BTC", "ETH", "BTC")]
    write_day(tmp_path, DAY, (0, "started", dialect), (0, "connected", {}), *some, (7, b"[]"), sealed=False)
    shown = ssmd("report", tmp_path).stdout
    assert f"markets on {DAY}: 2 had a message, none were asked for by name\n  BTC  2" in shown


def test_nothing_is_said_where_it_is_not_known_which_market_a_message_is_of(tmp_path):
    write_day(tmp_path, DAY, (0, "started", GENERIC), (0, "connected", {}), (5, b'{"market":"BTC"}'), sealed=False)
    assert "markets on" not in ssmd("report", tmp_path).stdout
    record(tmp_path / "sealed", sealed=True)
    shape_path(tmp_path / "sealed" / DAY, "kalshi").unlink()
    done = ssmd("report", tmp_path / "sealed")
    assert (done.returncode, "markets on" in done.stdout) == (0, False)


def test_the_newest_day_on_which_they_are_known_is_shown():
    days = [Figures("2026-11-19", "kalshi", messages=9), Figures("2026-11-20", "kalshi", messages=9, markets=FOUND)]
    assert next(market_lines(days)).startswith("markets on 2026-11-20: 3 had")
    assert next(market_lines([days[1], days[0]])).startswith("markets on 2026-11-20: 3 had")
    assert list(market_lines(days[:1])) == []


def test_the_newest_days_with_data_are_looked_at(tmp_path):
    record(tmp_path, sealed=False)
    days = gather(tmp_path, 7, day_begins("2026-11-23"), trouble=fail, progress=lambda file: None)
    assert [day.day for day in days if day.markets is not None] == [DAY]
    assert [day.messages for day in days][1:] == [0, 0, 0]


def test_what_is_estimated_or_not_known_is_said_to_be():
    found = Markets(100, False, None, {"A": 80}, 9, None, [])
    assert list(market_lines([Figures(DAY, "kalshi", messages=100, markets=found)])) == [
        f"markets on {DAY}: how many had a message is not known, 9 were asked for by name",
        "  A  about 80  80.0 %",
        "  which of the markets asked for by name had no message is not known",
    ]


def test_it_is_said_when_all_had_a_message():
    found = Markets(80, True, 1, {"A": 80}, 1, 0, [])
    *_, last = market_lines([Figures(DAY, "kalshi", messages=80, markets=found)])
    assert last == "  every market that was asked for by name had a message"


def test_a_name_from_the_exchange_stays_text():
    name = "\x1b[31m<script>"
    found = Markets(1, True, 1, {name: 1}, 1, 1, [name])
    days = [Figures(DAY, "kalshi", messages=1, markets=found)]
    assert "\x1b" not in "".join(market_lines(days))
    assert "<script>" not in page(days, now_ns=day_begins(DAY), storage="data", version="1")


def test_shards_are_added_up():
    other = Markets(50, True, 2, {"KX-X": 40, "KX-B": 10}, 4, 2, ["KX-0", "KX-Y"])
    whole = markets_of_shards([FOUND, other])
    assert whole == Markets(
        1050, True, 5, {"KX-A": 700, "KX-B": 309, "KX-X": 40, "KX-C": 1}, 9, 4, ["KX-0", "KX-D", "KX-E", "KX-Y"]
    )
    assert markets_of_shards([FOUND, None]) is None
    assert markets_of_shards([]) is None
