"""The pause after Kalshi has said that commands come too fast. Pure."""

from __future__ import annotations

__all__ = ["COMMANDS_AT_ONCE", "COMMANDS_PER_SECOND", "LONGEST_SECONDS", "Pause"]

COMMANDS_PER_SECOND = 10
"""How many commands are sent in a second after a refusal, until there was none for a long time."""
COMMANDS_AT_ONCE = 3
"""How many of them together, so that none waits long for the next."""
LONGEST_SECONDS = 60


class Pause:
    """The pause doubles with each refusal, from 1 s up to LONGEST_SECONDS.

    After twice LONGEST_SECONDS without a refusal it is 1 s again, or earlier by accepted().
    """

    def __init__(self) -> None:
        self.seconds = 0
        """The length of the last pause; 0 when no command was refused, or none for a long time."""
        self._is_new = False
        self._passed_ms = self._until_ms = 0

    def refused(self) -> bool:
        """Record a refusal; return whether it begins a longer pause. Further refusals within a pause do not."""
        if self._is_new or self._passed_ms < self._until_ms:
            return False
        self._is_new = True
        self.seconds = min(LONGEST_SECONDS, 2 * self.seconds or 1)
        return True

    def accepted(self) -> None:
        """Record that something was accepted: the next pause is not longer than half of the last one."""
        if not self._is_new:
            self.seconds //= 2

    def is_over(self, passed_ms: int) -> bool:
        """Return whether commands may be sent; `passed_ms`: a time that never goes back, in ms."""
        self._passed_ms = passed_ms
        if self._is_new:
            self._is_new = False
            self._until_ms = self._passed_ms + 1000 * self.seconds
        elif self._passed_ms >= self._until_ms + 2000 * LONGEST_SECONDS:
            self.seconds = 0
        return self._passed_ms >= self._until_ms
