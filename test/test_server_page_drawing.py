"""The shapes of the page: a day as bars, and rates as a chart."""

from __future__ import annotations

from ssmd.contracts.strip import LISTENING, NOT_STARTED, OUTAGE, Piece, Strip
from ssmd.runtime.recent import Rates
from ssmd.server.page.drawing import bars, chart, ongoing
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


def test_what_goes_on_has_no_end_yet():
    pieces = [
        Piece(BEGIN, BEGIN + 600 * MINUTE, LISTENING),
        Piece(BEGIN + 600 * MINUTE, BEGIN + 640 * MINUTE, OUTAGE, "disconnected"),
    ]
    strip = Strip("2026-09-21", pieces)
    titles = [bar.title for bar in bars(strip, ongoing(strip, is_connected=False))]
    assert titles == [
        "00:00:00 to 10:00:00 UTC: listening (10 h)",
        "since 10:00:00 UTC: not listening, the connection was lost",
    ]
    assert ongoing(strip, is_connected=True) is None, "what is known of the day is a few seconds old"
    assert ongoing(Strip("2026-09-21", pieces[:1]), is_connected=True) == pieces[0]
    assert ongoing(Strip("2026-09-21", []), is_connected=True) is None


def test_a_chart_begins_with_the_first_step():
    found = chart([(0.0, Rates(messages=50.0, bytes=0.0, channels={}))], "all messages")
    assert [band.path for band in found.bands] == ["M890 0.00L900 0.00L900 100.00L890 100.00Z"]
