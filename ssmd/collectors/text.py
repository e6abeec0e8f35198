"""What a collector says of itself, as lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from ssmd.collectors.said import CONNECTING, Copy, LastEnd, Said, Today
from ssmd.errors import printable
from ssmd.words import bytes_text, clock, count, counted, long_duration, percent, rate, seconds_text, since_text

__all__ = ["Line", "lines", "name_of", "plain", "strip_of"]

STRIP = 48
"""The letters of a day: one for half an hour."""
_LETTERS = {"listening": "=", "outage": "x", "closed": "-", "unknown": "?"}
_FIRST = "x?-="
"""Of several states in half an hour, the first of these is shown."""


class Line(NamedTuple):
    name: str
    text: str
    grade: str = ""
    """The verdict's grade, for the line that has it; otherwise empty."""


def plain(line: Line) -> str:
    return f"  {line.name:<8} {line.text}"


def name_of(said: Said) -> str:
    """Return which collector it is: the environment and its shard; empty when it does not say."""
    shard = f" shard {said.shard.replace('of', '/')}" if said.shard else ""
    return printable(said.environment + shard)


def lines(said: Said, now: datetime) -> Iterator[Line]:
    """Yield what there is to say, the most important first."""
    for line in _lines(said, now):
        yield line._replace(text=printable(line.text))


def _lines(said: Said, now: datetime) -> Iterator[Line]:
    if said.connected is None:
        yield Line("feed", f"{said.state}; its --page is off, which hides the rest")
        return
    if said.verdict is None:  # An earlier version.
        yield Line("feed", "; ".join([said.state, *said.missing]))
    else:
        yield Line("feed", said.verdict.text, said.verdict.grade)
    since = said.since if said.verdict is None else said.verdict.since
    if since is not None:
        yield Line("since", since_text(_ns(since), _ns(now)).removeprefix("since "))
    if said.state == CONNECTING and said.runs is not None and said.runs.last_end is not None:
        yield _last_end(said.runs.last_end, said.started, now)
    if said.state == "incomplete":
        yield from (Line("missing", reason) for reason in said.missing)
    yield from (Line("note", note) for note in said.notes)
    yield from _traffic(said, now)
    yield from _copies(said)
    yield from _rest(said)


def _last_end(end: LastEnd, started: datetime | None, now: datetime) -> Line:
    time = f"{_clock(end.time, now)} UTC"
    if end.killed:
        return Line("ended", f"the last run was killed, or its host lost power, at {time} or later")
    is_own = started is not None and end.time >= started  # This run waits before it ends.
    what = "the attempt to connect failed" if is_own else "the last run ended"
    return Line("why", f"{what} at {time}: {end.reason}") if end.reason else Line("ended", f"{what} at {time}")


def _clock(moment: datetime, now: datetime) -> str:
    return clock(_ns(moment), _ns(now))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def _traffic(said: Said, now: datetime) -> Iterator[Line]:
    messages, rates = said.messages, said.rates
    if messages is not None:
        speed = rates.messages_per_second if rates is not None else None
        size = bytes_text(rates.bytes_per_second if rates is not None else None)
        written = counted(messages.written, "message")
        yield Line("rate", f"{rate(speed)} messages/s, {size}/s, {written} since the start")
        yield Line("last", f"message {_ago(messages.age_seconds)}, byte {_ago(messages.last_byte_age_seconds)}")
        if messages.gaps:
            yield Line("gaps", f"{count(messages.gaps)} since the start, {counted(messages.missed, 'message')} lost")
    if said.today is not None:
        yield from _today(said.today, now)
    if said.expected_silence_until is not None:
        yield Line("silence", f"expected until {_clock(said.expected_silence_until, now)} UTC")
    if said.following is not None:
        listed, missing = said.following.listed, said.following.not_subscribed
        yield Line("markets", f"{count(listed)} followed, {count(missing)} not subscribed")
    for channel in said.channels or ():
        if channel.silent:
            yield Line("silent", f"{channel.channel}, last message {_ago(channel.age_seconds)}")


def _ago(seconds: float | None) -> str:
    return "none yet" if seconds is None else f"{seconds_text(seconds)} ago"


def _today(today: Today, now: datetime) -> Iterator[Line]:
    more = "".join(
        f", {counted(number, name)}"
        for number, name in ((today.outages, "outage"), (today.gaps, "gap"))
        if number
    )
    since = "" if today.first_run is None else f" since the first run, at {_clock(today.first_run, now)} UTC"
    yield Line("today", f"{percent(today.listened_percent)} listened{since}{more}")
    yield Line("hours", f"|{strip_of(today)}| 0 to 24 UTC")


def strip_of(today: Today) -> str:
    """Return the day as letters, one for half an hour: `=` listening, `x` not, `-` closed, `?` not known, and ` ` for
    the time before the first run of all and for what is to come.
    """
    seen: list[set[str]] = [set() for _ in range(STRIP)]
    for piece in today.pieces:
        if today.first_run is not None and piece.end <= today.first_run:
            continue
        begin = piece.begin.replace(hour=0, minute=0, second=0, microsecond=0)
        first = (piece.begin - begin) // timedelta(minutes=30)
        last = min(STRIP - 1, (piece.end - begin - timedelta(microseconds=1)) // timedelta(minutes=30))
        for place in range(first, last + 1):
            seen[place].add(_LETTERS.get(piece.state, "?"))
    return "".join(next((letter for letter in _FIRST if letter in found), " ") for found in seen)


def _copies(said: Said) -> Iterator[Line]:
    if said.queue is not None and said.queue.messages:
        waiting = counted(said.queue.messages, "message")
        yield Line("queue", f"{waiting}, {bytes_text(said.queue.bytes)}, not written yet")
    for name, copy in said.copies:
        yield Line(name, _copy(copy))
    for companion in said.companions:
        if not companion.up and companion.failures:
            failures = counted(companion.failures, "failure")
            yield Line("failed", f"the companion {companion.name} does not run, {failures}")


def _copy(copy: Copy) -> str:
    text = copy.engine if copy.up else f"{copy.engine}, not connected"
    if copy.lag_seconds is not None:
        text += f", {seconds_text(copy.lag_seconds)} and {bytes_text(copy.lag_bytes)} behind"
    if copy.day_overdue_seconds:
        text += f"; a day that ended {long_duration(copy.day_overdue_seconds)} ago is not there"
    return f"{text}: {copy.error}" if copy.error else text


def _rest(said: Said) -> Iterator[Line]:
    if said.runs is not None:
        errors = said.runs.earlier_errors or {}
        failed = "".join(f", {count(number)} {name}" for name, number in sorted(errors.items()))
        ended = f"; ended with errors so far{failed}" if failed else ""
        yield Line("starts", f"{count(said.runs.starts_today)} today (UTC){ended}")
    if said.disk is not None:
        days = said.disk.full_in_days
        full = "" if days is None or days > 365 else f", full in {long_duration(days * 86_400)} at today's rate"
        yield Line("disk", f"{bytes_text(said.disk.free_bytes)} free{full}")
