"""How many markets a subscription at Kalshi has room for. Pure.

There is a limit (error 26, https://docs.kalshi.com/asyncapi.yaml), but its number is not published, and a command that
would exceed it is refused as a whole. So the room is found out with smaller and smaller commands.
"""

from __future__ import annotations

__all__ = ["RETRY_MS", "Room"]

RETRY_MS = 600_000
"""How often one more market is tried when there is no room."""


class Room:
    """The room of one subscription. `most`: how many markets one command names at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._too_many: int | None = None
        """So many more markets are too many; None when no limit is known."""
        self._retry_ms: int | None = None
        """When the limit counts as unknown again, if there is no room."""
        self._is_trying = False

    @property
    def is_full(self) -> bool:
        return self._too_many == 1

    @property
    def is_searched(self) -> bool:
        """Whether the room is being found out: then each command waits for the answer to the one before it."""
        return self._is_trying or self._too_many is not None

    @property
    def portion(self) -> int:
        """How many markets the next command may add; 0 for none."""
        if self._is_trying:
            return 1
        return self._most if self._too_many is None else min(self._most, self._too_many // 2)

    def pass_time(self, passed_ms: int) -> None:
        """Let one more market be tried now and then; `passed_ms`: a time that never goes back, in ms."""
        if not self.is_full:
            self._retry_ms = None
        elif self._retry_ms is None:
            self._retry_ms = passed_ms + RETRY_MS
        elif passed_ms >= self._retry_ms:
            self._too_many, self._is_trying = None, True

    def refused(self, markets: int) -> None:
        """Record that a command for so many markets was refused because of the limit."""
        self._is_trying = False
        self._too_many = markets if self._too_many is None else max(1, min(self._too_many, markets))

    def added(self, markets: int) -> None:
        """Record that so many markets were added."""
        self._is_trying = False
        if self._too_many is not None:
            self._too_many = max(1, self._too_many - markets)

    def removed(self, markets: int) -> None:
        """Record that so many markets were removed."""
        if self._too_many is not None:
            self._too_many += markets
