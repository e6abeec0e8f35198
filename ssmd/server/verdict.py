"""Whether the run collects what it should, as one sentence: from what /status says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ssmd.runtime.status import CLOSED, CONNECTING, ENDING, INCOMPLETE
from ssmd.store.asked import ALL
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import clock, count, long_duration, percent, rate, seconds_text

__all__ = ["ATTENTION", "BAD", "GOOD", "GRADES", "WAITING", "Verdict", "verdict"]

GOOD, ATTENTION, BAD, WAITING = GRADES = ("good", "attention", "bad", "waiting")
"""BAD: data is being lost, or may be. ATTENTION: nothing is lost yet. WAITING: nothing is expected now."""

QUIET_SECONDS = 30.0
"""So long without any message is worth a word, on any channel together."""
STARTING_SECONDS = 5.0
"""So long a start may take to connect."""
QUEUE_BYTES = 8 * 1024 * 1024
"""With more in the queue the disk is behind."""
LAG_SECONDS = 60.0
"""An engine or a bucket that is further behind is worth a word."""
FULL_DAYS = 1.0
"""So is a disk that will be full within this time."""


class Verdict(NamedTuple):
    """What an operator wants to know first."""

    grade: str
    brief: str
    """In a few words, without figures: it changes only when the state does."""
    text: str
    """One sentence."""


def verdict(found: Mapping[str, Any], trouble: str | None, now_ns: int) -> Verdict:
    """Return the verdict on what /status says. `trouble`: what /health says; None when nothing is wrong."""
    if found["state"] == ENDING:
        return Verdict(BAD, "Ending with an error", f"The run is ending: {trouble}")
    if trouble is not None:
        return Verdict(BAD, "The disk does not answer", f"Nothing reaches the disk: {trouble}")
    if found["state"] == CLOSED:
        until = clock(parse_timestamp(found["schedule"]["closed_until"]), now_ns)
        return Verdict(WAITING, "Closed by schedule", f"Closed by schedule until {until} UTC")
    if found["state"] == CONNECTING:
        return _connecting(found, now_ns)
    if found["state"] == INCOMPLETE:
        return Verdict(BAD, "Not all of it comes", f"Connected, but {_what_is_missing(found)}")
    return _collecting(found, now_ns)


def _connecting(found: Mapping[str, Any], now_ns: int) -> Verdict:
    since = parse_timestamp(found["since"])
    if now_ns - parse_timestamp(found["started"]) < STARTING_SECONDS * 1e9:
        return Verdict(ATTENTION, "Connecting", "Connecting to the exchange")
    return Verdict(BAD, "Not connected", f"Not connected to the exchange since {clock(since, now_ns)} UTC")


def _what_is_missing(found: Mapping[str, Any]) -> str:
    silent = [channel for channel in found["channels"] or () if channel["silent"]]
    reasons = found["missing"]
    first, more = reasons[0] if reasons else "something that was asked for does not come", len(reasons) - 1
    if silent:
        ages = [channel["age_seconds"] for channel in silent if channel["age_seconds"] is not None]
        names = " or ".join(channel["channel"] for channel in silent[:2])
        since = f"for {seconds_text(max(ages))}" if ages else "since the start"
        first, more = f"no {names} messages {since}", len(reasons) - min(2, len(silent))
    return first + (f" (and {more} more)" if more > 0 else "")


def _collecting(found: Mapping[str, Any], now_ns: int) -> Verdict:
    if until := found["expected_silence_until"]:
        text = f"Connected; no message is expected until {clock(parse_timestamp(until), now_ns)} UTC"
        return Verdict(WAITING, "Silence is expected", text)
    if problem := next(_problems(found), None):
        return Verdict(ATTENTION, problem[0], problem[1])
    first = ", ".join(filter(None, (f"Collecting {_what(found)}", _how_fast(found), _how_complete(found, now_ns))))
    return Verdict(GOOD, "Collecting", first)


def _problems(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is not as it should be although everything that was asked for comes, each in short and as a sentence,
    the most important first.
    """
    queue, messages, disk = found["queue"], found["messages"], found["disk"]
    if queue["bytes"] > QUEUE_BYTES:
        waiting = count(queue["messages"])
        yield "The disk is behind", f"Collecting, but the disk is behind: {waiting} messages wait to be written"
    age = messages["age_seconds"]
    always = any(not channel["may_be_silent"] for channel in found["channels"] or ()) or not found["channels"]
    if age is not None and age > QUIET_SECONDS and always:
        yield "No message comes", f"Connected, but no message has come for {seconds_text(age)}"
    for engine in filter(None, (found["shipping"], found["uploading"])):
        lag = engine["lag_seconds"]
        if not engine["up"]:
            yield f"{engine['engine']} is not reached", f"Collecting, but nothing is copied to {engine['engine']} now"
        elif lag is not None and lag > LAG_SECONDS:
            copy = f"Collecting, but the copy in {engine['engine']} is {long_duration(lag)} behind"
            yield f"The copy in {engine['engine']} is behind", copy
    if (days := disk["full_in_days"]) is not None and days < FULL_DAYS:
        yield "The disk fills up", f"Collecting, but the disk will be full in {long_duration(days * 86_400)}"
    for companion in found["companions"]:
        if not companion["up"] and companion["failures"]:
            yield f"{companion['name']} has failed", f"Collecting, but the companion {companion['name']} has failed"


def _what(found: Mapping[str, Any]) -> str:
    """Return what is collected, in words."""
    if found["following"] and found["following"]["listed"] is not None:
        return f"{count(found['following']['subscribed'])} markets"
    asked = [channel["asked"] for channel in found["channels"] or () if not channel["may_be_silent"]]
    numbers = [number for number in asked if number != ALL]
    if not asked:
        return str(found["feed"])
    if not numbers:
        return "all markets"
    most = max(numbers)
    return f"{count(most)} market{'' if most == 1 else 's'}"


def _how_fast(found: Mapping[str, Any]) -> str:
    if found["messages"]["last"] is None:
        return "no message so far"
    present = found["rates"]["messages_per_second"]
    return "" if present is None else f"{rate(present)} messages a second"


def _how_complete(found: Mapping[str, Any], now_ns: int) -> str:
    today, gaps = found["today"], found["messages"]["gaps"]
    if gaps or (today and today["gaps"]):
        missed = found["messages"]["missed"]
        lost = f"{count(missed)} messages are missing" if missed else "messages are missing"
        return f"{lost} today" if not gaps else f"{lost} since the start"
    if not today or today["coverage_percent"] is None:
        return ""
    if today["outages"]:
        return f"{percent(today['coverage_percent'])} of today so far"
    how = "complete" if gaps is not None else "connected without a break"
    first = today["first_run"]
    return f"{how} so far today" if first is None else f"{how} since {clock(parse_timestamp(first), now_ns)} UTC"
