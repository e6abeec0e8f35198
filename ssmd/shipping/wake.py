"""What ends the wait of a process's main thread: signals, and other threads."""

from __future__ import annotations

import contextlib
import os
import select
import signal

__all__ = ["Wake"]


class Wake:
    """Lets the main thread wait for a signal or for another thread. Signal handlers are of no use for that: one that
    interrupts the wait for a lock must not touch this lock.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def on_signals(self, numbers: tuple[signal.Signals, ...]) -> None:
        """Let these signals end wait(). For the main thread."""
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup sets it.
                signal.signal(number, lambda number, _: None)

    def now(self) -> None:
        """Let wait() return. For any thread."""
        with contextlib.suppress(BlockingIOError):  # Full of such bytes: it will return.
            os.write(self._writing, b"\0")

    def wait(self, seconds: float) -> list[str]:
        """Wait so long, or until something happens; return the names of the signals that have come."""
        select.select([self._reading], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            return [signal.Signals(number).name for number in os.read(self._reading, 512) if number]
        return []
