"""The program of one process of --jobs: does tasks until the pipe with its orders ends, and then ends at once.

Its first order is the work. Each later one is a task or empty: then the task it has may write to stdout from now on.
Its stdout is the command's own, so that what it writes need not be copied.
"""

from __future__ import annotations

import os
import pickle  # nosec B403
import queue
import signal
import sys
import threading
import time
from typing import Any, BinaryIO, NoReturn

from ssmd.commands.jobs.frames import PROGRESS, RAISED, REFUSED, REPORT, RESULT, frame, frames
from ssmd.errors import SsmdError

__all__ = ["AHEAD_BYTES", "main"]

AHEAD_BYTES = 16 * 1024 * 1024
"""How much a task keeps for stdout while an earlier task is not done. Then it waits."""

_SHOW_SECONDS = 0.1
_ORDERS = 0
"""The descriptor of the pipe with the orders."""
_READ_BYTES = 64 * 1024


class _Refused(Exception):
    """Stdout does not take what is written. Not an OSError, which the work may handle."""


class _Outlet:
    """The outlet of one task. `shows`: whether anybody sees the progress."""

    def __init__(self, answers: BinaryIO, shows: bool, turn: threading.Event) -> None:
        self._answers = answers
        self._shows = shows
        self._shown = 0.0
        self._turn = turn
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    def progress(self, done: int) -> None:
        if self._shows and (now := time.monotonic()) - self._shown >= _SHOW_SECONDS:
            self._shown = now
            self.answer(PROGRESS, done)

    def report(self, thing: Any) -> None:
        self.answer(REPORT, thing)

    def write(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._kept_bytes >= AHEAD_BYTES or self._turn.is_set():
            self._write_kept()

    def finish(self, result: Any) -> None:
        if self._kept:
            self._write_kept()
        self.answer(RESULT, result)

    def _write_kept(self) -> None:
        self._turn.wait()
        kept, self._kept, self._kept_bytes = self._kept, [], 0
        try:
            for data in kept:
                sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            self.answer(REFUSED, error.errno)
            raise _Refused from None

    def answer(self, kind: int, value: Any) -> None:
        try:
            self._answers.write(frame(pickle.dumps((kind, value))))
            self._answers.flush()
        except BrokenPipeError:
            os._exit(0)  # The command has ended, as the thread that reads the orders is about to notice.


class _Orders:
    """The orders, read by a thread of their own, so that the end of the pipe ends the process whatever it is doing."""

    def __init__(self) -> None:
        self.tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.turn = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        received = bytearray()
        try:
            # Not by sys.stdin, whose lock this thread would still hold when a bug ends the process.
            while data := os.read(_ORDERS, _READ_BYTES):
                received += data
                for order in frames(received):
                    if order:
                        self.turn.clear()  # It was that of the task before.
                        self.tasks.put(order)
                    else:
                        self.turn.set()
        finally:
            os._exit(0)  # The command has no more work, or has ended.


def main(answers: BinaryIO) -> NoReturn:
    """Do the tasks that come on stdin, and send what they give to `answers`."""
    from ssmd.commands.output import waiting

    sys.stdout = waiting(sys.stdout)  # type: ignore[arg-type]
    orders = _Orders()
    work, shows = pickle.loads(orders.tasks.get())  # nosec B301
    while True:
        unit = pickle.loads(orders.tasks.get())  # nosec B301
        outlet = _Outlet(answers, shows, orders.turn)
        try:
            outlet.finish(work(unit, outlet))
        except SsmdError as error:
            outlet.answer(RAISED, error)
        except _Refused:
            os._exit(0)  # Not sys.exit(), which would try to write the rest.


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with open(int(sys.argv[1]), "wb", closefd=False) as pipe:
        main(pipe)
