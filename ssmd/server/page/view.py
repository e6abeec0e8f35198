"""What the templates show: the texts and shapes of each part of the page, from what /status says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.strip import ShardToday, Strip
from ssmd.runtime.recent import STEP_SECONDS, Rates
from ssmd.server.kinds import ATTENTION, BAD, GOOD
from ssmd.server.page.days import days_of
from ssmd.server.page.drawing import chart
from ssmd.server.page.figure import Figure
from ssmd.server.page.headline import ages, headline
from ssmd.server.page.shards import shard_text, shards_of
from ssmd.server.verdict import QUIET_SECONDS
from ssmd.store.asked import ALL
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import bytes_text, clock, count, counted, long_duration, rate, seconds_text

__all__ = ["view"]

_NO_CHART = f"The chart begins {STEP_SECONDS} s after the start of the run."


def view(
    found: Mapping[str, Any],
    days: Sequence[Strip] | None,
    steps: Sequence[tuple[float, Rates]],
    shards: Sequence[ShardToday] | None,
    now_ns: int,
) -> dict[str, Any]:
    """Return the variables of the templates. `found`: what /status says; `steps`: see Recent.chart().

    `shards`: the other shards of the feed.
    """
    return {
        "found": found,
        "verdict": headline(found, now_ns),
        "ages": list(ages(found, now_ns)),
        "days": days_of(days, is_connected=found["connected"]),
        "rates": _rates(found, steps),
        "channels": [_channel(channel) for channel in _counted(found)],
        "gaps": [_gap(gap) for gap in found["messages"].get("gaps_in", ())],
        "behind": list(_behind(found)),
        "figures": list(_figures(found)),
        "run": list(_run(found, now_ns)),
        "shard": shard_text(found["shard"]),
        "shards": shards_of(found["shard"], shards, now_ns),
    }


def _rates(found: Mapping[str, Any], steps: Sequence[tuple[float, Rates]]) -> dict[str, Any]:
    channels = found["channels"] or ()
    uncounted = [each["channel"] for each in channels if each["messages_per_second"] is None]
    public = [each["channel"] for each in channels if not each["may_be_silent"] and each["channel"] in uncounted]
    rest = public[0] if len(public) == 1 else "other messages" if len(uncounted) < len(channels) else "all messages"
    drawn = chart(steps, rest, found["rates"]["messages_per_second"] or 0.0)
    return {
        "messages": rate(found["rates"]["messages_per_second"]),
        "bytes": bytes_text(found["rates"]["bytes_per_second"]),
        "bands": drawn.bands,
        "top": rate(drawn.top),
        "empty": "" if drawn.bands else _NO_CHART if not steps else "No message has come in these 15 minutes.",
    }


def _counted(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the channels, the only one whose messages have no numbers with the rate of what no other one has."""
    channels, every = found["channels"] or [], found["rates"]["messages_per_second"]
    rest = [channel for channel in channels if channel["messages_per_second"] is None]
    if len(rest) != 1 or every is None:
        return list(channels)
    others = sum(channel["messages_per_second"] for channel in channels if channel is not rest[0])
    only = {**rest[0], "messages_per_second": max(0.0, every - others)}
    return [only if channel is rest[0] else channel for channel in channels]


def _channel(channel: Mapping[str, Any]) -> dict[str, Any]:
    asked = channel["asked"]
    state, grade = _channel_state(channel)
    unconfirmed = "not collected" if channel["refused"] else "not confirmed"
    return {
        "name": channel["channel"],
        "asked": "all" if asked == ALL else count(asked),
        "confirmed": _confirmed(channel),
        "heard": "" if asked == ALL else count(channel["heard"]),
        "age": "none yet" if channel["age_seconds"] is None else seconds_text(channel["age_seconds"]),
        "rate": "" if channel["messages_per_second"] is None else rate(channel["messages_per_second"]),
        "state": state,
        "grade": grade,
        "names": [
            (what, channel[key])
            for what, key in ((unconfirmed, "unconfirmed"), ("never heard from", "unheard"))
            if channel.get(key)
        ],
    }


def _gap(gap: Mapping[str, Any]) -> str:
    gaps, missed = gap["gaps"], gap["missed"]
    return f"{gap['name']}: {counted(gaps, 'gap')}, {counted(missed, 'message')} lost"


def _confirmed(channel: Mapping[str, Any]) -> str:
    if channel["confirmed_markets"] is not None:
        return count(channel["confirmed_markets"])
    return {True: "yes", False: "no", None: "?"}[channel["confirmed"]]


def _channel_state(channel: Mapping[str, Any]) -> tuple[str, str]:
    if channel["refused"]:
        return "refused", BAD
    if channel["silent"]:
        return "silent", BAD
    if channel["books_missing"]:
        return f"{counted(channel['books_missing'], 'book')} not sent", BAD
    if channel["confirmed"] is False:
        return "not confirmed", ATTENTION
    if channel["books_pending"]:
        return f"{counted(channel['books_pending'], 'book')} to come", ATTENTION
    if channel["age_seconds"] is None:
        return "may be silent" if channel["may_be_silent"] else "no message yet", ""
    return "receiving", GOOD


def _behind(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    queue = found["queue"]
    yield {
        "name": "disk",
        "lag": counted(queue["messages"], "message"),
        "bytes": bytes_text(queue["bytes"]),
        "grade": ATTENTION if queue["behind_since"] else GOOD,
        "state": "behind" if queue["behind_since"] else "writing",
        "error": "",
    }
    for engine in filter(None, (found["shipping"], found["uploading"])):
        lag = engine["lag_seconds"]
        yield {
            "name": engine["engine"],
            "lag": seconds_text(lag),
            "bytes": bytes_text(engine["lag_bytes"]),
            "grade": BAD if not engine["up"] else ATTENTION if lag is not None and lag > QUIET_SECONDS else GOOD,
            "state": "copying" if engine["up"] else "not reached",
            "error": engine.get("error") or "",
        }


def _figures(found: Mapping[str, Any]) -> Iterator[Figure]:
    age, disk, messages = found["age"], found["disk"], found["messages"]
    yield Figure("message age, median", seconds_text(age["p50_seconds"]), note="from the exchange's time to receipt")
    yield Figure("message age, p99", seconds_text(age["p99_seconds"]), note="over the last minute, estimated")
    yield Figure("disk free", bytes_text(disk["free_bytes"]))
    days = disk["full_in_days"]
    text = "?" if days is None else "over a year" if days > 365 else long_duration(days * 86_400)
    grade = "" if days is None else BAD if days < 0.25 else ATTENTION if days < 2 else ""
    yield Figure("until it is full", text, grade, "at today's rate, uncompressed")
    gaps, missed = messages["gaps"], messages["missed"]
    yield Figure("gaps", count(gaps), ATTENTION if gaps else "", "in the sequence numbers, since the start")
    yield Figure("messages lost", count(missed), ATTENTION if missed else "", "in these gaps")


def _run(found: Mapping[str, Any], now_ns: int) -> Iterator[tuple[str, str]]:
    runs, started = found["runs"], parse_timestamp(found["started"])
    yield "environment", found["environment"]
    yield "feed", ", ".join(filter(None, (found["feed"], shard_text(found["shard"]))))
    yield "endpoint", found["endpoint"]
    yield "exchange", found["exchange"]
    yield "version", f"ssmd {found['version']}"
    yield "started", f"{clock(started, now_ns)} UTC, {long_duration((now_ns - started) / 1e9)} ago"
    yield "starts today", count(runs["starts_today"])
    errors = runs["earlier_errors"]
    ended = ", ".join(f"{name} {number:,} times" for name, number in sorted((errors or {}).items()))
    yield "earlier runs ended with", "?" if errors is None else ended or "no error"
    for companion in found["companions"]:
        state = "running" if companion["up"] else "not running now"
        failed = f", has failed {companion['failures']:,} times" if companion["failures"] else ""
        error = f": {companion['error']}" if companion.get("error") else ""
        yield f"companion {companion['name']}", f"{state}{failed}{error}"
