"""When the keep-alives of a description are due. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssmd.exchange.generic.description import KeepAlive

__all__ = ["KeepAlives"]


class KeepAlives:
    """All times are in ms since the connection, by a clock that never goes back."""

    def __init__(self, keep_alives: Sequence[KeepAlive]) -> None:
        self._all = keep_alives
        self._due_ms = [1000 * each.every_seconds for each in keep_alives]

    def heard(self, now_ms: int) -> None:
        """Record that something has come, not later than now."""
        for index, each in enumerate(self._all):
            if each.only_when_quiet:
                self._due_ms[index] = now_ms + 1000 * each.every_seconds

    def due(self, now_ms: int) -> Iterator[int]:
        """Yield the indexes of those that are to be sent now."""
        for index, each in enumerate(self._all):
            if self._due_ms[index] <= now_ms:
                every_ms = 1000 * each.every_seconds
                # When the process has paused, only one is sent of those that it has missed.
                late_ms = now_ms - self._due_ms[index]
                self._due_ms[index] += every_ms * (1 + late_ms // every_ms)
                yield index

    def wait_ms(self, now_ms: int) -> float | None:
        """Return in how many ms the next is due; None without any."""
        return max(0.0, min(self._due_ms) - now_ms) if self._due_ms else None
