"""Whether the run collects what it should, as one sentence: from what /status says of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ssmd.runtime import status
from ssmd.runtime.gap_counts import LOSS_SECONDS
from ssmd.runtime.reason import Reason
from ssmd.server.kinds import (
    ATTENTION,
    BAD,
    BEHIND,
    CLOSED_NOW,
    COLLECTING,
    CONNECTING,
    COPY_BEHIND,
    COPY_DOWN,
    DISK_SILENT,
    ENDING,
    FAILED,
    FILLING,
    FIRST_LOSS,
    GOOD,
    INCOMPLETE,
    LAST_MESSAGE,
    LOST,
    NOT_CONNECTED,
    OLDEST_NOT_COPIED,
    QUIET,
    RUN_BEGAN,
    SILENCE_EXPECTED,
    STATE_BEGAN,
    WAITING,
    Verdict,
)
from ssmd.store.asked import ALL
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import clock, count, counted, long_duration, percent, rate, seconds_text

__all__ = ["QUIET_SECONDS", "STARTING_SECONDS", "verdict"]

QUIET_SECONDS = 30.0
"""So long without any message is worth a word, on any channel together."""
STARTING_SECONDS = 5.0
"""So long a start may take to connect."""
LAG_SECONDS = 60.0
"""An engine or a bucket that is further behind is worth a word."""
FULL_DAYS = 1.0
"""So is a disk that will be full within this time."""
_MOST_NAMED = 2
"""How many silent channels are named."""


def verdict(found: Mapping[str, Any], reasons: Sequence[Reason], trouble: str | None, now_ns: int) -> Verdict:
    """Return the verdict on what /status says.

    `reasons`: see Status.reasons(). `trouble`: what /health says; None when nothing is wrong.
    """
    since = parse_timestamp(found["since"])
    if found["state"] == status.ENDING:
        return Verdict(ENDING, BAD, "Ending with an error", f"The run is ending: {trouble}", since)
    if trouble is not None:
        stuck_since = now_ns - int(found["disk"]["waiting_seconds"] * 1e9)
        text = f"Nothing reaches the disk: {trouble}"
        return Verdict(DISK_SILENT, BAD, "The disk does not answer", text, stuck_since, says_how_long=True)
    if found["state"] == status.CLOSED:
        until = clock(parse_timestamp(found["schedule"]["closed_until"]), now_ns)
        return Verdict(CLOSED_NOW, WAITING, "Closed by schedule", f"Closed by schedule until {until} UTC", since)
    if found["state"] == status.CONNECTING:
        return _connecting(found, since, now_ns)
    if found["state"] == status.INCOMPLETE:
        return _incomplete(found, reasons, since)
    return _collecting(found, since, now_ns)


def _connecting(found: Mapping[str, Any], since: int, now_ns: int) -> Verdict:
    today = found["today"]
    outage = _ns(today["outage_since"]) if today else None
    began = parse_timestamp(found["started"])
    if outage is not None:  # Earlier runs may not have been connected either.
        since, began = min(since, outage), min(began, outage)
    if now_ns - began < STARTING_SECONDS * 1e9:
        return Verdict(CONNECTING, ATTENTION, "Connecting", "Connecting to the exchange", since)
    text = f"Not connected to the exchange since {clock(since, now_ns)} UTC"
    return Verdict(NOT_CONNECTED, BAD, "Not connected", text, since, says_since=True)


def _ns(time: str | None) -> int | None:
    return None if time is None else parse_timestamp(time)


def _incomplete(found: Mapping[str, Any], reasons: Sequence[Reason], since: int) -> Verdict:
    make = partial(Verdict, INCOMPLETE, BAD, "Not all of it comes")
    silent = [channel for channel in found["channels"] or () if channel["silent"]]
    if silent:
        named = sorted(silent, key=lambda channel: -_silent_seconds(channel))[:_MOST_NAMED]
        text = f"Connected, but {_silence(named)}{_others(reasons, named)}"
        last = [ns for channel in named if (ns := _ns(channel["last"])) is not None]
        since_is = LAST_MESSAGE if last and len(named) == 1 else STATE_BEGAN
        return make(text, min([since, *last]), since_is, says_how_long=bool(last))
    first = reasons[0] if reasons else Reason("something that was asked for does not come")
    what = _refused(first) if first.is_refused else f"on {first.text}" if first.channel else first.text
    text = f"Connected, but {what}{_others(reasons[1:])}"
    return make(text, since, says_how_long=first.says_how_long)


def _silent_seconds(channel: Mapping[str, Any]) -> float:
    """Return how long nothing has come on a channel; infinity when nothing ever has."""
    age = channel["age_seconds"]
    return math.inf if age is None else float(age)


def _silence(channels: Sequence[Mapping[str, Any]]) -> str:
    """Return on which channels nothing comes, and for how long on each."""
    found: dict[str, list[str]] = {}
    for channel in channels:
        age = channel["age_seconds"]
        how = "since the start" if age is None else f"for {seconds_text(age)}"
        found.setdefault(how, []).append(channel["channel"])
    return " and ".join(f"no {' or '.join(names)} messages {how}" for how, names in found.items())


def _refused(reason: Reason) -> str:
    error = "" if reason.code is None else f" (error {reason.code})"
    return f"the exchange refused {f'the subscription to {reason.channel}' if reason.channel else 'a command'}{error}"


def _others(reasons: Sequence[Reason], named: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return how many more reasons there are, of other channels than those that are named already."""
    names = [channel["channel"] for channel in named]
    number = len([reason for reason in reasons if reason.channel not in names])
    return f" (and {number} more)" if number else ""


def _collecting(found: Mapping[str, Any], since: int, now_ns: int) -> Verdict:
    if until := found["expected_silence_until"]:
        text = f"Connected; no message is expected until {clock(parse_timestamp(until), now_ns)} UTC"
        return Verdict(SILENCE_EXPECTED, WAITING, "Silence is expected", text)
    if problem := next(_problems(found, now_ns), None):
        return problem
    how, complete_since = _how_complete(found, now_ns)
    text = ", ".join(filter(None, (f"Collecting {_what(found)}", _how_fast(found), how)))
    is_new = since - parse_timestamp(found["started"]) < STARTING_SECONDS * 1e9
    says_since = complete_since is not None and complete_since // 10**9 == since // 10**9  # Seconds are shown.
    return Verdict(COLLECTING, GOOD, "Collecting", text, since, RUN_BEGAN if is_new else STATE_BEGAN, says_since)


def _problems(found: Mapping[str, Any], now_ns: int) -> Iterator[Verdict]:
    """Yield what is not as it should be although everything that was asked for comes, the most important first."""
    queue, messages, disk = found["queue"], found["messages"], found["disk"]
    gap = _ns(messages["last_gap"])
    if gap is not None and now_ns - gap < LOSS_SECONDS * 1e9:
        lost = f"Collecting, but {_lost(messages['missed'])}, the last at {clock(gap, now_ns)} UTC"
        since = _ns(messages["lost_since"])
        is_one = since == gap
        yield Verdict(LOST, BAD, "Messages were lost", lost, since, FIRST_LOSS, says_since=is_one, says_how_long=is_one)
    if queue["behind_since"]:
        behind = f"Collecting, but the disk is behind: {count(queue['messages'])} messages wait to be written"
        yield Verdict(BEHIND, ATTENTION, "The disk is behind", behind, _ns(queue["behind_since"]))
    age = messages["age_seconds"]
    always = any(not channel["may_be_silent"] for channel in found["channels"] or ()) or not found["channels"]
    if age is not None and age > QUIET_SECONDS and always:
        silence = f"Connected, but no message has come for {seconds_text(age)}"
        last = _ns(messages["last"])
        yield Verdict(QUIET, ATTENTION, "No message comes", silence, last, LAST_MESSAGE, says_how_long=True)
    for engine in filter(None, (found["shipping"], found["uploading"])):
        yield from _of_a_copy(engine, now_ns)
    if (days := disk["full_in_days"]) is not None and days < FULL_DAYS:
        full = f"Collecting, but the disk will be full in {long_duration(days * 86_400)}"
        yield Verdict(FILLING, ATTENTION, "The disk fills up", full)
    for companion in found["companions"]:
        if not companion["up"] and companion["failures"]:
            failed = f"Collecting, but the companion {companion['name']} has failed"
            yield Verdict(FAILED, ATTENTION, f"{companion['name']} has failed", failed, _ns(companion["down_since"]))


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
        yield Verdict(COPY_DOWN, ATTENTION, f"{name} is not reached", text, _ns(engine["down_since"]))
    elif lag is not None and lag > LAG_SECONDS:
        text = f"Collecting, but the copy in {name} is {long_duration(lag)} behind"
        oldest, brief = now_ns - int(lag * 1e9), f"The copy in {name} is behind"
        yield Verdict(COPY_BEHIND, ATTENTION, brief, text, oldest, OLDEST_NOT_COPIED, says_how_long=True)


def _what(found: Mapping[str, Any]) -> str:
    """Return what is collected, in words."""
    channels = [channel for channel in found["channels"] or () if not channel["may_be_silent"]]
    if found["following"] and found["following"]["listed"] is not None:
        # Those of `market_tickers` are not followed, but a channel confirms both.
        confirmed = [channel["confirmed_markets"] or 0 for channel in channels]
        return counted(max([found["following"]["subscribed"], *confirmed]), "market")
    numbers = [channel["asked"] for channel in channels if channel["asked"] != ALL]
    if not channels:
        return str(found["feed"])
    if not numbers:
        return "all markets"
    most = max(numbers)
    return f"{counted(most, 'market')}"


def _how_fast(found: Mapping[str, Any]) -> str:
    if found["messages"]["last"] is None:
        return "no message so far"
    present = found["rates"]["messages_per_second"]
    return "" if present is None else f"{rate(present)} messages a second"


def _how_complete(found: Mapping[str, Any], now_ns: int) -> tuple[str, int | None]:
    """Return how complete today is, in words, and the time since when, if it is named: ns since the epoch."""
    today, gaps = found["today"], found["messages"]["gaps"]
    if gaps:
        missed = found["messages"]["missed"]
        return _lost(missed) if missed else "messages were lost since the start", None
    if today and today["gaps"]:
        return "messages were lost today", None
    if not today or today["coverage_percent"] is None:
        return "", None
    first, outages = _ns(today["first_run"]), today["outages"]
    if outages and first is not None:
        return f"{counted(outages, 'outage')} since {clock(first, now_ns)} UTC", first
    if outages:
        return f"connected for {percent(today['coverage_percent'])} of today so far", None
    how = "complete" if gaps is not None else "connected without a break"
    return (f"{how} so far today" if first is None else f"{how} since {clock(first, now_ns)} UTC"), first
