"""What the simulated Kalshi allows a client, and what it leaves open: a client must work with each of these."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from ssmd.errors import UsageError, visible
from ssmd.sim.births import Births
from ssmd.sim.faults import Faults

__all__ = ["LIMITS", "Bucket", "Limits", "Rate", "require_made_up"]

LIMITS: dict[str, str] = {
    "market-limit": "how many markets one subscription may have; a command for more is refused with error 26",
    "command-limit": "how many commands a client may send in a second; any other is refused with error 27",
    "request-limit": "how many requests to the REST interface are answered in a second; any other gets a 429",
    "snapshot-seq": "next: the answer to get_snapshot uses up a number of the sequence; "
    "current: it repeats the number before it",
}
"""Each limit as a user writes it, and what it does."""

_SEQ = ("next", "current")


class Limits(NamedTuple):
    """The limits of one connection."""

    markets: int = 10_000
    """Kalshi's limit exists (error 26), but is not published."""
    commands_per_second: int = 10_000
    """As Kalshi's (https://docs.kalshi.com/changelog, 18 June 2026)."""
    requests_per_second: int = 20
    """Those of all clients. As Kalshi's for an account of the tier Basic: 200 tokens a second, and a request costs 10
    (https://docs.kalshi.com/getting_started/rate_limits)."""
    snapshot_seq: str = "next"
    """next or current. Which of them Kalshi does is not published."""

    @classmethod
    def parse(cls, texts: Mapping[str, str | None]) -> Limits:
        """Return the limits with these values by name; None stands for the default. Raises UsageError."""
        given = {name: text for name, text in texts.items() if text is not None}
        default = cls()
        seq = given.get("snapshot-seq", default.snapshot_seq)
        if seq not in _SEQ:
            raise UsageError(f"snapshot-seq must be {' or '.join(_SEQ)}, not '{visible(seq)}'")
        return cls(
            _count(given, "market-limit", default.markets),
            _count(given, "command-limit", default.commands_per_second),
            _count(given, "request-limit", default.requests_per_second),
            seq,
        )


class Rate:
    """Allows a number of commands, or of other events, in any second, or in any `seconds`."""

    def __init__(self, number: int, seconds: float = 1) -> None:
        self._allowed_ns: deque[int] = deque(maxlen=number)
        self._window_ns = int(seconds * 1_000_000_000)

    def allows(self, now_ns: int) -> bool:
        """Return whether an event may come at this time; count it only then."""
        allowed = self._allowed_ns
        if len(allowed) == allowed.maxlen and now_ns - allowed[0] < self._window_ns:
            return False
        allowed.append(now_ns)
        return True


class Bucket:
    """A bucket of tokens, filled at a rate, that holds those of one second; a request takes one.

    Whether Kalshi's holds those of one second or of two is documented in two ways. This is the stricter one.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._tokens = float(per_second)
        self._filled = -math.inf

    def takes(self, now: float) -> bool:
        """Return whether there is a token at this time, in seconds, and take it."""
        self._tokens = min(self._per_second, self._tokens + max(0.0, now - self._filled) * self._per_second)
        self._filled = max(now, self._filled)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def require_made_up(faults: Faults, limits: Limits, births: Births | None) -> None:
    """Raise UsageError for what has no effect on a recording, which is sent as it is."""
    if faults.of_channels or limits != Limits() or births not in (None, Births()):
        what = "limits, births, and faults of a channel, a market or the listing"
        raise UsageError(f"{what} are for made-up messages: leave the replay out")


def _count(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise UsageError(f"{name} must be a whole number, 1 or more, not '{visible(text)}'")
    return int(text)
