"""What a piece of work has to report, print and show, wherever it is done: in this process or in one of --jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

__all__ = ["Outlet", "Task", "Work"]


class Task(NamedTuple):
    """One piece of work, mostly a day; none depends on another."""

    unit: Any
    """What to work on; it can be pickled."""
    name: str
    """For the display and for errors."""
    bytes: int
    """How much there is to do, in the units of Outlet.progress(); 0 when that is not known."""


class Outlet(Protocol):
    """What a task gives besides its result."""

    def progress(self, done: int) -> None:
        """Show how many bytes of the task are done so far; call it as often as you like."""

    def report(self, thing: Any) -> None:
        """Hand over something that can be pickled. It arrives in the order of the tasks, at once for the first one."""

    def write(self, data: bytes) -> None:
        """Write to stdout, in the order of the tasks. It waits where this task is too far ahead of an earlier one.

        Raises OSError, or what ends a worker, when stdout does not take it.
        """


Work = Callable[[Any, Outlet], Any]
"""Does the work of one unit and returns its result. A function of a module, or a partial() of one, with arguments and a
result that can be pickled."""
