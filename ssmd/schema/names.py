"""How JSON spells the names of a definition, whose language has rules of its own for them. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

__all__ = ["of_types", "of_values", "snake_cases"]

_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBERS = re.compile(r"(?<=[a-zA-Z])(?=[0-9])")
_MOST_NUMBERS = 6


def snake_cases(name: str) -> list[str]:
    """Return how a name in camelCase may be spelled with underscores. There may be one before a number, or none.

    `avg60sData`: `avg60s_data`, `avg_60s_data`.
    """
    words = _CAPITALS.sub("_", name).lower()
    places = [match.start() for match in itertools.islice(_NUMBERS.finditer(words), _MOST_NUMBERS)]
    spellings = []
    for chosen in itertools.product((False, True), repeat=len(places)):
        cuts = [0, *itertools.compress(places, chosen), len(words)]
        spellings.append("_".join(words[begin:end] for begin, end in itertools.pairwise(cuts)))
    return spellings


def of_types(name: str) -> list[str]:
    """Return the types of messages that a definition's name may stand for.

    `OrderbookDelta`: `OrderbookDelta`, `orderbookDelta`, `orderbook_delta`.
    """
    return _distinct([name, name[:1].lower() + name[1:], *snake_cases(name)])


def of_values(name: str) -> list[str]:
    """Return the texts that the name of a value of Cap'n Proto may stand for: `takerAtCross`, `taker_at_cross`,
    `TAKER_AT_CROSS`.
    """
    spellings = snake_cases(name)
    return _distinct([name, *spellings, *(spelling.upper() for spelling in spellings)])


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
