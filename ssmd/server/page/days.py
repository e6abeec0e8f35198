"""The days of the page: today, and those before it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssmd.contracts.strip import UNKNOWN, Piece, Strip
from ssmd.server.kinds import ATTENTION, BAD, GOOD
from ssmd.server.page.drawing import bars, ongoing, sentence
from ssmd.words import counted, percent

__all__ = ["days_of"]

_OUTAGES = 5
"""How many outages of today are listed in words: the newest."""


def days_of(days: Sequence[Strip] | None, *, is_connected: bool) -> dict[str, Any]:
    """Return the rows of the days, the newest first, and the outages of today in words.

    `is_connected`: the collector is connected now, so that no outage goes on.
    """
    if not days:
        return {"rows": [], "outages": [], "more": 0, "unrecorded": ""}
    first = next((number for number, strip in enumerate(days[:-1]) if _is_recorded(strip)), len(days) - 1)
    today = days[-1]
    outages = [piece for piece in today.outages if piece != today.before_all]
    now = ongoing(today, is_connected=is_connected)
    rows = [
        _day(strip, is_first=number == first, goes_on=now if strip is today else None, is_today=strip is today)
        for number, strip in enumerate(days)
    ]
    return {
        "rows": rows[: first - 1 if first else None : -1],
        "unrecorded": _unrecorded(days[:first]),
        "outages": [
            sentence(piece, goes_on=piece == now)
            for piece in outages[: -_OUTAGES - 1 : -1]
        ],
        "more": max(0, len(outages) - _OUTAGES),
    }


def _is_recorded(strip: Strip) -> bool:
    return bool(strip.gaps or strip.gaps_ns) or any(piece.kind != UNKNOWN for piece in strip.pieces)


def _unrecorded(days: Sequence[Strip]) -> str:
    """Return the days before the first one of which anything is known, in words."""
    if not days:
        return ""
    first, last = days[0].day[5:], days[-1].day[5:]
    return f"{first if first == last else f'{first} to {last}'}: no records"


def _day(strip: Strip, *, is_first: bool, goes_on: Piece | None, is_today: bool) -> dict[str, Any]:
    """Return a row. `is_first`: nothing is known of the days before, so that its time before the first run is not
    counted.
    """
    coverage = strip.coverage_since_first_run if is_first else strip.coverage
    gaps = len(strip.gaps_ns) if is_today else strip.gaps
    return {
        "name": "today" if is_today else strip.day[5:],
        "day": strip.day,
        "bars": bars(strip, goes_on),
        "coverage": percent(coverage),
        "grade": "none" if coverage is None else GOOD if coverage >= 100 else ATTENTION if coverage >= 99 else BAD,
        "gaps": "" if not gaps else counted(gaps, "gap"),
    }
