"""One message of the simulated Kalshi before it is sent on a subscription."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LIFECYCLE", "Event"]

LIFECYCLE = "market_lifecycle_v2"
"""The channel on which markets are announced: https://docs.kalshi.com/websockets/market-&-event-lifecycle."""


class Event(NamedTuple):
    """One message, without its envelope, as every subscriber of its channel gets it."""

    channel: str
    type: str
    ticker: str | None
    """The market that a subscription's filter is compared with; None reaches every subscriber."""
    msg: str
    """JSON."""
    yes_msg: str
    """The same for subscriptions with `use_yes_price`; it differs only for the NO side of a book."""
