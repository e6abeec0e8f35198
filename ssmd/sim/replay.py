"""Recorded messages, read back from `.jsonl` and `.jsonl.gz`: raw frames, or the lines that ssmd itself writes."""

from __future__ import annotations

import gzip
import itertools
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from ssmd.envelope import decode_line
from ssmd.errors import UsageError

__all__ = ["Recorded", "check", "recorded"]

_log = logging.getLogger("ssmd.sim")


class Recorded(NamedTuple):
    """One recorded message; raw frames have no time."""

    payload: bytes
    received_ns: int | None


def check(path: Path) -> None:
    """Raise UsageError now, rather than when the first client is connected, if the file cannot be replayed."""
    if next(recorded(path), None) is None:
        raise UsageError(f"{path} holds no messages to replay")


def recorded(path: Path) -> Iterator[Recorded]:
    """The messages of a file in order, one line at a time, so that memory stays flat; UsageError if unreadable.

    The first line decides: if ssmd wrote it, all lines are ssmd's and give back the exchange's bytes; otherwise each
    line is a message itself, exactly as it stands there. Blank lines, which recorders of raw frames leave behind when
    a frame brought its own newline, are passed over.
    """
    try:
        with _open(path) as file:
            lines = ((number, line.removesuffix(b"\n")) for number, line in enumerate(file, 1))
            lines = ((number, line) for number, line in lines if line.strip())
            first = next(lines, None)
            if first is None:
                return
            ours = _is_ours(first[1])
            for number, line in itertools.chain((first,), lines):
                if not ours:
                    yield Recorded(line, None)
                    continue
                try:
                    record = decode_line(line)
                except ValueError:
                    # A torn last line is what a crash leaves behind; it is not a message.
                    _log.warning("%s:%d: not a line of ssmd, left out of the replay", path, number)
                    continue
                yield Recorded(record.payload, record.received_ns)
    except (OSError, EOFError, zlib.error) as error:
        # BadGzipFile is an OSError; an OSError of the system has its reason in strerror.
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot replay {path}: {reason}") from None


def _open(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _is_ours(line: bytes) -> bool:
    try:
        decode_line(line)
    except ValueError:
        return False
    return True
