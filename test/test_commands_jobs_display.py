"""The bars on a terminal: they move, there is one display for all days, and nothing of it is left at the end."""

from __future__ import annotations

import contextlib
import os
import posix
import pty
import signal

import pytest
from patience import PATIENCE
from test_commands_jobs_pool import works

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A terminal for stderr, and what was shown on it."""

    def __init__(self) -> None:
        self._controller, self.file = pty.openpty()
        self.shown = b""

    def read_until(self, wanted: bytes) -> None:
        while wanted not in self.shown:
            self.shown += os.read(self._controller, 65536)

    def close(self) -> bytes:
        """Return all that was shown; the programs on it must have ended."""
        posix.close(self.file)  # gevent's os.close() leaves it open until its event loop runs again.
        with contextlib.suppress(OSError):  # On Linux, reading fails when the terminal has been closed.
            while data := os.read(self._controller, 65536):
                self.shown += data
        posix.close(self._controller)
        return self.shown


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_bars_of_the_days_and_of_all_of_them_move(tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with works(tmp_path, "advances", "a", "b", jobs=jobs, stderr=terminal.file) as process:
        terminal.read_until(b"30/100 bytes")
        terminal.read_until(b"0 of 2 days")
        terminal.read_until(b"the day a")
        (tmp_path / "a.go").touch()
        terminal.read_until(b"1 of 2 days")
        terminal.read_until(b"the day b")
        (tmp_path / "b.go").touch()
        terminal.read_until(SHOW)
        out, _ = process.communicate(timeout=PATIENCE)
    shown = terminal.close()
    assert (process.returncode, out) == (0, "a is done\nb is done\n")
    assert shown.count(HIDE) == shown.count(SHOW) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_ends_the_command_and_leaves_the_cursor_visible(tmp_path, monkeypatch, number, jobs):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); import job_works; job_works.main()"
    with works(tmp_path, "advances", "a", "b", jobs=jobs, code=code, stderr=terminal.file) as process:
        terminal.read_until(b"30/100 bytes")
        process.send_signal(number)
        terminal.read_until(SHOW)
        assert process.wait(PATIENCE) == -number
    shown = terminal.close()
    assert shown.rindex(SHOW) > shown.rindex(HIDE)
    assert b"Traceback" not in shown
