"""Finds what this version does not understand in the descriptions of a day's ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ssmd.errors import printable
from ssmd.exchange.catalog import EXCHANGES
from ssmd.store.ledger import CONTINUED, IMPORTED, STARTED, Entry
from ssmd.store.sessions import Spoken, spoken

__all__ = ["damaged_descriptions", "not_understood"]

_LONGEST = 60
"""The most characters that are shown of a name."""


def not_understood(entries: Iterable[Entry]) -> list[str]:
    """Return the dialects and the fields of descriptions that this version does not know, for people, each once.

    A later version may have written them.
    """
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
    """Yield the entries whose description is not an object, as ssmd always writes it."""
    for entry in entries:
        if entry.event in (STARTED, CONTINUED, IMPORTED) and not isinstance(entry.fields.get("description", {}), dict):
            yield entry
