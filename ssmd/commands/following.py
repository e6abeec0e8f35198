"""`ssmd cat --follow`: prints lines as they are recorded, until a signal or until nobody reads them."""

from __future__ import annotations

import logging
import os
import select
import signal
import stat
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ssmd.commands.selecting import reader_or_kalshi, selection_of, shard_asked
from ssmd.errors import DataError, UsageError, visible
from ssmd.reading.follow import POLL_SECONDS
from ssmd.reading.follow_all import FollowAll
from ssmd.store.layout import day_of

__all__ = ["follow"]

_END_SECONDS = 1.0
"""How long, after a signal, somebody who does not read is waited for."""


def follow(arguments: Mapping[str, Any]) -> int:
    """Print the lines; return the exit code. Raises BrokenPipeError when nobody reads them any more."""
    storage = _storage_of(arguments["<storage>"])
    ending = _Ending()
    notes = _Notes()
    logging.getLogger("ssmd.follow").addHandler(notes)
    selection = selection_of(arguments)
    followed = FollowAll(storage, arguments["--feed"], shard_asked(arguments), selection, reader_or_kalshi)
    with closing(followed), suppress(_Stopped):
        while not ending.asked:
            if found := followed.read(arguments["--raw"]):
                sys.stdout.buffer.write(found)
                sys.stdout.buffer.flush()
            else:
                ending.wait(POLL_SECONDS)
    return DataError.exit_code if notes.damaged else 0


def _storage_of(text: str) -> Path:
    storage = Path(text)
    if text.startswith("s3://") or not storage.is_dir() or day_of(storage.resolve()) is not None:
        remedy = "--follow takes a storage folder, in which each day has a folder"
        raise UsageError(f"'{visible(text)}' cannot be followed; {remedy}")
    return storage


class _Stopped(Exception):
    """A signal has come, and nobody takes what is being written."""


class _Ending:
    """Notes SIGINT and SIGTERM, and that nobody reads the standard output any more."""

    def __init__(self) -> None:
        self.asked = False
        self._poll = select.poll()
        mode = os.fstat(sys.stdout.fileno()).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self._poll.register(sys.stdout.fileno(), 0)  # Errors are reported in any case.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGALRM, self._give_up)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
        signal.setitimer(signal.ITIMER_REAL, _END_SECONDS)

    def _give_up(self, number: int, frame: object) -> None:
        # What is still to be written would hold up the end of the process too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _Stopped

    def wait(self, seconds: float) -> None:
        """Wait a little. Raises BrokenPipeError when nobody reads: otherwise only the next line would show it."""
        if self._poll.poll(1000 * seconds):
            raise BrokenPipeError


class _Notes(logging.Handler):
    """Prints on stderr what the followers have to say."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged = False
        """Whether a line was left out that ssmd did not write."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = vars(record)
        line = fields.get("line")
        self.damaged = self.damaged or line is not None
        where = "".join((f"{fields['file']}" if "file" in fields else "", f":{line}" if line is not None else ""))
        print(f"ssmd: {where}{': ' if where else ''}{record.getMessage()}", file=sys.stderr)
