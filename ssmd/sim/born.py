"""A market of the simulated exchange, from its birth to its settlement, and the event that it belongs to. Pure.

The stages are those of https://docs.kalshi.com/getting_started/market_lifecycle, with the words that REST answers have
for them. A market opens and closes by time: no message says so.
"""

from __future__ import annotations

from ssmd.sim.births import DETERMINED_AFTER, LISTED_AFTER, SECOND, Birth, Births, Family

__all__ = ["GONE", "Born", "Listed"]

GONE = "gone"
"""The last step of a market, which is not listed any more."""


class Listed:
    """An event, and the markets of it that are listed."""

    __slots__ = ("created_us", "family", "markets", "ticker")

    def __init__(self, ticker: str, family: Family, created_us: int) -> None:
        self.ticker = ticker
        self.family = family
        self.created_us = created_us
        self.markets: dict[str, None] = {}


class Born:
    """One market. `status`: initialized, active, inactive, closed, determined or finalized."""

    __slots__ = (
        "close_ts", "created_us", "event", "open_ts", "status", "strike", "ticker", "turn", "updated_us", "wins",
    )  # fmt: skip

    def __init__(self, birth: Birth, births: Births) -> None:
        self.ticker = birth.ticker
        self.event = birth.event
        self.strike = birth.strike
        self.created_us = self.updated_us = birth.at_us
        # Whole seconds, which is what Kalshi's messages have. It opens no sooner than was chosen.
        self.open_ts = -(-(birth.at_us + births.passing_us(births.open_after)) // SECOND)
        self.close_ts = self.open_ts + max(1, births.passing_us(births.life) // SECOND)
        self.turn = birth.turn
        self.wins = birth.wins
        self.status = "initialized"

    def next_step(self, births: Births) -> tuple[int, str]:
        """Return when the next thing happens to it, and what: the name of a life cycle message, opened, closed or
        gone.
        """
        open_us, close_us = self.open_ts * SECOND, self.close_ts * SECOND
        match self.status:
            case "initialized":
                return open_us, "opened"
            case "active" if self.turn:
                return (open_us + close_us) // 2, self.turn
            case "active":
                return close_us, "closed"
            case "inactive":
                return (open_us + 3 * close_us) // 4, "activated"
            case "closed":
                return self.determined_us(births), "determined"
            case "determined":
                return self.settled_us(births), "settled"
            case _:
                return self.settled_us(births) + births.passing_us(LISTED_AFTER), GONE

    def take_step(self, step: str, at_us: int) -> None:
        """Bring it to the state after a step of next_step()."""
        self.updated_us = at_us
        match step:
            case "opened" | "activated":
                self.status = "active"
            case "deactivated":
                self.status, self.turn = "inactive", ""
            case "close_date_updated":
                # It closes early, but not before this message.
                early = (self.open_ts + 3 * self.close_ts) // 4
                self.close_ts, self.turn = max(early, -(-at_us // SECOND)), ""
            case "closed" | "determined":
                self.status = step
            case "settled":
                self.status = "finalized"

    def determined_us(self, births: Births) -> int:
        """Return when it has its result; it closes as `close_ts` says now."""
        return self.close_ts * SECOND + births.passing_us(DETERMINED_AFTER)

    def settled_us(self, births: Births) -> int:
        """Return when it is settled."""
        return self.close_ts * SECOND + births.passing_us(2 * DETERMINED_AFTER)
