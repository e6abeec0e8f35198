"""The tables of Kalshi's messages, one for each type of https://docs.kalshi.com/asyncapi.yaml."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.table import Table
from ssmd.exchange.kalshi.tables.lifecycle import LIFECYCLE
from ssmd.exchange.kalshi.tables.market_data import MARKET_DATA
from ssmd.exchange.kalshi.tables.private import PRIVATE
from ssmd.exchange.kalshi.tables.replies import REPLIES

__all__ = ["TABLES"]

TABLES: Sequence[Table] = (*MARKET_DATA, *LIFECYCLE, *PRIVATE, *REPLIES)
