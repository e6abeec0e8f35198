"""Kalshi's errors: what their codes mean for a run, and their text for a log. Pure.

The codes are those of https://docs.kalshi.com/asyncapi.yaml, "Error Codes Reference".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.exchange.kalshi.inspector import whole

__all__ = ["KalshiError", "read_error"]

# About a subscription: the channel broke (10), the exchange failed (17), its buffer overflowed (25).
_OVER = frozenset({10, 17, 25})
# About the form of a command, not about the markets that it names.
_BAD_COMMAND = frozenset({1, 2, 3, 4, 5, 8, 9, 12, 13, 15})

_SECTION = "the environment's subscribe section"
_FEWER = "name fewer markets, or divide them among several collectors with --shard"
_AGAIN = "that subscription is over; a restart asks again"
_OURS = "ssmd's command has a form that Kalshi does not take: try a newer version of ssmd, or report this"
_PARAMETERS = f"correct the parameters in {_SECTION}"
_SHARDS = f"correct shard_factor and shard_key in {_SECTION}"
_REMEDIES = {
    1: _PARAMETERS,
    **dict.fromkeys((2, 3, 4, 5, 7, 12, 13, 15), _OURS),
    6: f"name each channel once in {_SECTION}",
    8: f"correct the name of the channel in {_SECTION}, or leave it out",
    9: f"use another key, one that may read these channels, or leave them out of {_SECTION}",
    10: _AGAIN,
    11: _PARAMETERS,
    14: f"name markets with market_tickers in {_SECTION}",
    16: f"correct the names of the markets in {_SECTION}, or leave out those that no longer exist",
    17: _AGAIN,
    18: "a restart asks again",
    **dict.fromkeys((19, 20, 21, 22), _SHARDS),
    24: f"name indices with index_ids in {_SECTION}",
    25: f"{_AGAIN}; if this happens often, {_FEWER}",
    26: _FEWER,
    28: f"name what to collect with underlying_tickers in {_SECTION}",
}
"""What a user can do. Not for 27, after which ssmd sends the command again by itself."""


class KalshiError(NamedTuple):
    """One error message."""

    code: int | None
    """None when it has none, or one that is no whole number."""
    text: str
    """All that it says, for one line of a log."""
    named: Sequence[str]
    """The markets that it names."""

    @property
    def remedy(self) -> str:
        return _REMEDIES.get(self.code or 0, f"correct {_SECTION}")

    def refusal(self, channels: Sequence[str]) -> str:
        """Return the text of a command that is refused as a whole. `channels`: those that wait for its answer."""
        together = f"one command asked for {', '.join(channels)}, and any of them may be the reason; "
        return f"{self.text}; {together if len(channels) > 1 else ''}{self.remedy}"

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
