"""The pace of requests, with times that the test sets."""

from __future__ import annotations

import pytest

from ssmd.connector.rest.pacing import Backoff, Bucket


def made_at(bucket: Bucket, seconds: float) -> list[float]:
    """Return when requests are made that are always due."""
    now, made = 0.0, []
    while now < seconds:
        wait = bucket.wait(now)
        if wait:
            now += wait
        else:
            made.append(now)
    return made


@pytest.mark.parametrize(("per_second", "count"), [(4, 4 + 40), (0.5, 1 + 5), (1, 1 + 10), (2.5, 2 + 25)])
def test_so_many_at_once_and_then_so_many_a_second(per_second: float, count: int) -> None:
    made = made_at(Bucket(per_second), 10)
    assert abs(len(made) - count) <= 1
    for begin in range(9):
        within = [at for at in made if begin < at <= begin + 1]
        assert len(within) <= per_second + 1


def test_without_a_limit_nothing_waits_but_a_pause() -> None:
    bucket = Bucket(None)
    assert [bucket.wait(1.0) for _ in range(1000)] == [0.0] * 1000
    bucket.pause(5.0)
    bucket.pause(3.0)
    assert (bucket.wait(1.0), bucket.wait(5.0)) == (4.0, 0.0)


def test_the_pauses_after_failures() -> None:
    backoff = Backoff()
    assert backoff.since is None
    assert [backoff.failed(at) for at in (3.0, 4.0, 6.0)] == [1.0, 2.0, 4.0]
    assert backoff.since == 3.0
    assert [backoff.failed(0.0) for _ in range(5)] == [8.0, 16.0, 32.0, 60.0, 60.0]
    backoff.succeeded()
    assert backoff.failed(9.0) == 1.0
    assert [backoff.since] == [9.0]
