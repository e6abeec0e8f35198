"""The contract of an observer, which looks at the messages in the collector's own process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ssmd.contracts.writer import Note, Reads

__all__ = ["Observer"]


class Observer(Protocol):
    """Looks at what is received, and changes nothing: a check against a schema, what learns the shape of messages, the
    live page. A run has only those that its environment asks for, and the page's only while somebody looks at it;
    without any, there is no cost. One that raises all the same is off from then on, and the run goes on.
    """

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        """Look at messages that have just been queued for the writer, in wire order. Never raises, never waits.

        The reader waits for it, so its time is taken from the collection. It may keep payloads until notes() is called,
        but no more than 512 KiB of them: each may have 16 MiB.
        """

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        """Return what belongs into the ledger since the last call. Called once a second, at the end of the run, and
        with the last nanosecond of a day before the first message of the next day.

        A note with time `now_ns` and place 0 belongs after all that was observed. `end`: nothing follows.
        """
