"""Markets or events in an order of time, from which a page is read without looking at the others."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Entry", "Index"]


class Entry(NamedTuple):
    """One of them, and its place in the order."""

    at_us: int
    ticker: str


class Index:
    """What was entered, by time. An entry stays until purge() removes it, also when it is out of date."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def enter(self, at_us: int, ticker: str) -> None:
        entry = Entry(at_us, ticker)
        if self._entries and entry < self._entries[-1]:
            insort(self._entries, entry)
        else:
            self._entries.append(entry)

    def newest_first(self, before: Entry, until_us: int = 0) -> Iterator[Entry]:
        """Yield the entries before that one, which need not be there, back to the time `until_us`."""
        entries = self._entries
        for place in range(bisect_left(entries, before) - 1, -1, -1):
            if entries[place].at_us < until_us:
                return
            yield entries[place]

    def purge(self, keeps: Callable[[Entry], bool]) -> None:
        """Remove what is not to be kept."""
        self._entries = list(filter(keeps, self._entries))
