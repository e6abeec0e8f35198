"""A simulated exchange, for first steps and for tests: it needs no account and no network.

The catalog: the name in a `sim://` endpoint, and the path that the exchange serves. A new one is one line here, and a
Feed for its path in `Simulator._feed`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SIMULATORS"]

SIMULATORS: Final = {
    "kalshi": "/trade-api/ws/v2",
}
