"""The commands of a client of the simulated Kalshi, and the subscriptions that they make.

Source: https://docs.kalshi.com/asyncapi.yaml, the payloads of the commands and the requirements of each channel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from ssmd.sim.markets import Event, Markets
from ssmd.sim.refusal import Refusal

__all__ = ["CHANNELS", "Channel", "Command", "Subscription", "error", "flag", "parse", "reply", "tickers_of"]


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
    "market_lifecycle_v2": Channel("none"),
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


class Command(NamedTuple):
    """One command. With an id of 0 or None, the replies carry no id."""

    id: int | None
    name: str
    params: Any

    def require_params(self) -> dict[str, Any]:
        """Return the parameters. Raises Refusal when there are none, or they are not an object."""
        if self.params is None:
            raise Refusal(2)
        if not isinstance(self.params, dict):
            raise Refusal(1)
        return self.params


class Subscription:
    """One channel of one connection: its sid, its sequence, and the tickers it is limited to (None: all markets)."""

    __slots__ = ("channel", "muted", "seq", "sequenced", "sid", "tickers", "yes_price")

    def __init__(self, channel: str, sid: int, yes_price: bool) -> None:
        self.channel = channel
        self.sid = sid
        self.seq = 0
        self.muted = False
        self.sequenced = CHANNELS[channel].sequenced
        self.tickers: dict[str, None] | None = None
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


def parse(payload: bytes) -> Command:
    """Return the command in one message.

    Raises Refusal 1 for anything but a JSON object with an integer id, or none, and the name of a command.
    """
    try:
        value = json.loads(payload, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(1) from None
    if not isinstance(value, dict):
        raise Refusal(1)
    command_id, name = value.get("id"), value.get("cmd")
    if (command_id is not None and type(command_id) is not int) or not isinstance(name, str):
        raise Refusal(1)
    return Command(command_id, name, value.get("params"))


def tickers_of(params: dict[str, Any], channels: Sequence[str], markets: Markets) -> list[str] | None:
    """Return the tickers of the markets that a command names, by ticker or by id; None when it names none.

    Raises Refusal 11 when they are not named as they should be.
    """
    given = [key for key in ("market_ticker", "market_tickers", "market_id", "market_ids") if params.get(key)]
    if not given:
        return None
    if len(given) > 1:
        raise Refusal(11, f"{given[0]} and {given[1]} exclude each other")
    key = given[0]
    values = params[key] if key.endswith("s") else [params[key]]
    if not isinstance(values, list) or not all(map(_is_ticker, values)):
        raise Refusal(11, f"{key} must hold {'a list of strings' if key.endswith('s') else 'a string'}")
    if not key.startswith("market_id"):
        return values
    if list(channels) != ["ticker"]:
        raise Refusal(11, f"{key} is for the ticker channel only")
    found = [markets.by_id(value) for value in values]
    if None in found:
        raise Refusal(11, f"{key} holds an unknown id")
    return [ticker for ticker in found if ticker is not None]


def reply(kind: str, command_id: int | None, msg: Any) -> bytes:
    """Return a message of the type `kind` that is not about one subscription."""
    head: dict[str, Any] = {"type": kind}
    if command_id:
        head["id"] = command_id
    return json.dumps(head | {"msg": msg}, separators=(",", ":")).encode()


def error(refusal: Refusal, command_id: int | None) -> bytes:
    """Return the message that refuses a command."""
    return reply("error", command_id, {"code": refusal.code, "msg": refusal.text})


def _is_ticker(value: Any) -> bool:
    # Real tickers have dots and dashes, which the documented pattern does not allow, so it is not used here.
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isascii() and value.isprintable()


def flag(params: dict[str, Any], name: str) -> bool:
    """Return a true-or-false parameter; False when it is missing. Raises Refusal 11 for another value."""
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise Refusal(11, f"{name} must be true or false")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
