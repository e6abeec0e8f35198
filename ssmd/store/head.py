"""The head of a line, everything before its message, and where its parts are. Pure.

    {"ts":"2025-12-22T10:30:00.123456Z","feed":"kalshi","data":
"""

from __future__ import annotations

import io
import operator
import re
from collections.abc import Sequence

from ssmd.store.timestamps import TIMESTAMP_LENGTH, parse_timestamp

__all__ = [
    "DATA",
    "ENCODED_ENDS",
    "HEAD",
    "HOUR",
    "OPENING",
    "SECOND",
    "TIME",
    "TS",
    "heads_of_one_shape",
    "is_kept_as_string",
    "received_ns",
    "split",
    "time_key",
]

OPENING = b'{"ts":"'
"""How every line begins, of a data file and of a ledger."""
DATA = b',"data":'
"""The end of the head."""
HEAD = re.compile(
    rb'\{"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z","feed":"([A-Za-z0-9][A-Za-z0-9._-]*)","data":'
)
"""A head; its groups are the second, the microseconds and the feed."""

TS = slice(len(OPENING), len(OPENING) + TIMESTAMP_LENGTH)
"""The whole time in a line."""
TIME = slice(TS.start, TS.stop - 1)
"""The time without its Z."""
HOUR = slice(TS.start, TS.start + len("2025-12-22T10"))
"""The day and the hour."""
SECOND = slice(TS.start + len("2025-12-22T10:30:00"))
"""The beginning of a line up to its whole second."""
_TENS = (TS.start + len("2025-12-22T10:"), TS.start + len("2025-12-22T10:30:"))
"""The tens of the minutes and of the seconds, which end at 5."""

TEXT_END = b',"encoding":"text"}'
BASE64_END = b',"encoding":"base64"}'
ENCODED_ENDS = (TEXT_END + b"\n", BASE64_END + b"\n")
"""The end of a line whose message is kept as a string. After a JSON document only the envelope's own key can follow, so
no other line that holds a string ends like this."""

_QUOTE = ord('"')
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SHAPE = re.compile(rb'\{"ts":"0000-00-00T00:00:00\.000000Z","feed":"[A-Za-z0][A-Za-z0._-]*","data":\{?')


def time_key(line: bytes) -> bytes:
    """Return the time at which a line was received, as bytes that sort by time."""
    return line[TIME]


def received_ns(line: bytes) -> int:
    """Return the time at which a line was received, in ns since the epoch. Raises ValueError when it has none."""
    return parse_timestamp(line[TS].decode("ascii"))


def is_kept_as_string(line: bytes, start: int) -> bool:
    """Return whether the message of a line, which begins at `start`, was kept as a string."""
    return line[start] == _QUOTE and line.endswith(ENCODED_ENDS)


def split(block: bytes) -> list[bytes]:
    """Return the lines of a block, each with its newline.

    An in-memory file finds newlines many bytes at a time. bytes.split() looks at each byte, which takes six times as
    long.
    """
    return io.BytesIO(block).readlines()


def heads_of_one_shape(lines: Sequence[bytes], size: int) -> list[bytes] | None:
    """Return the first `size` bytes of each line when all are heads of that size that differ only in their digits. With
    one byte more than a head has, that must be the opening brace of the message.

    Minutes and seconds are then below 60. Days, hours and digits in the feed's name are for the caller to check.
    Returns None when a line begins in another way. It takes a few operations in C for any number of lines.
    """
    heads = list(map(operator.itemgetter(slice(size)), lines))
    joined = b"".join(heads)
    shape = heads[0].translate(_ZEROS)
    if _SHAPE.fullmatch(shape) is None or joined.translate(_ZEROS) != shape * len(heads):
        return None
    if any(joined[place::size].translate(None, b"012345") for place in _TENS):
        return None
    return heads
