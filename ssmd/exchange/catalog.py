"""The dialects of exchanges.

A new one is one file here, or a folder as kalshi/, with an object that keeps the Dialect contract of
contracts/dialect.py, and one line in this catalog. Its key is the feed version's `exchange`. Without that, a feed
whose own name is in the catalog has that dialect, and any other feed has `generic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmd.catalog import Catalog
from ssmd.contracts.dialect import Dialect

__all__ = ["EXCHANGES", "dialect_of"]

EXCHANGES = Catalog(
    {
        "generic": "ssmd.exchange.generic.dialect:GENERIC",
        "kalshi": "ssmd.exchange.kalshi.dialect:Kalshi",
    }
)


def dialect_of(name: str, description: Mapping[str, Any]) -> Dialect:
    """Return the dialect of recorded messages, from its name and the description that the ledger has.

    Of a dialect that this version does not know, nothing is known of the messages.
    """
    found: Dialect = EXCHANGES[name].described(description) if name in EXCHANGES else EXCHANGES["generic"]
    return found
