"""The readers and the inspectors of recorded messages, for programs that need no other part of a dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ssmd.contracts.exchange import Inspector, MessageReader
from ssmd.contracts.market_finder import MarketFinder, Markets
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.exchange.kalshi.recorded import RecordedInspector

__all__ = ["KALSHI", "documented_fields", "inspector_of", "markets_of", "reader_of"]

KALSHI = "kalshi"


class _Kalshi:
    """What is read of the dialect of Kalshi. The dialect itself would bring much more with it."""

    inspector = RecordedInspector
    reader = KalshiReader


def inspector_of(name: str, description: Mapping[str, Any]) -> Callable[[], Inspector]:
    """Return what makes an inspector of a dialect, from its name and the description that the ledger has.

    Of a dialect that this version does not know, nothing is known of the messages.
    """
    found: Callable[[], Inspector] = _dialect_of(name, description).inspector
    return found


def reader_of(name: str, description: Mapping[str, Any]) -> MessageReader:
    """Return the reader of a dialect, which finds the types and the markets of messages. The arguments are those of
    inspector_of().
    """
    found: MessageReader = _dialect_of(name, description).reader()
    return found


def markets_of(inspector: Inspector, name: str, description: Mapping[str, Any]) -> Markets | None:
    """Return the markets of the messages that an inspector of this dialect inspects; None when it is not known where
    messages have theirs.

    Call it before the first of them. For an inspector that does not find markets the dialect's reader does.
    """
    if isinstance(inspector, MarketFinder):
        return inspector.with_markets()
    reader = reader_of(name, description)
    if not reader.market_field:
        return None

    def market_of(payload: bytes) -> str:
        try:
            return reader.read((payload,))[0][1]
        except (ValueError, RecursionError):
            return ""

    return Markets(lambda payloads: list(map(market_of, payloads)))


def documented_fields(name: str) -> dict[str, set[tuple[str, ...]]]:
    """Return, for each type of message that the exchange documents, the paths of its fields; empty for a dialect that
    does not know them, or that this version does not know.
    """
    # Imported here, as below.
    from ssmd.exchange.catalog import EXCHANGES

    tables = EXCHANGES[name].tables() if name in EXCHANGES else ()
    return {table.type: {column.path for column in table.columns} for table in tables}


def _dialect_of(name: str, description: Mapping[str, Any]) -> Any:
    if name == KALSHI:
        return _Kalshi
    # Imported here: all dialects together take a third of the time of a short command.
    from ssmd.exchange.catalog import dialect_of

    return dialect_of(name, description)
