"""What comes before a run is done in time, or the run begins without it."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from ssmd.errors import OutputError
from ssmd.runtime import preparing
from ssmd.runtime.preparing import prepare
from ssmd.runtime.status import Status


class Companion:
    """Ends with an exit code, or never by itself."""

    def __init__(self, work: Callable[[Companion], int | None], error: str | None = None) -> None:
        self._work = work
        self.error = error
        self.killed = Event()

    def run_once(self) -> int | None:
        return self._work(self)

    def kill(self) -> None:
        self.killed.set()


def never(companion: Companion) -> int:
    companion.killed.wait()
    return -9


def test_what_is_done_leaves_no_note():
    status = Status()
    prepare([Companion(lambda one: 0)], status, Event())
    assert status.unprepared == ""


@pytest.mark.parametrize("code", [69, 77, 78, 65, 1, None])
def test_what_fails_is_noted_and_the_run_begins(caplog, code):
    status, beside = Status(), Status()
    status.beside = [beside]
    prepare([Companion(lambda one: code, "the bucket cannot be reached")], status, Event())
    assert status.unprepared == beside.unprepared == "the bucket cannot be reached"
    assert "the recording begins all the same" in caplog.text


def test_when_nothing_may_be_written_the_run_does_not_begin():
    with pytest.raises(OutputError, match="line 7 is another one"):
        prepare([Companion(lambda one: 73, "line 7 is another one")], Status(), Event())


def test_what_is_not_done_in_time_is_killed(monkeypatch):
    monkeypatch.setattr(preparing, "PREPARE_SECONDS", 0.05)
    status, companion = Status(), Companion(never)
    prepare([companion], status, Event())
    assert companion.killed.is_set()
    assert status.unprepared == "it was not done within 0.05 s"


def test_the_end_of_the_run_ends_it(caplog):
    ended, companion = Event(), Companion(never)
    gevent.spawn_later(0.01, ended.set)
    prepare([companion], Status(), ended)
    assert companion.killed.is_set()
    assert caplog.text == ""
