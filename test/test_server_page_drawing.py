"""The shapes of the page: a day as bars, and rates as a chart."""

from __future__ import annotations

from ssmd.contracts.strip import LISTENING, NOT_STARTED, OUTAGE, Piece, Strip
from ssmd.runtime.recent import Rates
from ssmd.server.page.drawing import bars, chart
from ssmd.store.timestamps import day_begins

BEGIN = day_begins("2026-09-21")
MINUTE = 60 * 10**9


def test_the_time_before_the_first_run_is_no_part_of_an_outage_soon_after():
    pieces = [
        Piece(BEGIN, BEGIN + 600 * MINUTE, OUTAGE, NOT_STARTED),
        Piece(BEGIN + 600 * MINUTE, BEGIN + 601 * MINUTE, LISTENING),
        Piece(BEGIN + 601 * MINUTE, BEGIN + 640 * MINUTE, OUTAGE, "disconnected"),
    ]
    found = {bar.kind: (bar.x, bar.width) for bar in bars(Strip("2026-09-21", pieces))}
    assert found == {"listening": (600, 5), "before": (0, 600), "outage": (601, 39)}


def test_outages_that_are_near_each_other_are_one_bar():
    pieces = [
        Piece(BEGIN, BEGIN + 20 * MINUTE, OUTAGE, "disconnected"),
        Piece(BEGIN + 20 * MINUTE, BEGIN + 21 * MINUTE, LISTENING),
        Piece(BEGIN + 21 * MINUTE, BEGIN + 30 * MINUTE, OUTAGE, "disconnected"),
    ]
    assert [bar.width for bar in bars(Strip("2026-09-21", pieces)) if bar.kind == OUTAGE] == [30]


def test_the_upper_edge_of_a_chart_is_never_below_the_rate_now():
    steps = [(5.0, Rates(messages=150.0, bytes=0.0, channels={}))]
    assert chart(steps, "all messages").top == 200
    assert chart(steps, "all messages", 230.0).top == 250
    assert chart([], "all messages").top == 1
