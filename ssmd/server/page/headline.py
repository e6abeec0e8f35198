"""The top of the page: the verdict, since when it is so, what happens next, and the three ages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ssmd.runtime.gap_counts import LOSS_SECONDS
from ssmd.server.kinds import (
    ATTENTION,
    BEHIND,
    CLOSED_NOW,
    COLLECTING,
    CONNECTING,
    COPY_DOWN,
    DISK_SILENT,
    FIRST_LOSS,
    GOOD,
    INCOMPLETE,
    LAST_MESSAGE,
    LOST,
    NOT_CONNECTED,
    OLDEST_NOT_COPIED,
    RUN_BEGAN,
)
from ssmd.server.page.figure import Figure
from ssmd.server.verdict import QUIET_SECONDS
from ssmd.store.timestamps import parse_timestamp
from ssmd.words import clock, for_how_long, seconds_text

__all__ = ["ages", "headline"]

_SYNC_SECONDS = 5.0
"""A sync that is older, while messages come, is late."""
_NAMES = 5
"""So many channels are named."""

_START = "since the start of the run"

_MOMENTS = {
    RUN_BEGAN: f"{_START} at",
    LAST_MESSAGE: "the last one came at",
    FIRST_LOSS: "lost since",
    OLDEST_NOT_COPIED: "the oldest message that is not copied came at",
}
_STATES = {COLLECTING: "collecting since", CLOSED_NOW: "waiting since"}

_NEXT = {
    NOT_CONNECTED: "Nothing is recorded until it is connected.",
    CLOSED_NOW: "It connects by itself when the schedule opens.",
    BEHIND: "They wait in memory, and are written as soon as the disk takes them.",
    COPY_DOWN: "Recording to the disk goes on. It is tried again by itself.",
    DISK_SILENT: "What is received waits in memory. Nothing is written until the disk answers.",
}


def headline(found: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """Return the verdict for its template. `found`: what /status says."""
    missing = found["missing"] if found["verdict"]["kind"] == INCOMPLETE else []
    return {
        **found["verdict"],
        "since": _since(found["verdict"], now_ns),
        "why": _why(found, now_ns) if found["verdict"]["kind"] in (CONNECTING, NOT_CONNECTED) else "",
        "next": _next(found, now_ns),
        "missing": missing if len(missing) > 1 else [],  # A single one is in the sentence.
        "notes": found["notes"],
    }


def _since(verdict: Mapping[str, Any], now_ns: int) -> str:
    """Return what began when, without the time or the duration that is in the sentence already."""
    if verdict["since"] is None:
        return ""
    began = parse_timestamp(verdict["since"])
    what = _MOMENTS.get(verdict["since_is"]) or _STATES.get(verdict["kind"], "since")
    if verdict["says_since"]:
        first = _START if verdict["since_is"] == RUN_BEGAN else ""
    else:
        first = f"{what} {clock(began, now_ns)} UTC"
    lasted = "" if verdict["says_how_long"] else for_how_long(began, now_ns)
    shown = ", ".join(filter(None, (first, lasted)))
    return shown[:1].upper() + shown[1:]


def _why(found: Mapping[str, Any], now_ns: int) -> str:
    """Return how the last run has ended, as far as that is known and may be shown."""
    end = found["runs"]["last_end"]
    if end is None:
        return ""
    time = f"{clock(parse_timestamp(end['time']), now_ns)} UTC"
    if parse_timestamp(end["time"]) >= parse_timestamp(found["started"]):  # Of this run, which waits before it ends.
        return f"The attempt to connect failed at {time}" + (f": {end['reason']}" if end.get("reason") else "")
    if end["killed"]:
        return f"The last run was killed, or its host lost power, at {time} or later."
    if not end.get("reason"):
        return f"The last run ended at {time}. The log says why."
    return f"The last run ended at {time}: {end['reason']}"


def _next(found: Mapping[str, Any], now_ns: int) -> str:
    """Return what still works, and what happens next, as far as the collector knows it."""
    kind = found["verdict"]["kind"]
    if kind == LOST:
        until = parse_timestamp(found["messages"]["last_gap"]) + int(LOSS_SECONDS * 1e9)
        return f"What comes is recorded. This is shown until {clock(until, now_ns)} UTC, unless more are lost."
    return " ".join(_of_others(found)) if kind == INCOMPLETE else _NEXT.get(kind, "")


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
