"""The one display of progress: on a terminal, a bar for each day that is worked on, and one for all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from ssmd.commands.jobs.outlet import Task

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Show", "display"]

Show = Callable[[int, int | None], None]
"""Is called with the number of a task and how many of its bytes are done; None when all of it is."""

_REFRESH_SECONDS = 0.1


@contextlib.contextmanager
def display(tasks: Sequence[Task]) -> Iterator[Show | None]:
    """Show bars on stderr until the end of the block; yield None where that is no terminal, and nothing is shown.

    What is printed meanwhile stands above the bars. They disappear at the end.
    """
    if not sys.stderr.isatty():
        yield None
        return
    # Imported here: a command of cron does not need it.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    progress = Progress(
        TextColumn("{task.description}"),
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        # Otherwise a thread would refresh it, and compete with the work for the interpreter.
        auto_refresh=False,
    )
    rows = _Rows(progress, tasks)
    with _signals_show_the_cursor(), progress:
        yield rows.show


class _Rows:
    """The bars of the tasks that are being worked on, and above them the one of all tasks when there are several."""

    def __init__(self, progress: Progress, tasks: Sequence[Task]) -> None:
        self._progress = progress
        self._tasks = tasks
        self._ids: dict[int, TaskID] = {}
        self._done = [0] * len(tasks)
        self._ended = 0
        self._refreshed = 0.0
        self._all: TaskID | None = None
        if len(tasks) > 1:
            self._all = progress.add_task(self._count(), total=sum(task.bytes for task in tasks))

    def show(self, number: int, done: int | None) -> None:
        task = self._tasks[number]
        if done is None:
            done = task.bytes
            self._ended += 1
            if (row := self._ids.pop(number, None)) is not None:
                self._progress.remove_task(row)
        else:
            if number not in self._ids:
                self._ids[number] = self._progress.add_task(task.name, total=task.bytes or None)
            self._progress.update(self._ids[number], completed=done)
        self._done[number] = done
        if self._all is not None:
            self._progress.update(self._all, completed=sum(self._done), description=self._count())
        if (now := time.monotonic()) - self._refreshed >= _REFRESH_SECONDS:
            self._refreshed = now
            self._progress.refresh()

    def _count(self) -> str:
        return f"{self._ended} of {len(self._tasks)} days"


@contextlib.contextmanager
def _signals_show_the_cursor() -> Iterator[None]:
    """Show the terminal's cursor again, which the bars hide, before a signal ends the process."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, b"\x1b[?25h\n")
        signal.signal(number, before[signal.Signals(number)])
        os.kill(os.getpid(), number)

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
