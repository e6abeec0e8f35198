"""The shapes of the page: days as strips, rates as a chart. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ssmd.contracts.strip import CLOSED, LISTENING, NOT_STARTED, OUTAGE, UNKNOWN, Piece, Strip
from ssmd.runtime.recent import CHART_SECONDS, STEP_SECONDS, Rates
from ssmd.store.timestamps import day_begins, timestamp
from ssmd.words import seconds_text

__all__ = ["DAY_MINUTES", "Band", "Bar", "Chart", "bars", "cause_text", "chart", "ongoing", "sentence"]

DAY_MINUTES = 1440
"""The width of a day's strip."""
_LEAST_MINUTES = 5.0
"""What is shorter is drawn wider, so that it can be seen."""
_NEAR_MINUTES = 3.0
"""Pieces of one kind that are nearer to each other are drawn as one: a day may have thousands."""
_MINUTE_NS = 60_000_000_000
_LEAST_TOP = 1.0
"""The upper edge of a chart is at least so many messages a second."""

_CAUSES = {
    "disconnected": "the connection was lost",
    "stopped": "the collector was stopped",
    "killed": "the collector was killed, or its host lost power",
    NOT_STARTED: "the collector was not started",
    "unknown": "no ledger says why",
}
_KINDS = {LISTENING: "listening", OUTAGE: "not listening", CLOSED: "closed by schedule", UNKNOWN: "not known"}


class Bar(NamedTuple):
    """A part of a strip, in minutes of the day."""

    x: float
    width: float
    kind: str
    title: str


class Band(NamedTuple):
    """One series of a chart."""

    name: str
    path: str
    """The `d` of an SVG path: its area, on top of the areas before it."""


class Chart(NamedTuple):
    """Rates over time, in a box of CHART_SECONDS by 100."""

    bands: Sequence[Band]
    top: float
    """The rate at the upper edge."""


def cause_text(cause: str) -> str:
    """Return why nobody listened, for people. `cause`: as a ledger names it."""
    return _CAUSES.get(cause, cause)


def sentence(piece: Piece, *, goes_on: bool = False) -> str:
    """Return a piece of a day in words: from when to when, what it is, and why. `goes_on`: it has no end yet."""
    what = _KINDS[piece.kind]
    if piece.cause:
        what += f", {cause_text(piece.cause)}"
    since, until = (timestamp(ns)[11:19] for ns in (piece.begin_ns, piece.end_ns))
    if goes_on:
        return f"since {since} UTC: {what}"
    return f"{since} to {until} UTC: {what} ({seconds_text((piece.end_ns - piece.begin_ns) / 1e9)})"


def ongoing(strip: Strip, *, is_connected: bool) -> Piece | None:
    """Return the piece of today that has no end yet; None when that is not known. `is_connected`: now."""
    last = strip.pieces[-1] if strip.pieces else None
    kinds = (LISTENING,) if is_connected else (OUTAGE, CLOSED)
    return last if last is not None and last.kind in kinds else None


def bars(strip: Strip, goes_on: Piece | None = None) -> list[Bar]:
    """Return a day's strip: first what it mostly is, then the outages and what else differs, then its gaps.

    `goes_on`: see ongoing().
    """
    begin = day_begins(strip.day)
    found: list[Bar] = []
    for kind in (LISTENING, UNKNOWN, CLOSED, OUTAGE):
        joined: list[list[Piece]] = []
        for piece in strip.pieces:
            if piece.kind != kind:
                continue
            is_near = joined and piece.begin_ns - joined[-1][-1].end_ns < _NEAR_MINUTES * _MINUTE_NS
            if is_near and joined[-1] != [strip.before_all]:
                joined[-1].append(piece)
            else:
                joined.append([piece])
        found += [_bar(begin, pieces, strip.before_all, goes_on) for pieces in joined]
    gaps = sorted({int((ns - begin) / _MINUTE_NS / _NEAR_MINUTES) for ns in strip.gaps_ns})
    found += [
        Bar(place * _NEAR_MINUTES, _LEAST_MINUTES, "gap", f"{_hour(place * _NEAR_MINUTES)} UTC: messages were lost")
        for place in gaps
    ]
    return found


def _bar(begin: int, pieces: Sequence[Piece], before: Piece | None, goes_on: Piece | None) -> Bar:
    x, end = (pieces[0].begin_ns - begin) / _MINUTE_NS, (pieces[-1].end_ns - begin) / _MINUTE_NS
    width = max(end - x, _LEAST_MINUTES)
    title = sentence(pieces[0], goes_on=pieces[0] == goes_on)
    if len(pieces) > 1:
        # The newest says more, when it goes on.
        newest = f", the last {sentence(pieces[-1], goes_on=True)}" if pieces[-1] == goes_on else ""
        title += f"; and {len(pieces) - 1} more{newest}"
    kind = "before" if [*pieces] == [before] else pieces[0].kind
    return Bar(min(x, DAY_MINUTES - width), width, kind, title)


def _hour(minutes: float) -> str:
    return f"{int(minutes) // 60:02}:{int(minutes) % 60:02}"


def chart(steps: Sequence[tuple[float, Rates]], rest: str, present: float = 0.0) -> Chart:
    """Return the messages a second by channel, the busiest at the bottom.

    `steps`: see Recent.chart(). `rest`: the name of those messages that are not counted by channel.
    `present`: the rate now, which is within the chart too.
    """
    names = sorted({name for _, rates in steps for name in rates.channels}, key=lambda name: -_sum(steps, name))
    columns = [_column(rates, names, rest) for _, rates in steps]
    top = _nice(max(present, _LEAST_TOP, *(sum(column.values()) for column in columns)))
    below = [0.0] * len(steps)
    bands = []
    for name in [*names, rest]:
        above = [low + column[name] for low, column in zip(below, columns, strict=True)]
        if any(column[name] > 0 for column in columns):
            bands.append(Band(name, _area([ago for ago, _ in steps], below, above, top)))
        below = above
    return Chart(bands, top)


def _sum(steps: Sequence[tuple[float, Rates]], name: str) -> float:
    return sum(rates.channels.get(name, 0.0) for _, rates in steps)


def _column(rates: Rates, names: Sequence[str], rest: str) -> Mapping[str, float]:
    column = {name: rates.channels.get(name, 0.0) for name in names}
    others = rates.messages - sum(column.values())
    # The counts of channels are of the last second, and those of all messages of this moment.
    return {**column, rest: others if others > 0.02 * rates.messages else 0.0}


def _area(ago: Sequence[float], below: Sequence[float], above: Sequence[float], top: float) -> str:
    # A rate is that of a whole step, which begins before the time at which it stands. So the first step can be seen.
    xs = [max(0.0, CHART_SECONDS - seconds) for seconds in (ago[0] + STEP_SECONDS, *ago)]
    upper = [f"{x:.0f} {100 - 100 * y / top:.2f}" for x, y in zip(xs, (above[0], *above), strict=True)]
    lower = [f"{x:.0f} {100 - 100 * y / top:.2f}" for x, y in zip(xs, (below[0], *below), strict=True)]
    return f"M{'L'.join([*upper, *reversed(lower)])}Z"


def _nice(value: float) -> float:
    """Return a round number that is not smaller."""
    size = 1.0
    while size < value:
        size *= 10
    return next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1.0) if size * part >= value)
