"""An alarm rings at its moment of the wall clock, whatever is done to that clock."""

from __future__ import annotations

import gevent
import pytest
from patience import PATIENCE

from ssmd.errors import NewVersion
from ssmd.runtime import alarm
from ssmd.runtime.alarm import Alarm


class Clock:
    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __call__(self) -> int:
        return self.ns


def test_it_rings_when_the_clock_is_set_forward_and_not_before(monkeypatch):
    monkeypatch.setattr(alarm, "LOOK_SECONDS", 0.01)
    clock = Clock(10**9)
    serving = gevent.spawn(Alarm(10**12, lambda: "time", clock).serve)
    serving.join(timeout=0.1)
    assert not serving.dead
    clock.ns = 10**12
    assert serving.get(timeout=PATIENCE) == "time"


def test_it_may_end_the_run_with_an_error():
    def ring() -> str:
        raise NewVersion("v2")

    with pytest.raises(NewVersion):
        Alarm(5, ring, Clock(5)).serve()


def test_it_ends_without_a_reason_when_it_is_stopped():
    late = Alarm(10**18, lambda: "time", Clock(0))
    serving = gevent.spawn(late.serve)
    gevent.sleep(0)
    late.stop()
    assert serving.get(timeout=PATIENCE) is None
