"""The report that somebody has made with `ssmd report --html`, as the page serves it from the folder of the days."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import gevent
from flask import Response

from ssmd.errors import DataError, SsmdError, printable
from ssmd.runtime.threads import Pending

__all__ = ["MOST_AT_ONCE", "NAME", "Report"]

NAME = "report.html"
_MOST_BYTES = 8 * 1024 * 1024
"""A report has some 10 kB for each feed and day."""
_SECONDS = 2.0
"""How long the disk may take."""
MOST_AT_ONCE = 4
"""To so many clients it is sent at the same time: for each the whole report is in memory, until the client has it."""
TURN_SECONDS = 60.0
"""So long a client keeps its place in any case. Then it loses it to the next one that asks, if no other place is free:
otherwise a few that read very slowly would keep the report from everybody else for hours."""
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
# The style of a report stands in it, so that it needs no other file. It has no scripts.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)


class Report:
    """The report in a folder. It is read when somebody asks for it, once at a time: a stuck disk takes one thread.

    Only a regular file is shown. Whoever may write in the folder could otherwise make a symbolic link to any file that
    the collector may read.
    """

    def __init__(self, folder: Path, turn_seconds: float = TURN_SECONDS) -> None:
        self._path = folder / NAME
        self._turn_seconds = turn_seconds
        self._reading: Pending[bytes] | None = None
        """What reads the file, until it has done so; it holds the data."""
        self._served: dict[gevent.Greenlet, float] = {}
        """What serves the connections of those to whom it was sent last, and since when, of the monotonic clock; the
        one with the longest time first. Each ends with its connection.
        """

    def answer(self) -> Response:
        """Return the report, or a text that says why there is none, and what to do.

        When it is being sent to MOST_AT_ONCE clients, the one that has been served longest is cut off, if it has had
        its turn.
        """
        if not self._has_room():
            return self._not_now("is being sent to as many clients as possible; try again later")
        if self._reading is not None:
            return self._not_now("the disk does not answer; try again later")
        try:
            data = self._data()
        except FileNotFoundError:
            return _text(404, f"There is no report. To make one, as the user who owns the data:\n\n{self._command()}\n")
        except TimeoutError:
            return self._not_now(f"the disk has not answered within {_SECONDS:g} s; try again later")
        except DataError as error:
            return self._not_now(str(error))
        except OSError as error:
            return self._not_now(f"cannot be read: {error.strerror}")
        if len(data) > _MOST_BYTES:
            return self._not_now(f"is longer than {_MOST_BYTES:,} bytes; is it a report?")
        self._take_place()
        return Response(data, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})

    def _has_room(self) -> bool:
        """Return whether one more client may be served."""
        self._served = {each: since for each, since in self._served.items() if not each.dead}
        longest = next(iter(self._served.values()), 0.0)
        return len(self._served) < MOST_AT_ONCE or time.monotonic() - longest >= self._turn_seconds

    def _take_place(self) -> None:
        """Serve this client, instead of the one that has been served longest if there are too many."""
        if len(self._served) >= MOST_AT_ONCE:
            longest = next(iter(self._served))
            del self._served[longest]
            longest.kill(block=False)
        self._served[gevent.getcurrent()] = time.monotonic()

    def _data(self) -> bytes:
        """Return the content of the file. Raises TimeoutError after _SECONDS, and what _read() raises."""
        self._reading = reading = Pending(self._read)
        try:
            return reading.result(_SECONDS)
        finally:
            if reading.done():
                self._reading = None
            else:
                gevent.spawn(self._release, reading)

    def _release(self, reading: Pending[bytes]) -> None:
        """Release what nobody waits for any more, as soon as the disk has answered."""
        with suppress(OSError, SsmdError):
            reading.result()
        self._reading = None

    def _read(self) -> bytes:
        """Raises DataError when it is not a regular file, and OSError."""
        try:
            # With O_NONBLOCK it does not wait for the other end of a pipe.
            found = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):  # The latter on FreeBSD.
                raise _not_regular(stat.S_IFLNK) from None
            if error.errno == errno.ENXIO:
                raise _not_regular(stat.S_IFSOCK) from None
            if error.errno == errno.EAGAIN:  # It has a lease: fcntl(2), F_SETLEASE. A file server uses them.
                raise DataError("another program holds it for now; try again") from None
            raise
        try:
            mode = os.fstat(found).st_mode
            if not stat.S_ISREG(mode):
                raise _not_regular(stat.S_IFMT(mode))
            with open(found, "rb", closefd=False) as file:
                return file.read(_MOST_BYTES + 1)
        finally:
            os.close(found)

    def _not_now(self, reason: str) -> Response:
        return _text(503, f"{printable(str(self._path))}: {reason}\n")

    def _command(self) -> str:
        """Return what makes a report. What was there stays until the new one is whole."""
        folder = printable(str(self._path.parent))
        return f"ssmd report {folder} --html > {folder}/report.new && mv {folder}/report.new {folder}/{NAME}"


def _not_regular(kind: int) -> DataError:
    return DataError(f"is {_KINDS.get(kind, 'a device')}; the report must be a regular file")


def _text(code: int, text: str) -> Response:
    return Response(text, code, content_type="text/plain; charset=utf-8")
