"""Whether the run collects what it should, as one sentence: from what /status says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.runtime.gap_counts import LOSS_SECONDS
from ssmd.runtime.status import CLOSED, CONNECTING, ENDING, INCOMPLETE
from ssmd.store.asked import ALL
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import clock, count, long_duration, percent, rate, seconds_text

__all__ = [
    "ATTENTION",
    "BAD",
    "BEHIND",
    "CLOSED_NOW",
    "DISK_SILENT",
    "GOOD",
    "GRADES",
    "LOST",
    "NOT_CONNECTED",
    "WAITING",
    "Verdict",
    "verdict",
]

GOOD, ATTENTION, BAD, WAITING = GRADES = ("good", "attention", "bad", "waiting")
"""BAD: data is being lost, or may be. ATTENTION: nothing is lost yet. WAITING: nothing is expected now."""

NOT_CONNECTED, CLOSED_NOW, LOST = "Not connected", "Closed by schedule", "Messages were lost"
DISK_SILENT, BEHIND = "The disk does not answer", "The disk is behind"
"""What some verdicts say in brief."""

QUIET_SECONDS = 30.0
"""So long without any message is worth a word, on any channel together."""
STARTING_SECONDS = 5.0
"""So long a start may take to connect."""
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
    since: int | None = None
    """Since when it is so, ns since the epoch; None when that is not known."""


def verdict(found: Mapping[str, Any], trouble: str | None, now_ns: int) -> Verdict:
    """Return the verdict on what /status says. `trouble`: what /health says; None when nothing is wrong."""
    since = parse_timestamp(found["since"])
    if found["state"] == ENDING:
        return Verdict(BAD, "Ending with an error", f"The run is ending: {trouble}", since)
    if trouble is not None:
        stuck_since = now_ns - int(found["disk"]["waiting_seconds"] * 1e9)
        return Verdict(BAD, DISK_SILENT, f"Nothing reaches the disk: {trouble}", stuck_since)
    if found["state"] == CLOSED:
        until = clock(parse_timestamp(found["schedule"]["closed_until"]), now_ns)
        return Verdict(WAITING, CLOSED_NOW, f"Closed by schedule until {until} UTC", since)
    if found["state"] == CONNECTING:
        return _connecting(found, since, now_ns)
    if found["state"] == INCOMPLETE:
        return _incomplete(found, since)
    return _collecting(found, since, now_ns)


def _connecting(found: Mapping[str, Any], since: int, now_ns: int) -> Verdict:
    today = found["today"]
    outage = _ns(today["outage_since"]) if today else None
    began = parse_timestamp(found["started"])
    if outage is not None:  # Earlier runs may not have been connected either.
        since, began = min(since, outage), min(began, outage)
    if now_ns - began < STARTING_SECONDS * 1e9:
        return Verdict(ATTENTION, "Connecting", "Connecting to the exchange", since)
    return Verdict(BAD, NOT_CONNECTED, f"Not connected to the exchange since {clock(since, now_ns)} UTC", since)


def _incomplete(found: Mapping[str, Any], since: int) -> Verdict:
    silent = [channel for channel in found["channels"] or () if channel["silent"]]
    last = [ns for channel in silent if (ns := _ns(channel["last"])) is not None]
    text = f"Connected, but {_what_is_missing(found, silent)}"
    return Verdict(BAD, "Not all of it comes", text, min(since, *last) if last else since)


def _ns(time: str | None) -> int | None:
    return None if time is None else parse_timestamp(time)


def _what_is_missing(found: Mapping[str, Any], silent: Sequence[Mapping[str, Any]]) -> str:
    """Return the first reason in words, and how many others there are, of other channels."""
    reasons = found["missing"]
    names = [channel["channel"] for channel in silent[:2]]
    if names:
        ages = [channel["age_seconds"] for channel in silent if channel["age_seconds"] is not None]
        first = f"no {' or '.join(names)} messages " + (f"for {seconds_text(max(ages))}" if ages else "since the start")
    else:
        first = reasons[0] if reasons else "something that was asked for does not come"
        name, refused, code = first.partition(": refused by the exchange")
        names = [name] if refused else []
        if refused:
            first = f"the exchange refused {_subscription(name)}{code}"
    others = len([reason for reason in reasons if reason.partition(":")[0] not in names]) - (not names)
    return first + (f" (and {others} more)" if others > 0 else "")


def _subscription(channel: str) -> str:
    return channel if channel == "a command" else f"the subscription to {channel}"


def _collecting(found: Mapping[str, Any], since: int, now_ns: int) -> Verdict:
    if until := found["expected_silence_until"]:
        text = f"Connected; no message is expected until {clock(parse_timestamp(until), now_ns)} UTC"
        return Verdict(WAITING, "Silence is expected", text)
    if problem := next(_problems(found, now_ns), None):
        return problem
    first = ", ".join(filter(None, (f"Collecting {_what(found)}", _how_fast(found), _how_complete(found, now_ns))))
    return Verdict(GOOD, "Collecting", first, since)


def _problems(found: Mapping[str, Any], now_ns: int) -> Iterator[Verdict]:
    """Yield what is not as it should be although everything that was asked for comes, the most important first."""
    queue, messages, disk = found["queue"], found["messages"], found["disk"]
    gap = _ns(messages["last_gap"])
    if gap is not None and now_ns - gap < LOSS_SECONDS * 1e9:
        lost = f"Collecting, but {_lost(messages['missed'])}, the last at {clock(gap, now_ns)} UTC"
        yield Verdict(BAD, LOST, lost, _ns(messages["lost_since"]))
    if queue["behind_since"]:
        behind = f"Collecting, but the disk is behind: {count(queue['messages'])} messages wait to be written"
        yield Verdict(ATTENTION, BEHIND, behind, _ns(queue["behind_since"]))
    age = messages["age_seconds"]
    always = any(not channel["may_be_silent"] for channel in found["channels"] or ()) or not found["channels"]
    if age is not None and age > QUIET_SECONDS and always:
        silence = f"Connected, but no message has come for {seconds_text(age)}"
        yield Verdict(ATTENTION, "No message comes", silence, _ns(messages["last"]))
    for engine in filter(None, (found["shipping"], found["uploading"])):
        yield from _of_a_copy(engine, now_ns)
    if (days := disk["full_in_days"]) is not None and days < FULL_DAYS:
        full = f"Collecting, but the disk will be full in {long_duration(days * 86_400)}"
        yield Verdict(ATTENTION, "The disk fills up", full)
    for companion in found["companions"]:
        if not companion["up"] and companion["failures"]:
            failed = f"Collecting, but the companion {companion['name']} has failed"
            yield Verdict(ATTENTION, f"{companion['name']} has failed", failed, _ns(companion["down_since"]))


def _lost(missed: int | None) -> str:
    """Return how many messages were lost since the start, as far as that is known."""
    if not missed:
        return "messages were lost"
    return f"{count(missed)} message{' was' if missed == 1 else 's were'} lost since the start"


def _of_a_copy(engine: Mapping[str, Any], now_ns: int) -> Iterator[Verdict]:
    """Yield what is wrong with the copy in an engine or a bucket."""
    name, lag = engine["engine"], engine["lag_seconds"]
    if not engine["up"]:
        text = f"Collecting, but nothing is copied to {name} now"
        yield Verdict(ATTENTION, f"{name} is not reached", text, _ns(engine["down_since"]))
    elif lag is not None and lag > LAG_SECONDS:
        text = f"Collecting, but the copy in {name} is {long_duration(lag)} behind"
        yield Verdict(ATTENTION, f"The copy in {name} is behind", text, now_ns - int(lag * 1e9))


def _what(found: Mapping[str, Any]) -> str:
    """Return what is collected, in words."""
    channels = [channel for channel in found["channels"] or () if not channel["may_be_silent"]]
    if found["following"] and found["following"]["listed"] is not None:
        # Those of `market_tickers` are not followed, but a channel confirms both.
        confirmed = [channel["confirmed_markets"] or 0 for channel in channels]
        return f"{count(max([found['following']['subscribed'], *confirmed]))} markets"
    numbers = [channel["asked"] for channel in channels if channel["asked"] != ALL]
    if not channels:
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
    if gaps:
        missed = found["messages"]["missed"]
        return _lost(missed) if missed else "messages were lost since the start"
    if today and today["gaps"]:
        return "messages were lost today"
    if not today or today["coverage_percent"] is None:
        return ""
    first, outages = today["first_run"], today["outages"]
    if outages and first is not None:
        return f"{count(outages)} outage{'' if outages == 1 else 's'} since {clock(parse_timestamp(first), now_ns)} UTC"
    if outages:
        return f"connected for {percent(today['coverage_percent'])} of today so far"
    how = "complete" if gaps is not None else "connected without a break"
    return f"{how} so far today" if first is None else f"{how} since {clock(parse_timestamp(first), now_ns)} UTC"
