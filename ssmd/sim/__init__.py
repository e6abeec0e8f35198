"""A simulated exchange, for first steps and for tests: it needs no account and no network.

Its catalog: the name in a `sim://` endpoint, and the path under which that exchange answers. A new one is a line
here, and a feed for its path (see `Simulator.converse` in server).
"""

from __future__ import annotations

from typing import Final

__all__ = ["SIMULATORS"]

SIMULATORS: Final = {
    "kalshi": "/trade-api/ws/v2",
}
