"""The commands of a client of the simulated Kalshi.

Source: https://docs.kalshi.com/asyncapi.yaml, the payloads of the commands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from ssmd.sim.markets import Markets
from ssmd.sim.refusal import Refusal
from ssmd.sim.subscription import reply

__all__ = ["Command", "error", "flag", "parse", "tickers_of"]


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
