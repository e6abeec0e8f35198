"""A thread for one greenlet, to which it passes a task a hundred times a second.

To pass a task to gevent's threadpool and to get its result back costs more CPU time than to read and check the messages
of a hundredth of a second. Here it costs two system calls on either side. And a wake-up costs more than what is done
with the outcome of a small write, so one that is not urgent waits until something else wakes the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import gevent
from gevent import monkey

from ssmd.runtime.threads import no_further_thread

__all__ = ["WorkThread"]

P = ParamSpec("P")
T = TypeVar("T")

_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_SimpleQueue = monkey.get_original("_queue", "SimpleQueue")

UNHURRIED_SECONDS = 0.03
"""How long an outcome that is not urgent waits at most."""


class _Task(Generic[T]):
    """A call, and then its outcome."""

    def __init__(self, work: Callable[[], T], *, is_urgent: bool) -> None:
        self.work = work
        self.is_urgent = is_urgent
        self.is_done = False
        self.result: T
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # The greenlet that waits gets it, whatever it is.
            self.error = error
        self.is_done = True


class WorkThread:
    """Runs one task after the other. A task that never ends goes with the process."""

    def __init__(self) -> None:
        """Raises OSError when the system starts no further thread."""
        self._tasks = _SimpleQueue()
        self._hub: Any = gevent.get_hub()
        self._resume: Callable[[], object] | None = None
        self._wake = self._hub.loop.async_(ref=False)  # Only a task keeps the event loop from ending.
        self._turn = self._hub.loop.check()
        self._late = self._hub.loop.timer(UNHURRIED_SECONDS, UNHURRIED_SECONDS)
        self._closed = self._has_ended = False
        try:
            _start_new_thread(self._work, ())
        except RuntimeError:
            raise no_further_thread() from None
        self._wake.start(self._wake_up)

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in the thread; block this greenlet until it is done, and return what it returns or raise what it
        raises.

        One greenlet at a time may call it. What an interrupted call has begun goes on, and comes before the next.
        """
        self._wake.ref = True
        try:
            return self._outcome(_Task(lambda: work(*args, **kwargs), is_urgent=True))
        finally:
            self._wake.ref = False

    def run_unhurried(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same, but the greenlet goes on when something else wakes the process, or after UNHURRIED_SECONDS. A
        failure wakes it at once.
        """
        self._turn.start(self._go_on)
        self._late.again(self._go_on)
        try:
            return self._outcome(_Task(lambda: work(*args, **kwargs), is_urgent=False))
        finally:
            self._turn.stop()
            self._late.stop()

    def _outcome(self, task: _Task[T]) -> T:
        self._resume = gevent.getcurrent().switch
        self._tasks.put(task)
        try:
            while not task.is_done:
                self._hub.switch()
        finally:
            self._resume = None
        if task.error is not None:
            raise task.error
        return task.result

    def close(self) -> None:
        """Let the thread end after its task. Idempotent."""
        if not self._closed:
            self._closed = True
            self._tasks.put(None)

    def _wake_up(self) -> None:
        if self._has_ended:  # Not earlier: the thread must not use a watcher that is closed.
            for watcher in (self._wake, self._turn, self._late):
                watcher.close()
        self._go_on()

    def _go_on(self) -> None:
        if self._resume is not None:
            self._resume()

    def _work(self) -> None:
        """The life of the thread."""
        while (task := self._tasks.get()) is not None:
            task.run()
            if task.is_urgent or task.error is not None:
                self._wake.send()
            del task  # It may hold a megabyte, which is not kept until the next task.
        self._has_ended = True
        self._wake.send()
