"""Times as ssmd writes them: UTC with microseconds, such as 2025-12-22T10:30:00.123456Z. Pure."""

from __future__ import annotations

import functools
import re
import time
from datetime import datetime

__all__ = ["DAY_NS", "TIMESTAMP_LENGTH", "day_begins", "day_of_ns", "iso_ns", "parse_timestamp", "timestamp"]

DAY_NS = 86_400 * 1_000_000_000

TIMESTAMP_LENGTH = len("2025-12-22T10:30:00.123456Z")

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def timestamp(ns: int) -> str:
    """Return the text of a time in ns since the epoch, cut to microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{utc_second(seconds)}.{rest // 1000:06d}Z"


@functools.lru_cache(maxsize=4)
def utc_second(seconds: int) -> str:
    """Return the text of a whole second since the epoch, without the Z: 2025-12-22T10:30:00."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def parse_timestamp(text: str) -> int:
    """Return the ns since the epoch of a text as timestamp() writes it. Raises ValueError for any other."""
    if _TIMESTAMP.fullmatch(text) is None:
        raise ValueError("not a time of ssmd")
    return parse_second(text[:19].encode("ascii")) * 1_000_000_000 + int(text[20:26]) * 1000


@functools.lru_cache(maxsize=64)
def parse_second(second: bytes) -> int:
    """Return the seconds since the epoch of a text as utc_second() writes it. Raises ValueError."""
    return int(datetime.fromisoformat(second.decode("ascii") + "+00:00").timestamp())


def iso_ns(second: str, fraction: str | None, sign: str | None, hours: str | None, minutes: str | None) -> int:
    """Return the ns since the epoch of the parts of an ISO 8601 time, cut to whole ns.

    `second`: as utc_second() writes it. `fraction`: the digits of its fraction. `sign`, `hours`, `minutes`: how far the
    zone is from UTC; without a sign it is UTC. Raises ValueError when there is no such second.
    """
    seconds = parse_second(second.encode("ascii"))
    if sign is not None:
        offset = 3600 * int(hours or 0) + 60 * int(minutes or 0)
        seconds -= -offset if sign == "-" else offset
    return seconds * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0"))


def day_of_ns(ns: int) -> str:
    """Return the UTC day, YYYY-MM-DD, of a time in ns since the epoch."""
    return timestamp(ns)[: len("2025-12-22")]


def day_begins(day: str) -> int:
    """Return the midnight at which a day, YYYY-MM-DD, begins, in ns since the epoch. Raises ValueError."""
    return parse_timestamp(f"{day}T00:00:00.000000Z")
