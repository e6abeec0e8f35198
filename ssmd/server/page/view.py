"""What the templates show: the texts and shapes of each part of the page, from what /status says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.strip import Strip
from ssmd.runtime.recent import Rates
from ssmd.server.page.drawing import bars, chart, sentence
from ssmd.server.verdict import ATTENTION, BAD, GOOD, QUIET_SECONDS
from ssmd.store.asked import ALL
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import bytes_text, clock, count, long_duration, percent, rate, seconds_text, since_text

__all__ = ["Figure", "view"]

_OUTAGES = 5
"""How many outages of today are listed in words: the newest."""
_SYNC_SECONDS = 5.0
"""A sync that is older, while messages come, is late."""
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Figure(NamedTuple):
    """A number with its name."""

    name: str
    value: str
    grade: str = ""
    note: str = ""
    """What it means, in a few words."""


def view(
    found: Mapping[str, Any], days: Sequence[Strip] | None, steps: Sequence[tuple[float, Rates]], now_ns: int
) -> dict[str, Any]:
    """Return the variables of the templates. `found`: what /status says; `steps`: see Recent.chart()."""
    return {
        "found": found,
        "verdict": _verdict(found, now_ns),
        "ages": list(_ages(found, now_ns)),
        "days": _days(days),
        "rates": _rates(found, steps),
        "channels": [_channel(channel) for channel in _counted(found)],
        "gaps": [_gap(gap) for gap in found["messages"].get("gaps_in", ())],
        "behind": list(_behind(found)),
        "figures": list(_figures(found)),
        "run": list(_run(found, now_ns)),
    }


def _verdict(found: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    since = found["verdict"]["since"]
    return {
        **found["verdict"],
        "since": "" if since is None else since_text(parse_timestamp(since), now_ns).replace("since", "Since"),
        # A single one is in the sentence.
        "missing": found["missing"] if found["state"] == "incomplete" and len(found["missing"]) > 1 else [],
        "notes": found["notes"],
    }


def _ages(found: Mapping[str, Any], now_ns: int) -> Iterator[Figure]:
    messages, disk = found["messages"], found["disk"]
    waits = found["state"] in ("closed", "connecting") or found["expected_silence_until"] is not None
    for name, seconds, late, note in (
        ("last byte", messages["last_byte_age_seconds"], QUIET_SECONDS, "from the socket, of any kind"),
        ("last message", messages["age_seconds"], QUIET_SECONDS, "with data"),
        ("last sync", _age(disk["last_sync"], now_ns), _SYNC_SECONDS, "all that was written before it is on the disk"),
    ):
        is_late = seconds is not None and seconds > late and not waits
        if name == "last sync" and found["queue"]["messages"] == 0:
            is_late = False  # Nothing is written, so that nothing is to be synced.
        yield Figure(name, seconds_text(seconds), ATTENTION if is_late else "" if seconds is None else GOOD, note)


def _age(time: str | None, now_ns: int) -> float | None:
    return None if time is None else max(0.0, (now_ns - parse_timestamp(time)) / 1e9)


def _days(days: Sequence[Strip] | None) -> dict[str, Any]:
    if not days:
        return {"rows": [], "outages": [], "more": 0}
    outages = [piece for piece in days[-1].outages if piece != days[-1].before_all]
    return {
        "rows": [_day(strip, is_today=strip is days[-1]) for strip in reversed(days)],
        "outages": [sentence(piece) for piece in outages[: -_OUTAGES - 1 : -1]],
        "more": max(0, len(outages) - _OUTAGES),
    }


def _day(strip: Strip, *, is_today: bool) -> dict[str, Any]:
    coverage = strip.coverage
    gaps = len(strip.gaps_ns) if is_today else strip.gaps
    grade = "" if coverage is None else GOOD if coverage >= 100 else ATTENTION if coverage >= 99 else BAD
    if strip.before_all is not None and strip.outages == [strip.before_all]:
        grade = ""
    return {
        "name": "today" if is_today else strip.day[5:],
        "day": strip.day,
        "bars": bars(strip),
        "coverage": percent(coverage),
        "grade": grade,
        "gaps": "" if not gaps else f"{gaps:,} gap{'s' if gaps > 1 else ''}",
    }


def _rates(found: Mapping[str, Any], steps: Sequence[tuple[float, Rates]]) -> dict[str, Any]:
    channels = found["channels"] or ()
    uncounted = [each["channel"] for each in channels if each["messages_per_second"] is None]
    public = [each["channel"] for each in channels if not each["may_be_silent"] and each["channel"] in uncounted]
    rest = public[0] if len(public) == 1 else "other messages" if len(uncounted) < len(channels) else "all messages"
    drawn = chart(steps, rest)
    return {
        "messages": rate(found["rates"]["messages_per_second"]),
        "bytes": bytes_text(found["rates"]["bytes_per_second"]),
        "bands": drawn.bands,
        "top": rate(drawn.top),
        "is_known": bool(steps),
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
            for what, key in (("not confirmed", "unconfirmed"), ("never heard from", "unheard"))
            if channel.get(key)
        ],
    }


def _gap(gap: Mapping[str, Any]) -> str:
    gaps, missed = gap["gaps"], gap["missed"]
    lost = f"{count(missed)} message{'' if missed == 1 else 's'}"
    return f"{gap['name']}: {gaps:,} gap{'' if gaps == 1 else 's'}, {lost} missing"


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
        return f"{count(channel['books_missing'])} books not sent", BAD
    if channel["confirmed"] is False:
        return "not confirmed", ATTENTION
    if channel["books_pending"]:
        return f"{count(channel['books_pending'])} books to come", ATTENTION
    if channel["age_seconds"] is None:
        return "may be silent" if channel["may_be_silent"] else "no message yet", ""
    return "receiving", GOOD


def _behind(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    queue = found["queue"]
    yield {
        "name": "disk",
        "lag": f"{count(queue['messages'])} messages",
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
    yield Figure("messages missing", count(missed), ATTENTION if missed else "", "in these gaps")


def _run(found: Mapping[str, Any], now_ns: int) -> Iterator[tuple[str, str]]:
    runs, started = found["runs"], parse_timestamp(found["started"])
    yield "environment", found["environment"]
    yield "feed", found["feed"] + (f", shard {found['shard']}" if found["shard"] else "")
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
