"""What was asked for on a channel, and how much of it comes: plain data, for the probes and the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssmd.runtime.reason import Reason

__all__ = ["ChannelStatus"]


@dataclass(frozen=True)
class ChannelStatus:
    """What was asked for on a channel, in all subscriptions together, and how much of it comes."""

    channel: str
    asked: int | None
    """How many markets were asked for; None when all were."""
    confirmed_markets: int | None
    """How many of them the exchange has confirmed; None when it does not say, or when all were asked for."""
    heard: int | None
    """From how many of them a message has come; None when all were asked for, or when that is not known."""
    confirmed: bool | None
    """The exchange has confirmed all that was asked for; None when its answers are not known."""
    silent: bool
    """No message has come for too long."""
    last_ns: int | None
    """When its last message was received, ns since the epoch, to the second; None before the first."""
    books_pending: int | None
    """How many order books are not known, while their snapshots are still to come; None without order books."""
    books_missing: int | None
    """How many order books the exchange does not send, although it was asked; None without order books."""
    may_be_silent: bool
    """It may have nothing to send for days. Its markets are not shown: it may be private to an account."""
    missing: Sequence[Reason] = ()
    """The reasons why something that was asked for is not coming, but for a refusal; empty when everything is."""
    numbered: int | None = None
    """See ChannelState."""

    @property
    def some_unconfirmed(self) -> str:
        """How many of several markets are not confirmed, in words; empty when that is not known, or none is."""
        if self.asked is None or self.confirmed_markets is None or not self.confirmed_markets < self.asked:
            return ""
        return f"{self.asked - self.confirmed_markets} of {self.asked} markets not confirmed"
