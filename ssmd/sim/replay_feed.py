"""The feed of a recording: its messages at their own pace, or as fast as the client takes them."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

from ssmd.reading.messages import Batch
from ssmd.sim.feeds import Ending, Pace
from ssmd.sim.refusal import text_of
from ssmd.store.head import received_ns

__all__ = ["Replay"]

_CHUNK_BYTES = 256 * 1024


class Replay:
    """Recorded messages and nothing else: no replies, no snapshots, no numbers of its own.

    Messages with a time keep their distances, divided by `speed` (0: flat out). Those without one are sent at `rate`.
    """

    def __init__(self, batches: Iterator[Batch], rate: float, speed: float, *, waits_for_command: bool) -> None:
        self._batches = batches
        self._pace = Pace(rate)
        self._speed = speed
        self._sent: Sequence[bytes] = ()
        self._times: Sequence[int] = ()
        """When the messages of the batch were received, ns; empty when that does not matter."""
        self._is_paced = False
        """Whether the messages of the batch are sent at the rate."""
        self._at = 0
        """How many messages of the batch are sent."""
        self._load()
        self._first_ns = self._times[0] if self._times else 0
        self._start: float | None = None
        self._waiting = waits_for_command
        self._frozen = False

    def _load(self) -> None:
        """Load the next batch when all messages of the current one are sent; there is none at the end."""
        if self._at < len(self._sent):
            return
        batch = next(self._batches, None)
        self._sent, self._at, self._times, self._is_paced = (), 0, (), False
        if batch is not None:
            self._sent, self._is_paced = batch.sent, batch.lines is None
            # To read the times costs more than to send the messages.
            self._times = list(map(received_ns, batch.lines)) if batch.lines is not None and self._speed else ()

    @property
    def ending(self) -> Ending | None:
        return Ending(1000, "end of recording") if not self._sent and not self._frozen else None

    def receive(self, payload: bytes) -> list[bytes]:
        self._waiting = False
        return []

    def control(self, opcode: int, payload: bytes) -> None:
        """A recording does not answer."""

    def take(self, now: float, limit: int) -> list[bytes]:
        if self._waiting or self._frozen:
            return []
        if self._start is None:
            self._start = now
        count = self._pace.due(now, limit) if self._is_paced else limit
        taken: list[bytes] = []
        room = _CHUNK_BYTES
        while room > 0 and (part := self._due(now, count - len(taken), room)):
            taken += part
            room -= sum(map(len, part))
            self._at += len(part)
            self._load()
        self._pace.count(len(taken))
        return taken

    def _due(self, now: float, count: int, room: int) -> Sequence[bytes]:
        """Return the messages of the batch that are due: `count` at most, and none after `room` bytes are full."""
        end = self._at + count
        if self._times:
            late = (at for at in range(self._at, min(end, len(self._times))) if self._due_at(self._times[at]) > now)
            end = next(late, end)
        part = self._sent[self._at : end]
        sizes = list(itertools.accumulate(map(len, part)))
        return part[: bisect.bisect_left(sizes, room) + 1]

    def wait(self, now: float) -> float:
        if self._waiting or self._frozen or not self._sent:
            return math.inf
        if self._is_paced:
            return self._pace.wait(now)
        return max(0.0, self._due_at(self._times[self._at]) - now) if self._times else 0.0

    def _due_at(self, ns: int) -> float:
        if self._start is None:
            return 0.0
        return self._start + (ns - self._first_ns) / 1e9 / self._speed

    def lose(self, count: int, channel: str) -> None:
        while count and self._sent:
            lost = min(count, len(self._sent) - self._at)
            self._at += lost
            count -= lost
            self._load()

    def mute(self, channel: str) -> None:
        """A recording has no channels, and limits.require_made_up() has refused such a fault."""

    def fail(self, code: int) -> bytes:
        return b'{"type":"error","sid":1,"msg":{"code":%d,"msg":"%b"}}\n' % (code, text_of(code).encode())

    def freeze(self) -> None:
        self._frozen = True

    def notice(self) -> None:
        """A recording has no such notice of its own."""
