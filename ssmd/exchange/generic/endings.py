"""What ends a run by a description's `end_when`, in the exchange's own words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssmd.errors import Disconnected, SsmdError, SubscriptionRefused, printable
from ssmd.exchange.generic.description import Ending

__all__ = ["Endings"]

LONGEST_QUOTE = 300
_REMEDY = "correct `subscribe` of the environment, or what the feed's `dialect` sends"


class Endings:
    """The rules of one description."""

    def __init__(self, endings: Sequence[Ending]) -> None:
        self._endings = endings

    def by_message(self, which: int, payload: bytes, hidden: Iterable[str]) -> SsmdError:
        """Return the error for a message that matches the rule of this index. `hidden`: what it must not show."""
        quote = printable(payload, LONGEST_QUOTE, hidden)
        if self._endings[which].refused:
            return SubscriptionRefused(f"the exchange has refused what was asked for: {quote}; {_REMEDY}")
        return Disconnected(f"the exchange ends the connection: {quote}; the next start connects again")

    def by_code(self, code: int | None, reason: str) -> SsmdError | None:
        """Return the error for a connection that was closed with this code; None when no rule names it."""
        for ending in self._endings:
            if ending.refused and code is not None and ending.close_code == code:
                said = f"code {code}" + (f", {reason}" if reason else "")
                text = f"the exchange has refused what was asked for, and closed the connection: {said}; {_REMEDY}"
                return SubscriptionRefused(text)
        return None
