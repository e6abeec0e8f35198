"""The readers of recorded messages: what finds their types and markets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmd.contracts.exchange import MessageReader
from ssmd.exchange.inspectors import KALSHI
from ssmd.exchange.kalshi.reader import KalshiReader

__all__ = ["reader_of"]


def reader_of(name: str, description: Mapping[str, Any]) -> MessageReader:
    """Return the reader of a dialect, from its name and the description that the ledger has.

    Of a dialect that this version does not know, nothing is known of the messages.
    """
    if name == KALSHI:
        return KalshiReader()
    # Imported here: all dialects together take a third of the time of a short command.
    from ssmd.exchange.catalog import dialect_of

    return dialect_of(name, description).reader()
