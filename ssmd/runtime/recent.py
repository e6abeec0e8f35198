"""The last 15 minutes of a run: what came in them, by channel, and how old it was. It takes a sample once a second."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gevent.event import Event

from ssmd.runtime.histogram import Histogram
from ssmd.runtime.shipping import shipping_of
from ssmd.runtime.status import Status

__all__ = [
    "AGE_SECONDS",
    "BEHIND_BYTES",
    "CHART_SECONDS",
    "QUEUE",
    "STEP_SECONDS",
    "Ages",
    "Rates",
    "Recent",
    "companion",
    "engine",
]

CHART_SECONDS = 900
STEP_SECONDS = 10
"""How far apart the points of a chart are."""
RATE_SECONDS = 5
"""The present rate is the mean over this time."""
_LATE_SECONDS = 60
"""A sample that is older says nothing of the present."""
AGE_SECONDS = 60
"""The present age of messages is that of this time."""
DAY_SECONDS = 86_400
BEHIND_BYTES = 8 * 1024 * 1024
"""With more in the queue the disk is behind."""
QUEUE = "queue"
_FULL_AFTER_SECONDS = 60
"""How much of a day has to be known before its rate says anything of the disk."""


class Rates(NamedTuple):
    """What came in a stretch of time, in each second of it."""

    messages: float
    bytes: float
    """Of the messages, without framing."""
    channels: Mapping[str, float]
    """Messages by channel, of those whose messages are counted."""


class Ages(NamedTuple):
    """From the exchange's time of a message to its receipt, in seconds."""

    p50: float
    p99: float


class _Sample(NamedTuple):
    at: float
    messages: int
    bytes: int
    channels: Mapping[str, int]
    ages: Sequence[int]


class Recent:
    """Samples a run once a second; keeps the Service contract of contracts/service.py.

    `age`: the histogram of how old messages are. `monotonic`: returns seconds; `clock`: ns since the epoch. All counts
    are those of /metrics.
    """

    def __init__(
        self,
        status: Status,
        age: Histogram,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._status = status
        self._age = age
        self._monotonic = monotonic
        self._clock = clock
        self._since: dict[str, int] = {}
        self._seconds: deque[_Sample] = deque(maxlen=RATE_SECONDS + 1)
        self._steps: deque[_Sample] = deque(maxlen=CHART_SECONDS // STEP_SECONDS + 1)
        self._day = ""
        self._day_began = (0.0, 0)
        self._stopped = Event()

    def serve(self) -> None:
        self.sample()
        while not self._stopped.wait(1):
            self.sample()

    def stop(self) -> None:
        self._stopped.set()

    def sample(self) -> None:
        """Take a sample; called once a second."""
        status, now = self._status, self._monotonic()
        counted = {state.channel: state.numbered for state in status.channels or () if state.numbered is not None}
        sample = _Sample(now, status.messages, status.received_bytes, counted, self._age.counts())
        self._seconds.append(sample)
        if not self._steps or now - self._steps[-1].at >= STEP_SECONDS - 0.5:
            self._steps.append(sample)
        if status.day != self._day:
            self._day, self._day_began = status.day, (now, status.written_bytes)
        if late := [*_late(status)]:
            now_ns = self._clock()
            self._since = {what: self._since.get(what, now_ns) for what in late}
        else:
            self._since = {}

    def late_since(self, what: str) -> int | None:
        """Return since when something is late, in ns since the epoch, as of the last sample; None while it is not.

        `what`: QUEUE, which is late with more than BEHIND_BYTES; companion() or engine(), while they do not work.
        """
        return self._since.get(what)

    def rates(self) -> Rates | None:
        """Return the present rates; None before the second sample, and when no more samples are taken."""
        seconds = self._seconds
        if len(seconds) < 2 or self._monotonic() - seconds[-1].at > _LATE_SECONDS:
            return None
        return _between(seconds[0], seconds[-1])

    def chart(self) -> list[tuple[float, Rates]]:
        """Return the rates of each step, the oldest first, each with how many seconds ago it ended."""
        steps, now = [*self._steps], self._monotonic()
        return [(now - later.at, _between(earlier, later)) for earlier, later in itertools.pairwise(steps)]

    def ages(self) -> Ages | None:
        """Return how old the messages of the last AGE_SECONDS were; None when none has a time of the exchange."""
        if not self._seconds:
            return None
        last = self._seconds[-1]
        since = [step for step in self._steps if last.at - step.at <= AGE_SECONDS + STEP_SECONDS]
        before = since[0].ages if since and since[0] is not last else [0] * len(last.ages)
        counts = [new - old for new, old in zip(last.ages, before, strict=True)]
        if not sum(counts):
            return None
        return Ages(self._age.quantile(counts, 0.5), self._age.quantile(counts, 0.99))

    def bytes_per_day(self) -> float | None:
        """Return how much a whole day writes at the mean rate of the present one, as far as this run has seen it; None
        within the first minute.
        """
        began, written = self._day_began
        seconds = self._monotonic() - began
        if not self._day or seconds < _FULL_AFTER_SECONDS:
            return None
        return (self._status.written_bytes - written) / seconds * DAY_SECONDS


def companion(name: str) -> str:
    return f"companion {name}"


def engine(name: str) -> str:
    """Return what the companion of this name copies to."""
    return f"engine of {name}"


def _late(status: Status) -> Iterator[str]:
    if status.queue_bytes() > BEHIND_BYTES:
        yield QUEUE
    for name, state in status.companions.items():
        if not state.up:
            yield companion(name)
        if (shipping := shipping_of(status.companions, name)) is not None and not shipping.up:
            yield engine(name)


def _between(earlier: _Sample, later: _Sample) -> Rates:
    seconds = max(later.at - earlier.at, 1e-3)
    return Rates(
        (later.messages - earlier.messages) / seconds,
        (later.bytes - earlier.bytes) / seconds,
        # A channel's first sample may follow thousands of messages; and a counter may begin anew.
        {
            name: max(0, count - earlier.channels.get(name, count)) / seconds
            for name, count in later.channels.items()
        },
    )
