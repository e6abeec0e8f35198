"""What an observer does wrong does not end the run."""

from __future__ import annotations

import gevent
import pytest
from patience import PATIENCE

from ssmd.contracts.writer import Note, Reads
from ssmd.observing.harmless import Harmless, HarmlessService
from ssmd.store.timestamps import DAY_NS


class Panic(BaseException):
    """As a library in Rust raises."""


class Failing:
    """An observer that raises an error when it is asked for the second time."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.asked == 2:
            raise self._error

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        self._ask()

    def notes(self, now_ns: int, *, end: bool) -> list[Note]:
        self._ask()
        return [Note("seen", now_ns, 0, {"end": end})]


@pytest.mark.parametrize("error", [ZeroDivisionError(), UnicodeEncodeError("utf-8", "\ud800", 0, 1, ""), Panic()])
@pytest.mark.parametrize("at", ["observe", "notes"])
def test_an_observer_that_fails_is_logged_once_and_asked_no_more(caplog, at, error):
    failing = Failing(error)
    harmless = Harmless(failing)
    assert harmless.notes(1, end=False) == [Note("seen", 1, 0, {"end": False})]
    if at == "observe":
        harmless.observe([(2, 1)], [b"{}"])
    assert harmless.notes(2, end=False) == [Note("observer_failed", 2, 0, {"observer": "Failing"})]
    harmless.observe([(3, 1)], [b"{}"])
    assert harmless.notes(3, end=True) == []
    # The ledger of the next day says it too, since it has no other sign that nothing was looked at. It begins with the
    # first message of that day.
    assert harmless.notes(DAY_NS, end=False) == []
    harmless.observe([(DAY_NS + 1, 1)], [b"{}"])
    assert harmless.notes(DAY_NS + 2, end=False) == [Note("observer_failed", DAY_NS + 2, 0, {"observer": "Failing"})]
    assert harmless.notes(DAY_NS + 3, end=True) == []
    assert failing.asked == 2
    [record] = caplog.records
    assert (record.levelname, record.observer) == ("ERROR", "Failing")
    assert record.exc_info[1] is error


@pytest.mark.parametrize("end", [gevent.GreenletExit(), gevent.Timeout(), KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_the_greenlet_is_no_fault_of_the_observer(end):
    harmless = Harmless(Failing(end))
    harmless.observe([(1, 1)], [b"{}"])
    with pytest.raises(type(end)):
        harmless.observe([(2, 1)], [b"{}"])


class Sampler:
    """A service that ends at once, with an error or without."""

    def __init__(self, error: BaseException | None) -> None:
        self._error = error
        self.stopped = False

    def serve(self) -> None:
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize("error", [None, ZeroDivisionError(), Panic()])
def test_a_service_that_only_looks_at_the_run_does_not_end_it(caplog, error):
    sampler = Sampler(error)
    service = HarmlessService(sampler)
    serving = gevent.spawn(service.serve)
    gevent.sleep(0)
    assert not serving.ready()
    assert [record.exc_info[1] for record in caplog.records] == ([error] if error is not None else [])
    service.stop()
    serving.join(timeout=PATIENCE)
    assert (serving.successful(), sampler.stopped) == (True, True)
