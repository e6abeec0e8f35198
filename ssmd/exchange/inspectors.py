"""The inspectors of recorded messages, for readers that need no other part of a dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ssmd.contracts.exchange import Inspector
from ssmd.exchange.kalshi.inspector import KalshiInspector

__all__ = ["KALSHI", "inspector_of"]

KALSHI = "kalshi"


def inspector_of(name: str, description: Mapping[str, Any]) -> Callable[[], Inspector]:
    """Return what makes an inspector of a dialect, from its name and the description that the ledger has.

    Of a dialect that this version does not know, nothing is known of the messages.
    """
    if name == KALSHI:
        return KalshiInspector
    # Imported here: all dialects together take a third of the time of a short command.
    from ssmd.exchange.catalog import dialect_of

    return dialect_of(name, description).inspector
