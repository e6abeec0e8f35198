"""Does tasks one after the other in this process, or several at once in processes of their own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from ssmd.commands.jobs.cores import jobs_for
from ssmd.commands.jobs.display import Show, display
from ssmd.commands.jobs.outlet import Task, Work
from ssmd.store.inventory import bytes_on_disk, in_any_form
from ssmd.store.layout import DayFile

__all__ = ["day_tasks", "in_order", "print_in_order"]


def day_tasks(files: Iterable[DayFile], passes: int = 1) -> list[Task]:
    """Return a task for each file, which the work reads so many times."""
    return [Task(file, f"{file.day} {file.stem}".strip(), passes * _size(file)) for file in files]


def _size(file: DayFile) -> int:
    """Return the size in bytes, 0 when it cannot be read; the work reports why."""
    try:
        return in_any_form(file.path, bytes_on_disk)
    except OSError:
        return 0


def in_order(
    work: Work,
    tasks: Sequence[Task],
    jobs: int | None,
    *,
    take: Callable[[Any], None] = lambda thing: None,
    shown: bool = True,
) -> Generator[Any, None, None]:
    """Yield the results of all tasks, in their order. Close it when you do not read it to the end.

    `jobs`: how many processes, None for the usual number. `take` is called, in the order of the tasks, with what they
    report. All that can be seen is the same whatever `jobs` is. Raises what the work raises; with several processes, it
    exits when one of them is killed.
    """
    count = jobs_for(tasks, jobs)
    with display(tasks if shown else ()) as show:
        if count > 1:
            from ssmd.commands.jobs.pool import Pool  # Here: a command that needs no processes starts faster.

            with Pool(work, tasks, count, take, show) as pool:
                if pool.started:
                    yield from pool.results()
                    return
        for number, task in enumerate(tasks):
            yield work(task.unit, _Here(number, take, show))
            if show is not None:
                show(number, None)


def print_in_order(outcomes: Generator[tuple[str, int], None, None]) -> int:
    """Print what in_order() yields: for each task a text, which goes to stderr when the exit code with it is not 0.
    Return the first such code, or 0.
    """
    code = 0
    with contextlib.closing(outcomes):
        for text, failed in outcomes:
            print(text, file=sys.stderr if failed else sys.stdout, flush=True)
            code = code or failed
    return code


class _Here:
    """The outlet of a task that is done in this process."""

    def __init__(self, number: int, take: Callable[[Any], None], show: Show | None) -> None:
        self.report = take
        self._number = number
        self._show = show

    def progress(self, done: int) -> None:
        if self._show is not None:
            self._show(self._number, done)

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
