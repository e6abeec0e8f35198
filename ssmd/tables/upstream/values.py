"""How the values of messages become values of columns: as aaronwald/ssmd does it, and exactly. Pure.

Its columns have whole cents and whole contracts: a price is multiplied by 100 as a double and rounded, half away from
zero, and a count is cut. The exact columns keep the decimals as the exchange writes them.
https://github.com/aaronwald/ssmd/blob/main/ssmd-rust/crates/ssmd-schemas/src/kalshi.rs
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["Take", "cents", "decimal", "first_of", "flag", "seconds", "text", "whole", "whole_of", "written_out"]

Message = Mapping[str, Any]
Take = Callable[[Message], Any]
"""Takes a value out of an object; None where there is none."""

_INT64 = range(-(2**63), 2**63)


def text(name: str) -> Take:
    def take(message: Message) -> str | None:
        value = message.get(name)
        return value if isinstance(value, str) else None

    return take


def whole(name: str) -> Take:
    """An integer that fits into 64 bits."""

    def take(message: Message) -> int | None:
        value = message.get(name)
        return value if type(value) is int and value in _INT64 else None

    return take


def flag(name: str) -> Take:
    def take(message: Message) -> bool | None:
        value = message.get(name)
        return value if isinstance(value, bool) else None

    return take


def first_of(*takes: Take) -> Take:
    """The first value that there is."""

    def take(message: Message) -> Any:
        return next((value for one in takes if (value := one(message)) is not None), None)

    return take


def seconds(name: str, per_second: int = 1) -> Take:
    """A Unix time in whole seconds, or finer, as microseconds of a whole second."""
    integer = whole(name)

    def take(message: Message) -> int | None:
        value: int | None = integer(message)
        micros = None if value is None else value // per_second * 1_000_000
        return micros if micros is None or micros in _INT64 else None

    return take


def cents(name: str) -> Take:
    """A decimal string of dollars as whole cents, rounded."""

    def take(message: Message) -> int | None:
        value = _double(message.get(name))
        return None if value is None else _rounded(value * 100.0)

    return take


def whole_of(name: str) -> Take:
    """A decimal string as a whole number, cut."""

    def take(message: Message) -> int | None:
        value = _double(message.get(name))
        return None if value is None else int(value)

    return take


def decimal(name: str, digits: int, places: int) -> Take:
    """A decimal string, exactly; None for one that does not fit into DECIMAL(digits, places)."""
    most = Decimal(10) ** (digits - places)

    def take(message: Message) -> Decimal | None:
        value = message.get(name)
        if not isinstance(value, str):
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            return None
        exponent = number.as_tuple().exponent
        fits = isinstance(exponent, int) and exponent >= -places and abs(number) < most
        return number if fits else None

    return take


def written_out(name: str) -> Take:
    """An object or any other value as JSON text."""

    def take(message: Message) -> str | None:
        value = message.get(name)
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    return take


def _double(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 2**53 else None


def _rounded(value: float) -> int:
    """Round half away from zero."""
    cut = math.trunc(value)
    return cut + (1 if value > 0 else -1) if abs(value - cut) >= 0.5 else cut
