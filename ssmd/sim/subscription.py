"""The subscriptions of one client of the simulated Kalshi, and the messages about them.

Source: https://docs.kalshi.com/asyncapi.yaml, the requirements of each channel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from ssmd.sim.event import LIFECYCLE, Event
from ssmd.sim.pool import Pool

__all__ = ["CHANNELS", "Channel", "Subscription", "reply"]


class Channel(NamedTuple):
    """The rules for subscriptions to one channel."""

    tickers: str = "optional"
    """Whether market tickers are "required", "optional" or ignored ("none")."""
    sequenced: bool = True
    """Whether its messages are numbered in the field `seq`."""
    private: bool = False
    """Whether it needs a permission that a simulated key does not have."""


CHANNELS: dict[str, Channel] = {
    "orderbook_delta": Channel("required"),
    "ticker": Channel(sequenced=False),
    "trade": Channel(),
    LIFECYCLE: Channel("none"),
    # Accepted, but nothing is ever sent on it: the simulator has no multivariate markets.
    "multivariate_market_lifecycle": Channel("none"),
    "fill": Channel(private=True),
    "market_positions": Channel(private=True),
    "user_orders": Channel(private=True),
    "order_group_updates": Channel(private=True),
    "communications": Channel(private=True),
    "cfbenchmarks_value": Channel(private=True),
    "cfbenchmarks_value_5hz": Channel(private=True),
    "pyth_value": Channel(private=True),
}


class Subscription:
    """One channel of one connection: its sid, its sequence, and the tickers it is limited to (None: all markets)."""

    __slots__ = ("channel", "muted", "seq", "sequenced", "sid", "tickers", "yes_price")

    def __init__(self, channel: str, sid: int, yes_price: bool) -> None:
        self.channel = channel
        self.sid = sid
        self.seq = 0
        self.muted = False
        self.sequenced = CHANNELS[channel].sequenced
        self.tickers: Pool | None = None
        self.yes_price = yes_price

    def wants(self, ticker: str | None) -> bool:
        """Return whether the channel has this market; a ticker of None stands for no market in particular."""
        return self.tickers is None or ticker is None or ticker in self.tickers

    def number(self) -> int:
        """Return the next number of the sequence. Each frame of the sid takes one, replies included."""
        self.seq += 1
        return self.seq

    def frame(self, event: Event, command_id: int | None = None, *, numbered: bool = True) -> bytes:
        """Return the message that sends an event on this subscription.

        One that is not `numbered` repeats the number of the message before it.
        """
        msg = event.yes_msg if self.yes_price else event.msg
        answers = f'"id":{command_id},' if command_id else ""
        if self.sequenced:
            seq = self.number() if numbered else self.seq
            return f'{{"type":"{event.type}",{answers}"sid":{self.sid},"seq":{seq},"msg":{msg}}}'.encode()
        return f'{{"type":"{event.type}",{answers}"sid":{self.sid},"msg":{msg}}}'.encode()

    def frames(self, events: Iterable[Event]) -> list[bytes]:
        """Return the messages that send what has happened; none on a muted channel."""
        return [] if self.muted else [self.frame(event) for event in events]

    def reply(self, kind: str, command_id: int | None, msg: Any = None) -> bytes:
        """Return a message of the type `kind` about this subscription."""
        frame: dict[str, Any] = {"type": kind}
        if command_id:
            frame["id"] = command_id
        frame["sid"] = self.sid
        if self.sequenced:
            frame["seq"] = self.number()
        if msg is not None:
            frame["msg"] = msg
        return json.dumps(frame, separators=(",", ":")).encode()

    def acknowledge(self, command_id: int | None, terse: bool) -> bytes:
        """Return the `ok` to a change; it lists all markets of the subscription, unless the client wants it `terse`."""
        return self.reply("ok", command_id, {} if terse else {"market_tickers": list(self.tickers or ())})


def reply(kind: str, command_id: int | None, msg: Any) -> bytes:
    """Return a message of the type `kind` that is not about one subscription."""
    head: dict[str, Any] = {"type": kind}
    if command_id:
        head["id"] = command_id
    return json.dumps(head | {"msg": msg}, separators=(",", ":")).encode()
