"""Kalshi's errors: what their codes mean for a run, and their text for a log. Pure.

The codes are those of https://docs.kalshi.com/asyncapi.yaml, "Error Codes Reference".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.exchange.kalshi_inspector import whole

__all__ = ["KalshiError", "read_error"]

# About a subscription: the channel broke (10), the exchange failed (17), its buffer overflowed (25).
_OVER = frozenset({10, 17, 25})
# About the form of a command, not about the markets that it names.
_BAD_COMMAND = frozenset({1, 2, 3, 4, 5, 8, 9, 12, 13, 15})


class KalshiError(NamedTuple):
    """One error message."""

    code: int | None
    """None when it has none, or one that is no whole number."""
    text: str
    """All that it says, for one line of a log."""
    named: Sequence[str]
    """The markets that it names."""

    @property
    def is_over(self) -> bool:
        """Whether a subscription is over."""
        return self.code in _OVER

    @property
    def is_timeout(self) -> bool:
        """Whether the exchange was too slow with a command."""
        return self.code == 18

    @property
    def is_unknown_sid(self) -> bool:
        return self.code == 7

    @property
    def is_bad_command(self) -> bool:
        """Whether the exchange refuses such a command whichever markets it names."""
        return self.code in _BAD_COMMAND

    @property
    def is_too_many_markets(self) -> bool:
        """Whether the subscription would have more markets than the exchange allows."""
        return self.code == 26

    @property
    def is_too_many_commands(self) -> bool:
        """Whether commands come too fast: the exchange has not carried this one out."""
        return self.code == 27


def read_error(body: Mapping[str, Any], where: str, shown: Callable[[object], str]) -> KalshiError:
    """Return the error in the `msg` of a message.

    `where`: the subscription that it is about, as text. `shown`: makes a value fit for a log.
    """
    code = body.get("code", "without a code")
    about = [shown(body[name]) for name in ("market_ticker", "market_tickers") if body.get(name)]
    reason = shown(body.get("msg", "no reason given"))
    text = f"Kalshi error {shown(code)}{where}: {reason}" + "".join(f" ({item})" for item in about)
    markets = body.get("market_tickers")
    named = [body.get("market_ticker"), *(markets if isinstance(markets, list) else ())]
    return KalshiError(whole(code) or None, text, [name for name in named if isinstance(name, str)])
