"""Logging: one event a line on stderr, text for a terminal and JSON for machines.

An event is a short lower-case message, with further facts as fields:

    _log.info("rotated", extra={"from": old, "to": new})

SSMD_LOG_FORMAT is `text` or `json` (default: text on a terminal, else JSON), SSMD_LOG_LEVEL is `debug`,
`info`, `warning` or `error` (default: info). On a terminal a status line stays below the log lines.

While a run goes on, a thread of its own writes the lines: the log may go to a file on a stuck disk, where a write
blocks and poll() does not say so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from ssmd.errors import UsageError, visible
from ssmd.runtime.line_thread import LineThread
from ssmd.store.timestamps import timestamp
from ssmd.unpatched import unpatched

__all__ = ["in_a_thread", "setup"]

_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("text", "json")
_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_poll = unpatched("select", "poll")  # gevent's own would switch to another greenlet.
_ERASE_LINE = "\r\x1b[2K"


def setup(environ: Mapping[str, str], stream: TextIO | None = None) -> Terminal | None:
    """Configure the logging of ssmd to `stream`, by default stderr; return the terminal when it is one.

    Raises UsageError for a level or a format that does not exist.
    """
    stream = sys.stderr if stream is None else stream
    on_terminal = stream.isatty()
    level = _choice(environ, "SSMD_LOG_LEVEL", _LEVELS, "info")
    form = _choice(environ, "SSMD_LOG_FORMAT", _FORMATS, "text" if on_terminal else "json")
    terminal = Terminal(stream) if on_terminal and form == "text" else None
    handler = _Handler(terminal or stream)
    handler.setFormatter(_TextFormatter() if form == "text" else _JsonFormatter())
    logger = logging.getLogger("ssmd")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    return terminal


@contextlib.contextmanager
def in_a_thread() -> Iterator[None]:
    """Let a thread write the lines inside this context; a terminal is written to directly.

    To be entered after setup(), and after the last fork whose child runs on in Python: a thread does not survive one.
    """
    for handler in logging.getLogger("ssmd").handlers:
        if isinstance(handler, _Handler) and (thread := _thread_for(handler.stream)) is not None:
            break
    else:
        yield
        return
    stream = handler.stream
    handler.setStream(thread)
    try:
        yield
    finally:
        if thread.end():
            handler.setStream(stream)


def _choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = environ.get(name, "").lower() or default
    if value not in choices:
        raise UsageError(f"{name} is '{visible(value)}'; it may be {', '.join(choices)}")
    return value


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN_FIELDS}


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": timestamp(int(record.created * 1e9)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_quoted(value)}" for name, value in _fields(record).items())
        line = f"{timestamp(int(record.created * 1e9))} {record.levelname:<7} {_one_line(record.getMessage())}{fields}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def _one_line(message: str) -> str:
    return message if message.isprintable() else json.dumps(message)[1:-1]


def _quoted(value: object) -> str:
    text = "?" if value is None else str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)


class _Handler(logging.StreamHandler[Any]):
    """Drops and counts lines rather than wait: for a terminal that Ctrl-S has stopped, a full pipe, a stuck disk.

    A blocked log would block the collection, the probes and the signals.
    """

    dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if not _writable(self.stream):
            self.dropped += 1
            return
        if self.dropped:
            extra = {"lines": self.dropped}
            self.dropped = 0
            dropped = logging.getLogger(record.name).makeRecord(
                record.name, logging.WARNING, "", 0, "log lines dropped", (), None, extra=extra
            )
            super().emit(dropped)
        super().emit(record)


def _writable(stream: Any) -> bool:
    """Return whether a line can be written without waiting, as far as poll() knows: always for a file."""
    if isinstance(stream, LineThread):
        return stream.has_room()
    try:
        poll = _poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):
        return True  # Not a file of the operating system, so nothing that blocks.


def _thread_for(stream: Any) -> LineThread | None:
    """Return a thread that writes to the file behind a stream; None where the stream is written to directly."""
    if isinstance(stream, Terminal) or stream.isatty():
        return None
    try:
        return LineThread(stream.fileno(), stream.encoding, stream.errors)
    except (OSError, ValueError, RuntimeError):
        return None  # Not a file of the operating system, or no further thread is allowed.


class Terminal:
    """A terminal whose last line shows the state, rewritten in place; logging uses it as a stream."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._line = ""

    def show(self, line: str) -> None:
        """Rewrite the status line, cut to the terminal's width with `…` at its end; an empty one removes it."""
        width = self._columns() - 1
        self._line = line if len(line) <= width else line[: width - 1] + "…"
        if _writable(self.stream):
            self._write("")

    def _columns(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(self.stream.fileno()).columns or 80
        return 80

    def fileno(self) -> int:
        return self.stream.fileno()

    def write(self, lines: str) -> None:
        """Print whole lines above the status line."""
        self._write(lines)

    def flush(self) -> None:
        """Do nothing: every write is flushed already."""

    def _write(self, text: str) -> None:
        # A line that wraps over the edge could not be erased again, so wrapping is turned off meanwhile.
        # A terminal that has gone, as with a lost SSH session, must not end the collection.
        with contextlib.suppress(OSError):
            self.stream.write(f"{_ERASE_LINE}{text}\x1b[?7l{self._line}\x1b[?7h")
            self.stream.flush()
