"""The thread that works for one greenlet: results, errors, order, and callers that are interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import monkey
from patience import PATIENCE
from sim_client import eventually

from ssmd.runtime.work_thread import WorkThread

_Lock = monkey.get_original("_thread", "allocate_lock")
_get_ident = monkey.get_original("_thread", "get_ident")

Run = Callable[..., Any]


@pytest.fixture
def thread() -> Iterator[WorkThread]:
    made = WorkThread()
    yield made
    made.close()


@pytest.fixture(params=["run", "run_unhurried"])
def run(request: pytest.FixtureRequest, thread: WorkThread) -> Run:
    method: Run = getattr(thread, request.param)
    return method


class Gate:
    """Blocks a native thread until it is opened."""

    def __init__(self) -> None:
        self._lock = _Lock()
        self._lock.acquire()
        self.reached = False

    def __call__(self) -> str:
        self.reached = True
        self._lock.acquire()
        return "passed"

    def open(self) -> None:
        self._lock.release()


def test_a_task_runs_in_the_other_thread_and_its_result_is_returned(run: Run) -> None:
    assert run(divmod, 17, 5) == (3, 2)
    assert run(int, "ff", base=16) == 255
    own = run(_get_ident)
    assert own != _get_ident()
    assert run(_get_ident) == own


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_task_raises_is_raised_and_the_next_task_runs(run: Run, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        run(fail)
    assert raised.value is error
    assert run(lambda: "next") == "next"


def test_a_task_that_blocks_lets_other_greenlets_run(run: Run) -> None:
    gate = Gate()
    waiting = gevent.spawn(run, gate)
    eventually(lambda: gate.reached)
    for _ in range(10):
        gevent.sleep(0.001)
        assert not waiting.ready()
    gate.open()
    assert waiting.get(timeout=PATIENCE) == "passed"


def test_a_task_whose_caller_is_interrupted_goes_on_and_comes_before_the_next(run: Run) -> None:
    gate, done = Gate(), []

    def first() -> None:
        gate()
        done.append("first")

    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        run(first)
    second = gevent.spawn(run, lambda: done.append("second"))
    gevent.sleep(0.01)
    assert (done, second.ready()) == ([], False)
    gate.open()
    second.get(timeout=PATIENCE)
    assert done == ["first", "second"]


def test_many_tasks_in_order_each_with_its_own_result(thread: WorkThread) -> None:
    for number in range(2000):
        assert thread.run(int, number) == number


def test_an_outcome_that_is_not_urgent_is_there_with_the_next_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssmd.runtime.work_thread.UNHURRIED_SECONDS", 3600.0)
    thread = WorkThread()
    for number in range(200):
        waiting = gevent.spawn(thread.run_unhurried, int, number)
        eventually(waiting.ready)  # It sleeps a little, and so wakes the process.
        assert waiting.get() == number
    thread.close()


def test_an_error_is_urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssmd.runtime.work_thread.UNHURRIED_SECONDS", 3600.0)
    thread = WorkThread()
    with gevent.Timeout(PATIENCE), pytest.raises(OSError, match="No space left"):
        thread.run_unhurried(fail)
    thread.close()


def test_it_may_be_closed_twice_and_while_an_interrupted_task_runs(capfd: pytest.CaptureFixture[str]) -> None:
    gate, done = Gate(), []

    def work() -> None:
        gate()
        done.append(True)

    thread = WorkThread()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        thread.run(work)
    thread.close()
    thread.close()
    gate.open()
    eventually(lambda: done)
    gevent.sleep(0.05)
    assert capfd.readouterr() == ("", "")


def test_the_thread_ends_when_it_is_closed() -> None:
    thread = WorkThread()
    seen: list[object] = []
    thread.run(lambda: seen.append(threading.get_native_id()))
    path = f"/proc/self/task/{seen[0]}"
    assert thread.run(lambda: True)
    thread.close()
    eventually(lambda: not os.path.exists(path))


@pytest.mark.parametrize("method", ["run", "run_unhurried"])
@pytest.mark.parametrize("loop", ["libev-cext", "libev-cffi", "libuv-cffi"])
def test_a_task_is_waited_for_although_nothing_else_runs_in_the_process(loop: str, method: str) -> None:
    """The event loop ends when nothing can wake it any more; a task can."""
    script = f"""
from gevent import monkey
monkey.patch_all()
from ssmd.runtime.work_thread import WorkThread
run = WorkThread().{method}
print(run(monkey.get_original("time", "sleep"), 0.05), run(lambda: 7))
"""
    environ = os.environ | {"GEVENT_LOOP": loop}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("None 7\n", "")


def test_a_system_that_starts_no_further_thread_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("ssmd.runtime.work_thread._start_new_thread", refused)
    with pytest.raises(OSError, match="the system starts no further thread for this user; raise its limit"):
        WorkThread()


@pytest.mark.parametrize("loop", ["libev-cext", "libev-cffi", "libuv-cffi"])
def test_a_thread_that_is_closed_within_a_task_prints_nothing_with_any_event_loop(loop: str) -> None:
    script = """
from gevent import monkey
monkey.patch_all()
import gevent
from ssmd.runtime.work_thread import WorkThread
sleep, count = monkey.get_original("time", "sleep"), monkey.get_original("_thread", "_count")
threads = count()
thread = WorkThread()
try:
    with gevent.Timeout(0.01):
        thread.run(sleep, 0.05)
except gevent.Timeout:
    thread.close()
while count() > threads:
    gevent.sleep(0.001)
print("ended")
"""
    environ = os.environ | {"GEVENT_LOOP": loop}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("ended\n", "")
