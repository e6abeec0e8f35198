"""How many messages of a day were not as its schema says: what its collectors have counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import UNSET, UnsetType

from ssmd.store.ledger import CONTINUED, OBSERVER_FAILED, ROTATED, STARTED, STOPPED, VIOLATIONS, Entry

__all__ = ["violations_in"]


def violations_in(entries: Iterable[Entry]) -> dict[str, int] | UnsetType | None:
    """Return how many violations a day's ledger has, by the type of the messages; empty when there was none.

    UNSET when no run has checked messages; None when one that did was killed, since what it counted last is lost, and
    when its check failed.
    """
    found: Counter[str] = Counter()
    checked = lost = checking = False
    for entry in entries:
        if entry.event in (STARTED, CONTINUED):
            lost |= checking
            checking = bool(entry.fields.get("schema"))
            checked |= checking
        elif entry.event in (STOPPED, ROTATED):
            checking = False
        elif entry.event == OBSERVER_FAILED:
            lost |= checking and entry.fields.get("observer") == "SchemaCheck"
        elif entry.event == VIOLATIONS:
            kind, count = entry.fields.get("type"), entry.fields.get("count")
            if isinstance(kind, str) and isinstance(count, int):
                found[kind] += count
    if not checked:
        return UNSET
    return None if lost or checking else dict(sorted(found.items()))
