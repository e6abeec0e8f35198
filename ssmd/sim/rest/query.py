"""The parameters of a request: what they may be, and where a page begins. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import NamedTuple
from urllib.parse import parse_qsl

from ssmd.sim.births import SECOND
from ssmd.sim.index import Entry

__all__ = ["LAST_US", "BadRequest", "Page", "Query", "take_page"]

LAST_US = 2**62
"""Later than any time."""

_FROM_THE_START = Entry(LAST_US, "")


class BadRequest(Exception):
    """Raised for parameters that are answered with 400."""


class Page(NamedTuple):
    """One page of a listing."""

    tickers: list[str]
    cursor: str
    """For the next page; empty on the last page."""


class Query:
    """The parameters of one request. Those that the exchange does not have are ignored."""

    def __init__(self, text: str) -> None:
        self._given = dict(parse_qsl(text))

    def given(self, names: Iterable[str]) -> list[str]:
        """Return those of the parameters that the request has."""
        return [name for name in names if name in self._given]

    def text(self, name: str) -> str:
        return self._given.get(name, "")

    def flag(self, name: str) -> bool:
        return self.text(name) == "true"

    def names(self, name: str) -> list[str]:
        """Return a list of names, which commas separate."""
        return [each for each in self.text(name).split(",") if each]

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Return a word; empty when it is not given. Raises BadRequest for another word, and for several."""
        value = self.text(name)
        if value and value not in choices:
            raise BadRequest(f"{name} must be one of {', '.join(choices)}")
        return value

    def limit(self, default: int, most: int) -> int:
        """Return how many rows a page has. Raises BadRequest."""
        return self._integer("limit", most) or default

    def seconds_us(self, name: str, default: int) -> int:
        """Return a time, which is given in Unix seconds. Raises BadRequest."""
        return self._integer(name, 10**11) * SECOND if name in self._given else default

    def span_us(self, name: str) -> tuple[int, int]:
        """Return the first and the last time that min_{name}_ts and max_{name}_ts allow. Raises BadRequest."""
        return self.seconds_us(f"min_{name}_ts", 0), self.seconds_us(f"max_{name}_ts", LAST_US)

    def before(self) -> Entry:
        """Return the entry before which the page begins. A cursor that is none is passed over, as Kalshi does."""
        try:
            at_us, _, ticker = base64.b64decode(self.text("cursor"), validate=True).decode().partition("/")
            return Entry(int(at_us), ticker)
        except (binascii.Error, ValueError):
            return _FROM_THE_START

    def _integer(self, name: str, most: int) -> int:
        text = self.text(name) or "0"
        if not (text.isascii() and text.isdigit() and len(text) < 18 and int(text) <= most):
            raise BadRequest(f"{name} must be a whole number up to {most}")
        return int(text)


def take_page(entries: Iterator[Entry], limit: int) -> Page:
    """Return the next page of the entries, which end with the listing."""
    taken = list(islice(entries, limit))
    cursor = ""
    if taken and next(entries, None) is not None:
        cursor = base64.b64encode(f"{taken[-1].at_us}/{taken[-1].ticker}".encode()).decode()
    return Page([entry.ticker for entry in taken], cursor)
