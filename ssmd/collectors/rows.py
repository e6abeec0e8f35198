"""What the page over several collectors shows: the texts and shapes of its templates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ssmd.collectors.said import Said
from ssmd.collectors.text import name_of
from ssmd.collectors.watch import Watched
from ssmd.contracts.strip import Piece, Strip
from ssmd.errors import printable
from ssmd.server.kinds import ATTENTION, BAD, GOOD, GRADES, WAITING
from ssmd.server.page.drawing import bars, ongoing
from ssmd.words import bytes_text, count, counted, percent, rate, seconds_text, since_text

__all__ = ["view"]

_NAMED = 5
"""So many collectors are named in the sentence at the top."""
_LONGEST_BRIEF, _LONGEST = 60, 500
"""How many characters are shown of a word or two, and of a sentence, whoever sends it."""


_NOT_WELL = (BAD, ATTENTION, "")
"""The grades of rows with which not all is well, or not known to be."""


def view(collectors: Sequence[Watched], problem: str | None, now: float, now_ns: int) -> dict[str, Any]:
    """Return the variables of the templates. `problem`: with the file of collectors; `now`: by time.monotonic()."""
    rows = [_row(one, now, now_ns) for one in collectors]
    return {"rows": rows, "verdict": _overall(rows) | {"notes": [problem] if problem else []}}


def _overall(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the state of all in one sentence."""
    names = Counter(row["name"] for row in rows)
    shown = {row["address"]: row["name" if names[row["name"]] == 1 else "address"] for row in rows}
    bad, attention, unknown = ([shown[row["address"]] for row in rows if row["grade"] == each] for each in _NOT_WELL)
    wrong = [*bad, *attention]
    number = counted(len(rows), "collector")
    if not rows:
        grade, brief, text = ATTENTION, "No collectors", "No collectors are named"
    elif wrong:
        named = ", ".join(wrong[:_NAMED]) + (f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")
        grade, brief = BAD if bad else ATTENTION, f"{len(wrong)} of {number} not well"
        text = f"{brief}: {named}"
    elif unknown:
        grade, brief, text = WAITING, "Asking", f"Asking {number}"
    else:
        grade, brief, text = GOOD, "All is well", f"All is well with {number}"
    return {"grade": grade, "brief": brief, "text": text, "since": "", "why": "", "next": "", "missing": []}


def _row(one: Watched, now: float, now_ns: int) -> dict[str, Any]:
    said = one.said
    row = {
        "name": (name_of(said) if said is not None else "") or str(one.address),
        "address": str(one.address),
        "labels": ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items())),
        "bars": [],
        "coverage": "?",
    }
    if one.reason is not None:
        since = one.since_ns if one.since_ns is not None else now_ns
        state = f"{one.reason}, {since_text(since, now_ns)}"
        return row | _figures(None, 0.0, now_ns) | {"grade": BAD, "brief": "No answer", "state": state}
    if said is None or one.answered is None:
        return row | _figures(None, 0.0, now_ns) | {"grade": "", "brief": "Asking", "state": ""}
    return row | _figures(said, now - one.answered, now_ns) | _state(said, now_ns) | _today(said)


def _state(said: Said, now_ns: int) -> dict[str, Any]:
    if said.verdict is None:  # An earlier version, or --page off.
        brief = printable(said.state, _LONGEST_BRIEF)
        state = printable(f"{said.state} {since_text(_ns(said.since), now_ns)}")
        return {"grade": GOOD if said.is_well else BAD, "brief": brief, "state": state}
    since, state = said.verdict.since, printable(said.verdict.text, _LONGEST)
    return {
        "grade": said.verdict.grade if said.verdict.grade in GRADES else ATTENTION,
        "brief": printable(said.verdict.brief, _LONGEST_BRIEF),
        "state": state if since is None else f"{state}; {since_text(_ns(since), now_ns)}",
    }


def _figures(said: Said | None, past: float, now_ns: int) -> dict[str, str]:
    """Return the figures of a row. `past`: how many seconds ago the collector has answered."""
    messages = said.messages if said is not None else None
    speed = said.rates.messages_per_second if said is not None and said.rates is not None else None
    synced = said.disk.last_sync if said is not None and said.disk is not None else None
    return {
        "rate": rate(speed),
        "last_byte": _older(messages.last_byte_age_seconds if messages is not None else None, past),
        "last_message": _older(messages.age_seconds if messages is not None else None, past),
        "last_sync": "?" if synced is None else seconds_text(max(0.0, (now_ns - _ns(synced)) / 1e9)),
        "gaps": count(messages.gaps if messages is not None else None),
        "lag": _lag(said) if said is not None else "?",
    }


def _older(seconds: float | None, past: float) -> str:
    return seconds_text(None if seconds is None else max(0.0, seconds + past))


def _lag(said: Said) -> str:
    """Return how far behind are the disk and the copies, as far as there are any."""
    queue = "?" if said.queue is None else bytes_text(said.queue.bytes)
    lags = [
        f"{printable(copy.engine, _LONGEST_BRIEF)} {seconds_text(copy.lag_seconds) if copy.up else 'not reached'}"
        for _, copy in said.copies
    ]
    return ", ".join([f"disk {queue}", *lags])


def _today(said: Said) -> dict[str, Any]:
    today = said.today
    if today is None:
        return {}
    pieces = [Piece(_ns(piece.begin), _ns(piece.end), piece.state, printable(piece.cause)) for piece in today.pieces]
    strip = Strip(today.day, pieces)
    goes_on = ongoing(strip, is_connected=bool(said.connected))
    return {"bars": bars(strip, goes_on), "coverage": percent(today.listened_percent)}


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
