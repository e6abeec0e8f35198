"""What the descriptions in a day's ledger say that this version does not understand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ssmd.errors import printable
from ssmd.exchange.catalog import EXCHANGES
from ssmd.store.ledger import CONTINUED, IMPORTED, STARTED, Entry
from ssmd.store.sessions import Spoken, spoken

__all__ = ["damaged_descriptions", "not_understood"]

_LONGEST = 60
"""Characters of a name."""


def not_understood(entries: Iterable[Entry]) -> list[str]:
    """Return what a later version may have written, for people: dialects, and places in descriptions; each once."""
    found: dict[str, None] = {}
    last: Spoken | None = None
    for one in spoken(entries):
        if not one.is_like(last):  # A day may have thousands of starts.
            last = one
            found |= dict.fromkeys(_in(one))
    return list(found)


def _in(one: Spoken) -> Iterator[str]:
    if one.exchange not in EXCHANGES:
        yield f"the dialect {printable(one.exchange, _LONGEST)}"
        return
    for problem in EXCHANGES[one.exchange].check_description(one.description) if one.description else ():
        if not problem.warning:
            yield f"{printable('.'.join(map(str, problem.path)), _LONGEST)} of its description"


def damaged_descriptions(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries whose description is none: ssmd always writes an object."""
    for entry in entries:
        if entry.event in (STARTED, CONTINUED, IMPORTED) and not isinstance(entry.fields.get("description", {}), dict):
            yield entry
