"""The dialects of exchanges.

A new one is one file here, or a folder as kalshi/, with an object that keeps the Dialect contract of
contracts/exchange.py, and one line in this catalog. Its key is the feed version's `exchange`. Without that, a feed
whose own name is in the catalog has that dialect, and any other feed has `generic`.
"""

from __future__ import annotations

from ssmd.contracts.exchange import Dialect
from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.kalshi.dialect import Kalshi

__all__ = ["EXCHANGES"]

EXCHANGES: dict[str, Dialect] = {
    "generic": Generic(),
    "kalshi": Kalshi,
}
