"""What a companion prints: its log lines become lines of our log, and the rest of stderr says why it failed."""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import Any

from ssmd.errors import printable

__all__ = ["CompanionLog"]

_LAST_LINES, _LONGEST_ERROR = 20, 400
"""How much of what it printed on stderr is kept to say why it failed: lines, and characters."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OF_THE_LINE = {"ts", "level", "logger", "event"}
_TAKEN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "companion"}
"""Names of fields that logging refuses, or that are ours."""

_log = logging.getLogger("ssmd.companions")


class CompanionLog:
    """Takes the output of one process of a companion with this name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._complaints: deque[str] = deque(maxlen=_LAST_LINES)

    def printed(self, line: bytes) -> None:
        """Log a line of its stdout."""
        _log.info(printable(line), extra={"companion": self._name})

    def complained(self, line: bytes) -> None:
        """Log a line of its stderr that is one of a log; keep any other, and an error, for reason().

        The error with which it ends is not logged: reason() has it.
        """
        entry = _entry(line)
        if entry is None:
            self._complaints.append(line.decode("utf-8", "replace"))
            return
        event = printable(str(entry["event"]), _LONGEST_ERROR)
        is_error = entry["level"] == "error"
        if is_error:
            self._complaints.append(event)
        if not (is_error and "exit_code" in entry):
            fields = {name: value for name, value in entry.items() if name not in _OF_THE_LINE | _TAKEN}
            _log.log(_LEVELS[entry["level"]], event, extra={"companion": self._name, **fields})

    def reason(self, code: int) -> str:
        """Return why it has ended with this exit code, for people."""
        last = "\n".join(map(str.rstrip, self._complaints))[-_LONGEST_ERROR:]
        return printable(last, _LONGEST_ERROR) or f"exit code {code}"


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry of ssmd's log that a line is; None for any other line."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_entry = isinstance(entry, dict) and str(entry.get("level")) in _LEVELS and isinstance(entry.get("event"), str)
    return entry if is_entry else None
