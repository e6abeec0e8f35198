"""Names of markets of which some are open: one of the open ones can be chosen at once, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Pool"]

_NOT_OPEN = -1


class Pool:
    """The markets of a subscription or of the exchange, each once. Every operation takes the same time for any number.

    `open`: those that are open, in no order that means anything.
    """

    __slots__ = ("_places", "open")

    def __init__(self) -> None:
        self.open: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        """Iterate over all names in the order in which they were added."""
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def add(self, name: str, *, is_open: bool) -> None:
        """Add a name that is not in the pool."""
        self._places[name] = _NOT_OPEN
        if is_open:
            self.opened(name)

    def remove(self, name: str) -> None:
        """Remove a name; one that is not in the pool is passed over."""
        self.closed(name)
        self._places.pop(name, None)

    def opened(self, name: str) -> None:
        """Record that a market is open; one that is open already, or not in the pool, is passed over."""
        if self._places.get(name) == _NOT_OPEN:
            self._places[name] = len(self.open)
            self.open.append(name)

    def closed(self, name: str) -> None:
        """Record that a market is not open; one that is not open, or not in the pool, is passed over."""
        place = self._places.get(name, _NOT_OPEN)
        if place == _NOT_OPEN:
            return
        # The last one takes its place, so that nothing else moves.
        last = self.open.pop()
        if last != name:
            self.open[place] = last
            self._places[last] = place
        self._places[name] = _NOT_OPEN
