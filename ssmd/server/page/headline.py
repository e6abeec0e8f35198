"""The top of the page: the verdict, since when it is so, what happens next, and the three ages. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ssmd.runtime.gap_counts import LOSS_SECONDS
from ssmd.server.page.figure import Figure
from ssmd.server.verdict import (
    ATTENTION,
    BEHIND,
    CLOSED_NOW,
    DISK_SILENT,
    GOOD,
    LOST,
    NOT_CONNECTED,
    QUIET_SECONDS,
    STARTING_SECONDS,
)
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import clock, seconds_text, since_text

__all__ = ["ages", "headline"]

_SYNC_SECONDS = 5.0
"""A sync that is older, while messages come, is late."""
_NAMES = 5
"""So many channels are named."""

_START = "since the start of the run"

_NEXT = {
    NOT_CONNECTED: "Nothing is recorded until it is connected.",
    CLOSED_NOW: "It connects by itself when the schedule opens.",
    BEHIND: "They wait in memory, and are written as soon as the disk takes them.",
    DISK_SILENT: "What is received waits in memory. Nothing is written until the disk answers.",
}


def headline(found: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """Return the verdict for its template. `found`: what /status says."""
    missing = list(_missing(found)) if found["state"] == "incomplete" else []
    return {
        **found["verdict"],
        "since": _since(found, now_ns),
        "next": _next(found, now_ns),
        "missing": missing if len(missing) > 1 else [],  # A single one is in the sentence.
        "notes": found["notes"],
    }


def _missing(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what does not come, without saying of what was refused that it is not confirmed either."""
    refused = {channel["channel"] for channel in found["channels"] or () if channel["refused"]}
    for reason in found["missing"]:
        channel, _, why = reason.partition(": ")
        if channel not in refused or not why.startswith("not confirmed"):
            yield reason


def _since(found: Mapping[str, Any], now_ns: int) -> str:
    """Return what began when, without the time or the duration that is in the sentence already."""
    verdict = found["verdict"]
    text, since = verdict["text"], verdict["since"]
    if since is None or (verdict["brief"] == LOST and since == found["messages"]["last_gap"]):
        return ""
    began = parse_timestamp(since)
    what = _what_began(found, began)
    time, _, lasted = since_text(began, now_ns).removeprefix("since ").partition(", ")
    if re.search(rf"(?<!\d ){re.escape(time)}", text):  # Not the same time of another day.
        time, what = "", _START if what == f"{_START} at" else ""
    if what.endswith("came at") or re.search(r" for \d", text):
        lasted = ""
    shown = ", ".join(filter(None, (f"{what} {time}".strip(), lasted)))
    return shown[:1].upper() + shown[1:]


def _what_began(found: Mapping[str, Any], began: int) -> str:
    """Return the words before the time at which it began, ns since the epoch."""
    brief, grade = found["verdict"]["brief"], found["verdict"]["grade"]
    if brief == LOST:
        return "lost since"
    if brief == CLOSED_NOW:
        return "waiting since"
    if grade == GOOD:
        is_new = began - parse_timestamp(found["started"]) < STARTING_SECONDS * 1e9
        return f"{_START} at" if is_new else "collecting since"
    if brief.startswith("The copy in "):
        return "the oldest message that is not copied came at"
    if any(channel["silent"] and channel["age_seconds"] is not None for channel in found["channels"] or ()):
        return "the last one came at"
    return "since"


def _next(found: Mapping[str, Any], now_ns: int) -> str:
    """Return what still works, and what happens next, as far as the collector knows it."""
    brief = found["verdict"]["brief"]
    if brief == LOST:
        until = parse_timestamp(found["messages"]["last_gap"]) + int(LOSS_SECONDS * 1e9)
        return f"What comes is recorded. This is shown until {clock(until, now_ns)} UTC, unless more are lost."
    if brief.endswith(" is not reached"):
        return "Recording to the disk goes on. It is tried again by itself."
    if found["state"] == "incomplete":
        return " ".join(_of_others(found))
    return _NEXT.get(brief, "")


def _of_others(found: Mapping[str, Any]) -> Iterator[str]:
    channels = found["channels"] or ()
    if any(channel["refused"] for channel in channels):
        yield "What the exchange answered is in the log."
    well = [
        channel["channel"]
        for channel in channels
        if channel["age_seconds"] is not None
        and channel["age_seconds"] < QUIET_SECONDS
        and not (channel["refused"] or channel["silent"] or channel["books_missing"])
    ]
    if well:
        more = f" and {len(well) - _NAMES} more" if len(well) > _NAMES else ""
        yield f"Still recorded: {', '.join(well[:_NAMES])}{more}."


def ages(found: Mapping[str, Any], now_ns: int) -> Iterator[Figure]:
    """Yield how long ago the last byte, message and sync were."""
    messages, disk = found["messages"], found["disk"]
    waits = found["state"] in ("closed", "connecting") or found["expected_silence_until"] is not None
    is_closed = found["state"] == "closed"
    for name, seconds, late, note in (
        ("last byte", messages["last_byte_age_seconds"], QUIET_SECONDS, "of anything from the exchange"),
        ("last message", messages["age_seconds"], QUIET_SECONDS, "with data"),
        ("last sync", _age(disk["last_sync"], now_ns), _SYNC_SECONDS, "what was written before is safe on the disk"),
    ):
        is_late = seconds is not None and seconds > late and not waits
        if name == "last sync" and found["queue"]["messages"] == 0:
            is_late = False  # Nothing is written, so that nothing is to be synced.
        if seconds is not None:
            yield Figure(name, seconds_text(seconds), ATTENTION if is_late else GOOD, note)
        elif name == "last byte" and messages["last"] is not None:
            yield Figure(name, "?", note=note)  # Where messages come without a socket that is looked at.
        else:
            yield Figure(name, "none expected" if is_closed else "none yet", "none", _START)


def _age(time: str | None, now_ns: int) -> float | None:
    return None if time is None else max(0.0, (now_ns - parse_timestamp(time)) / 1e9)
