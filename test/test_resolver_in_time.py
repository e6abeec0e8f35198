"""Work is ended by its time, whatever it waits for, and what it returns or raises is that of the call."""

from __future__ import annotations

import os
import time
from pathlib import Path

import gevent
import gevent.event
import pytest

from ssmd.resolver.in_time import LEAST_SECONDS, disk_in_time, in_time


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


def test_what_work_with_files_returns_and_raises_is_handed_on(tmp_path: Path) -> None:
    for until in (time.monotonic() + 60, 0.0):
        assert disk_in_time(lambda: tmp_path.name, until) == tmp_path.name
        with pytest.raises(FileNotFoundError):
            disk_in_time((tmp_path / "none").read_text, until)


def test_a_call_that_does_not_return_holds_nobody_up(tmp_path: Path) -> None:
    """To open a pipe to which nobody writes is such a call, and gevent cannot leave it."""
    os.mkfifo(tmp_path / "pipe")
    begin, others = time.monotonic(), gevent.spawn(time.monotonic)
    with pytest.raises(TimeoutError):
        disk_in_time((tmp_path / "pipe").read_text, begin + LEAST_SECONDS)
    assert time.monotonic() - begin >= LEAST_SECONDS
    assert others.get(block=False) - begin < LEAST_SECONDS
    # The thread ends when it can, and nobody is disturbed.
    os.close(os.open(tmp_path / "pipe", os.O_WRONLY))
