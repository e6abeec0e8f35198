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
