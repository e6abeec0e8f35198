"""The processes of --jobs: gives them tasks, and takes what comes back in the order of the tasks.

The processes are started as programs of their own, not forked: that works alike on all systems, and no state of this
process gets into them. Each has a pipe for orders and one for answers. When this process ends, even by SIGKILL, the
pipe for orders ends, and with it the other process. See worker.py.
"""

from __future__ import annotations

import contextlib
import os
import pickle  # nosec B403
import select
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import ssmd
from ssmd.commands.jobs.display import Show
from ssmd.commands.jobs.frames import PROGRESS, RAISED, REFUSED, REPORT, RESULT, frame, frames
from ssmd.commands.jobs.outlet import Task, Work
from ssmd.errors import SsmdError, printable

__all__ = ["Pool"]

_READ_BYTES = 64 * 1024
_WORKER = "ssmd.commands.jobs.worker"


class _Lost(Exception):
    """A process has ended before its work was done."""

    def __init__(self, worker: _Worker) -> None:
        self.worker = worker


class Pool:
    """Use it in a `with`; at its end all processes have ended, too.

    `take` is called with what the tasks report, in their order; `show` with how far they are.
    """

    def __init__(
        self, work: Work, tasks: Sequence[Task], count: int, take: Callable[[Any], None], show: Show | None
    ) -> None:
        self._begin = pickle.dumps((work, show is not None))
        self._tasks = tasks
        self._count = count
        self._take = take
        self._show = show
        self._turn = 0
        """The task whose reports are taken, and which may write to stdout."""
        self._waiting = deque(range(len(tasks)))
        self._reports: dict[int, list[Any]] = {}
        self._results: dict[int, Any] = {}
        self._workers: dict[int, _Worker] = {}
        """By the descriptor of their answers."""
        self.started = False
        """Whether there is a process that can do the work."""

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # Then it would not be known how a process has ended.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.stdout.flush()  # The processes write to the same file.
        with contextlib.suppress(OSError):  # The user may have no further process; fewer are enough.
            for _ in range(self._count):
                worker = _Worker()
                self._workers[worker.answers] = worker
                worker.send(self._begin)
                self._give_task(worker)
        self.started = bool(self._workers)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for worker in self._workers.values():
            worker.end(at_once=kind is not None)

    def results(self) -> Generator[Any, None, None]:
        """Yield the results of all tasks in their order."""
        try:
            while self._turn < len(self._tasks):
                for thing in self._reports.pop(self._turn, ()):
                    self._take(thing)
                while self._turn not in self._results:
                    self._receive()
                if isinstance(result := self._results.pop(self._turn), SsmdError):
                    raise result
                yield result
                self._turn += 1
                for worker in self._workers.values():
                    self._give_turn(worker)
        except _Lost as lost:
            # What the others have finished is not kept back: a day that was compressed is compressed.
            for number in sorted(self._results):
                for thing in self._reports.pop(number, ()):
                    self._take(thing)
                if not isinstance(result := self._results.pop(number), SsmdError):
                    yield result
            self._exit(lost.worker)

    def _receive(self) -> None:
        """Wait until a process sends something, and handle that."""
        poll = select.poll()
        for answers in self._workers:
            poll.register(answers, select.POLLIN)
        for answers, _ in poll.poll():
            worker = self._workers[answers]
            data = os.read(answers, _READ_BYTES)
            if not data:
                raise _Lost(worker)
            worker.received += data
            for answer in frames(worker.received):
                self._handle(worker, *pickle.loads(answer))  # nosec B301

    def _handle(self, worker: _Worker, kind: int, value: Any) -> None:
        number = worker.number
        if number is None:
            raise ValueError(f"a process without a task has sent {kind}")
        if kind == PROGRESS and self._show is not None:
            self._show(number, value)
        elif kind == REPORT and number == self._turn:
            self._take(value)
        elif kind == REPORT:
            self._reports.setdefault(number, []).append(value)
        elif kind == REFUSED:
            raise OSError(value, os.strerror(value))  # As if this process had written to stdout.
        elif kind in (RESULT, RAISED):
            self._results[number] = value
            if self._show is not None:
                self._show(number, None)
            worker.number = None
            self._give_task(worker)

    def _give_task(self, worker: _Worker) -> None:
        if self._waiting:
            worker.number = self._waiting.popleft()
            worker.send(pickle.dumps(self._tasks[worker.number].unit))
            self._give_turn(worker)

    def _give_turn(self, worker: _Worker) -> None:
        if worker.number == self._turn:
            worker.send(b"")

    def _exit(self, worker: _Worker) -> NoReturn:
        """Exit as a shell shows it for a command that was ended in this way."""
        code = worker.wait()
        what = "a process of this command"
        if worker.number is not None:
            what = f"the process that worked on {printable(self._tasks[worker.number].name)}"
        if code >= 0:
            raise RuntimeError(f"{what} has ended with exit code {code}; the lines above say why")
        remedy = "; if nobody killed it, there was not enough memory: try --jobs=1" if code == -signal.SIGKILL else ""
        print(f"ssmd: {what} was killed by {signal.Signals(-code).name}{remedy}", file=sys.stderr, flush=True)
        raise SystemExit(128 - code) from None


class _Worker:
    """One process, and this end of its two pipes. Raises OSError when it cannot be started."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The task that it works on."""
        self.received = bytearray()
        orders, self._orders = os.pipe()
        self.answers, answers = os.pipe()
        os.set_inheritable(answers, True)
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-m", _WORKER, str(answers)],
                _variables(),
                file_actions=[(os.POSIX_SPAWN_DUP2, orders, 0)],
                setsigmask=[signal.SIGINT],  # Until worker.py is ready for it: Python's own answer is a traceback.
            )
        except OSError:
            os.close(self._orders)
            os.close(self.answers)
            raise
        finally:
            os.close(orders)
            os.close(answers)
        self._code: int | None = None

    def send(self, order: bytes) -> None:
        """Send one order. When the process has ended, its answers end, which is noticed there."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._orders, frame(order))

    def wait(self) -> int:
        """Wait for the end of the process; return its exit code, negative for a signal."""
        if self._code is None:
            _, status = os.waitpid(self._pid, 0)
            self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def end(self, *, at_once: bool) -> None:
        """End the process, which has nothing to do any more unless it is ended `at_once`."""
        if at_once and self._code is None:
            os.kill(self._pid, signal.SIGKILL)
        os.close(self._orders)
        self.wait()
        os.close(self.answers)


def _variables() -> dict[str, str]:
    """Return the environment variables with which another Python imports this very ssmd."""
    folder = str(Path(ssmd.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))}
