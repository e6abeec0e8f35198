"""Work is ended by its time, whatever it waits for, and what it returns or raises is that of the call."""

from __future__ import annotations

import time

import gevent.event
import pytest

from ssmd.resolver.in_time import in_time


def test_what_it_returns_and_raises_is_handed_on() -> None:
    assert in_time(lambda: 7, time.monotonic() + 60) == 7
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 / 0, time.monotonic() + 60)


def test_the_time_ends_it() -> None:
    end, begin = gevent.event.Event(), time.monotonic()
    with pytest.raises(TimeoutError):
        in_time(end.wait, begin + 0.2)
    assert time.monotonic() - begin >= 0.2
    end.set()


def test_without_any_time_it_does_not_wait() -> None:
    end = gevent.event.Event()
    with pytest.raises(TimeoutError):
        in_time(end.wait, time.monotonic() - 1)
    end.set()
