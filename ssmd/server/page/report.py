"""The report that somebody has made with `ssmd report --html`, as the page serves it from the folder of the days."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import gevent
from flask import Response, abort

from ssmd.errors import DataError, printable
from ssmd.runtime.threads import Pending

__all__ = ["MOST_AT_ONCE", "NAME", "Report"]

NAME = "report.html"
_MOST_BYTES = 8 * 1024 * 1024
"""A report has some 10 kB for each feed and day."""
_SECONDS = 2.0
"""How long the disk may take."""
MOST_AT_ONCE = 4
"""To so many clients it is sent at the same time: for each the whole report is in memory, until the client has it."""
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

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._reading: Pending[bytes] | None = None
        self._served: set[gevent.Greenlet] = set()
        """What serves the connections of those to whom it was sent last; each ends with its connection."""

    def answer(self) -> Response:
        """Return the report, or a text that says how to make it. Raises 503 when the disk does not answer in time, and
        when it is being sent to MOST_AT_ONCE clients.
        """
        self._served = {each for each in self._served if not each.dead}
        if len(self._served) >= MOST_AT_ONCE or (self._reading is not None and not self._reading.done()):
            abort(503)
        try:
            self._reading = Pending(self._read)
            data = self._reading.result(_SECONDS)
            self._reading = None  # It holds the data.
        except FileNotFoundError:
            return _text(404, f"There is no report. To make one, as the user who owns the data:\n\n{self._command()}\n")
        except TimeoutError:
            abort(503)
        except DataError as error:
            return _text(503, f"{printable(str(self._path))}: {error}\n")
        except OSError as error:
            return _text(503, f"{printable(str(self._path))}: cannot be read: {error.strerror}\n")
        if len(data) > _MOST_BYTES:
            return _text(503, f"{printable(str(self._path))}: is longer than {_MOST_BYTES:,} bytes; is it a report?\n")
        self._served.add(gevent.getcurrent())
        return Response(data, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})

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
            raise
        try:
            mode = os.fstat(found).st_mode
            if not stat.S_ISREG(mode):
                raise _not_regular(stat.S_IFMT(mode))
            with open(found, "rb", closefd=False) as file:
                return file.read(_MOST_BYTES + 1)
        finally:
            os.close(found)

    def _command(self) -> str:
        """Return what makes a report. What was there stays until the new one is whole."""
        folder = printable(str(self._path.parent))
        return f"ssmd report {folder} --html > {folder}/report.new && mv {folder}/report.new {folder}/{NAME}"


def _not_regular(kind: int) -> DataError:
    return DataError(f"is {_KINDS.get(kind, 'a device')}; the report must be a regular file")


def _text(code: int, text: str) -> Response:
    return Response(text, code, content_type="text/plain; charset=utf-8")
