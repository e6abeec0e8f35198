"""Simulated exchanges, whose rules are those that the real ones have published: one file an exchange.

The catalog: a new exchange is one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ssmd.sim.exchanges.binance import Binance
from ssmd.sim.exchanges.bitstamp import Bitstamp
from ssmd.sim.exchanges.bybit import Bybit
from ssmd.sim.exchanges.coinbase import Coinbase
from ssmd.sim.exchanges.deribit import Deribit
from ssmd.sim.exchanges.gateio import GateIo
from ssmd.sim.exchanges.htx import Htx, HtxBooks
from ssmd.sim.exchanges.kraken import Kraken
from ssmd.sim.exchanges.kucoin import KuCoin
from ssmd.sim.exchanges.okx import Okx
from ssmd.sim.exchanges.polymarket import Polymarket
from ssmd.sim.exchanges.rules import Rules

__all__ = ["EXCHANGES"]

EXCHANGES: Final[Mapping[str, type[Rules]]] = {
    "binance": Binance,
    "bitstamp": Bitstamp,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "deribit": Deribit,
    "gateio": GateIo,
    "htx": Htx,
    "htx-books": HtxBooks,
    "kraken": Kraken,
    "kucoin": KuCoin,
    "okx": Okx,
    "polymarket": Polymarket,
}
