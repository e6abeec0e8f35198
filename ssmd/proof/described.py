"""Finds what this version does not understand in the descriptions of a day's ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ssmd.errors import printable
from ssmd.exchange.readers import KALSHI
from ssmd.store.ledger import Entry
from ssmd.store.sessions import NAMING, RecordedDialect, changed_dialects

__all__ = ["damaged_descriptions", "not_understood"]

_LONGEST = 60
"""The most characters that are shown of a name."""


def not_understood(entries: Iterable[Entry]) -> list[str]:
    """Return the dialects and the fields of descriptions that this version does not know, for people, each once.

    A later version may have written them.
    """
    return list(dict.fromkeys(text for one in changed_dialects(entries) for text in _in(one)))


def _in(one: RecordedDialect) -> Iterator[str]:
    if one.exchange == KALSHI and not one.description:
        return
    # Imported here, as in readers.py.
    from ssmd.exchange.catalog import EXCHANGES

    if one.exchange not in EXCHANGES:
        yield f"the dialect {printable(one.exchange, _LONGEST)}"
        return
    for problem in EXCHANGES[one.exchange].check_description(one.description) if one.description else ():
        if not problem.warning:
            yield f"{printable('.'.join(map(str, problem.path)), _LONGEST)} of its description"


def damaged_descriptions(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries whose description is not an object, as ssmd always writes it."""
    for entry in entries:
        if entry.event in NAMING and not isinstance(entry.fields.get("description", {}), dict):
            yield entry
