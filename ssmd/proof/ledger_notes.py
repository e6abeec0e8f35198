"""Sentences about what people should know of a day's ledger, although it proves no damage. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ssmd.errors import printable
from ssmd.proof.described import not_understood
from ssmd.proof.unconnected import has_unknown, unconnected_lines
from ssmd.store.ledger import (
    CONNECTED,
    DISCONNECTED,
    EVENTS,
    FIRST_OF_A_RUN,
    HEARD,
    REFUSED,
    ROTATED,
    SILENT,
    SNAPSHOT_REQUESTED,
    SNAPSHOTS_RECEIVED,
    STOPPED,
    Entry,
    time_in,
)
from ssmd.store.timestamps import day_begins

__all__ = ["ledger_notes"]

_MOST = 5
"""How many channels, refusals or kinds of events are named; the rest are counted."""
_SESSION_ENDS = (*FIRST_OF_A_RUN, CONNECTED, DISCONNECTED, STOPPED, ROTATED)


def ledger_notes(day: str, entries: Iterable[Entry], lines: int, last_ns: int) -> Iterator[str]:
    """Yield the sentences about a day (YYYY-MM-DD), each to be read after the path of its data.

    `entries`: of its ledger, as Entries has them. `lines`: how many lines the data has. `last_ns`: when the last one
    was received.
    """
    found = list(entries)
    yield from _unknown(found, lines)
    yield from _not_understood(found)
    yield from _silences(day, found, last_ns)
    yield from _refusals(found)
    yield from _books(found)


def _unknown(entries: list[Entry], lines: int) -> Iterator[str]:
    if not has_unknown(entries):
        return
    counts = Counter(entry.event for entry in entries if entry.event not in EVENTS)
    named = [f"{printable(event)} ({count:,})" for event, count in counts.most_common(_MOST)]
    yield (
        f"has {sum(counts.values()):,} entries in its ledger whose events this version does not know; a later version "
        f"may have written them: {', '.join(named)}{_more(len(counts) - len(named))}"
    )
    for first, last in unconnected_lines(entries, lines):
        yield f"lines {first:,} to {last:,} belong to no connection that this version finds in the ledger"


def _not_understood(entries: list[Entry]) -> Iterator[str]:
    found = not_understood(entries)
    if found:
        yield (
            f"has in its ledger what this version does not know: {', '.join(found[:_MOST])}"
            f"{_more(len(found) - _MOST)}; a later version may have written it, and found "
            "gaps that this one cannot find"
        )


def _silences(day: str, entries: list[Entry], last_ns: int) -> Iterator[str]:
    """Yield how often each channel was silent, and for how long."""
    since: dict[str, int] = {}
    times = Counter[str]()
    total_ns = Counter[str]()

    def heard(channel: str, ns: int) -> None:
        times[channel] += 1
        total_ns[channel] += max(0, ns - since.pop(channel))

    before_ns = 0
    for entry in entries:
        channel = _text(entry, "channel")
        if entry.event == SILENT:
            since.setdefault(channel, max(day_begins(day), time_in(entry, "since") or entry.ts_ns))
        elif entry.event == HEARD and channel in since:
            heard(channel, entry.ts_ns)
        elif entry.event in _SESSION_ENDS:
            for silent in list(since):  # A run that was killed has left no end.
                heard(silent, before_ns if entry.event in FIRST_OF_A_RUN else entry.ts_ns)
        before_ns = entry.ts_ns
    for silent in list(since):
        heard(silent, max(last_ns, entries[-1].ts_ns))
    for channel, count in times.most_common(_MOST):
        how_often = "once" if count == 1 else f"{count:,} times"
        yield f"the channel {channel} was silent {how_often}, for {total_ns[channel] / 1e9:,.0f} s in all"
    if (more := len(times) - _MOST) > 0:
        yield f"and {more:,} more channels were silent"


def _refusals(entries: list[Entry]) -> Iterator[str]:
    """Yield what was refused. Of refusals one after the other the last says best how much is missing."""
    texts: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.event == REFUSED and entry.fields.get("for_now") is not True:
            texts.setdefault((_text(entry, "channel"), _text(entry, "code")), []).append(_text(entry, "text"))
    for (channel, code), found in sorted(texts.items(), key=lambda item: -len(item[1]))[:_MOST]:
        what = f"a part of the channel {channel}" if channel else "a command"
        how_often = "" if len(found) == 1 else f" {len(found):,} times"
        with_code = f" with code {code}" if code else ""
        last = ", the last time" if len(set(found)) > 1 else ""
        yield f"the exchange refused {what}{how_often}{with_code}{last}: {found[-1]}"
    if (more := len(texts) - _MOST) > 0:
        yield f"and {more:,} more kinds of refusals"


def _books(entries: list[Entry]) -> Iterator[str]:
    """Yield how many order books were asked for and did not come while the connection was open.

    The ledger does not say which books of a request have come, until the exchange was asked for the rest several times.
    """
    pending: dict[object, tuple[str, set[str]]] = {}
    unanswered: dict[str, set[str]] = {}
    never: dict[str, set[str]] = {}
    for entry in [*entries, Entry(0, STOPPED, 0, 0, {})]:
        key, channel = _text(entry, "sid"), _text(entry, "channel")
        if entry.event == SNAPSHOT_REQUESTED:
            pending.setdefault(key, (channel, set()))[1].update(_names(entry, "markets"))
        elif entry.event == SNAPSHOTS_RECEIVED:
            pending.pop(key, None)
            never.setdefault(channel, set()).update(_names(entry, "missing"))
        elif entry.event in _SESSION_ENDS:
            for name, markets in pending.values():
                unanswered.setdefault(name, set()).update(markets)
            pending.clear()
    yield from _named(never, "that were asked for and did not come")
    yield from _named(unanswered, "that were asked for and may not all have come")


def _named(found: dict[str, set[str]], what: str) -> Iterator[str]:
    for channel, markets in sorted(found.items()):
        if markets:
            named = sorted(markets)[:_MOST]
            count = f"{len(markets):,} ({', '.join(named)}{_more(len(markets) - len(named))})"
            yield f"order books of the channel {channel} {what}: {count}"


def _names(entry: Entry, field: str) -> list[str]:
    value = entry.fields.get(field)
    return [printable(str(name)) for name in value] if isinstance(value, list) else []


def _text(entry: Entry, name: str) -> str:
    """Return a field as text, empty for null: a damaged ledger may have anything there."""
    value = entry.fields.get(name)
    return "" if value is None else printable(str(value))


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""
