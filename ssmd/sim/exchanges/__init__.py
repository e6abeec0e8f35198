"""Simulated exchanges, whose rules are those that the real ones have published: one file an exchange.

The catalog: a new exchange is one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ssmd.sim.exchanges.binance import Binance
from ssmd.sim.exchanges.bybit import Bybit
from ssmd.sim.exchanges.coinbase import Coinbase
from ssmd.sim.exchanges.kraken import Kraken
from ssmd.sim.exchanges.okx import Okx
from ssmd.sim.exchanges.rules import Rules

__all__ = ["EXCHANGES"]

EXCHANGES: Final[Mapping[str, type[Rules]]] = {
    "binance": Binance,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "kraken": Kraken,
    "okx": Okx,
}
