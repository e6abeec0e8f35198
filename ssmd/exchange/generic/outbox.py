"""What one connection still has to send: replies first, then keep-alives, then the messages of the opening. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ssmd.pace import Pace

__all__ = ["Letter", "Outbox"]


class Letter(NamedTuple):
    """A message to send. Its placeholders are filled in when it is sent."""

    send: Any
    answers: bytes | None = None
    """The message that it answers; None when it answers none."""
    place: int | None = None
    """Its index among the messages of the opening; None when it is none of them."""
    name: str = ""
    """Where the description has it, for people."""


class Outbox:
    """`per_second`: how many messages a second may be sent; None for no limit."""

    def __init__(self, opening: Sequence[Letter], per_second: float | None) -> None:
        self._pace = Pace(per_second)
        self.is_limited = self._pace.is_limited
        self.first = opening[: self._pace.most]
        """The messages to send at once after the connection."""
        self._uncounted = len(self.first)
        self._opening = deque(opening[self._pace.most :])
        self.replies: deque[Letter] = deque()
        self.keep_alives: deque[Letter] = deque()

    @property
    def unsent(self) -> set[int]:
        """The places of the messages of the opening that are still to be sent."""
        return {letter.place for letter in self._opening if letter.place is not None}

    def __len__(self) -> int:
        return len(self._opening)

    def take(self, now_ms: int) -> Iterator[Letter]:
        """Yield what may be sent now; `now_ms`: a time that never goes back.

        The messages of `first` count as sent at the first call.
        """
        self._pace.sent(now_ms, self._uncounted)
        self._uncounted = 0
        for waiting in (self.replies, self.keep_alives, self._opening):
            while waiting and self._pace.allowed(now_ms):
                self._pace.sent(now_ms)
                yield waiting.popleft()

    def wait_ms(self, now_ms: int) -> float | None:
        """Return in how many ms the next message may be sent; None when none waits."""
        if self._uncounted and self._opening:
            return 0.0
        return self._pace.wait_ms(now_ms) if self.replies or self.keep_alives or self._opening else None
