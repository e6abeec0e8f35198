"""The histogram: the same series as the library's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Library

from ssmd.runtime.histogram import Histogram

BOUNDS = (0.0, 0.001, 0.5, 1.0, 60.0)


@given(st.lists(st.sampled_from(BOUNDS) | st.floats(0, 1e6)))
def test_it_shows_what_the_library_would(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    own = Histogram("ssmd_age_seconds", "Age.", BOUNDS)
    ours.register(own)
    library = Library("ssmd_age_seconds", "Age.", buckets=BOUNDS, registry=theirs)
    for value in values:
        own.observe(value)
        library.observe(value)
    shown = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == shown


def test_quantiles_are_estimated_within_their_bucket():
    histogram = Histogram("age", "", (0.0, 1.0, 2.0))
    for value in [0.0] * 50 + [0.5] * 25 + [1.5] * 25:
        histogram.observe(value)
    counts = histogram.counts()
    assert counts == (50, 25, 25, 0)
    assert [histogram.quantile(counts, part) for part in (0.25, 0.5, 0.75, 0.875, 1.0)] == [0, 0, 1, 1.5, 2]


def test_what_is_above_all_bounds_counts_as_the_last():
    histogram = Histogram("age", "", (0.0, 1.0, 2.0))
    histogram.observe(77)
    assert histogram.quantile(histogram.counts(), 0.5) == 2
