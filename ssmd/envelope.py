"""The JSONL line: a batch of messages becomes lines, and a line gives its message back. Pure.

    {"ts":"2025-12-22T10:30:00.123456Z","feed":"kalshi","data":{...the exchange's own bytes...}}

A message that is one valid JSON document is spliced in as it came: not parsed and printed again, only
the white space around it removed and a raw newline between its tokens turned into a space. Any other
message is kept as a JSON string, and a fourth key says how: "encoding":"text" or "encoding":"base64", the
latter for what is no UTF-8, or long and as text much longer still.
So every line of a file parses with Python's json, jq and DuckDB, nothing in a message can forge `ts` or
`feed`, and the original bytes can always be had back.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import re
import time
from array import array
from datetime import datetime
from typing import NamedTuple

import msgspec

__all__ = [
    "LARGEST_MESSAGE",
    "LONGEST_LINE",
    "MAX_DEPTH",
    "MAX_INTEGER_DIGITS",
    "LineEncoder",
    "Record",
    "decode_line",
    "is_utf8",
    "line_time",
    "timestamp",
]

LARGEST_MESSAGE = 1 << 30
"""More bytes than that no feed may allow its messages."""

_ROOM = 64 * 1024
"""How much longer than base64 a text may be, so that what is short stays legible."""

LONGEST_LINE = 4 * (LARGEST_MESSAGE // 3 + 1) + 2 * _ROOM
"""No line of ssmd is longer: a message as base64 or, if it is hardly longer, as text; and the keys around it."""

MAX_DEPTH = 250
"""How deep a document may nest and still be spliced in, an object counting as two levels: that is how
jq 1.6 counts, and it gives up at 256, our own object included."""

MAX_INTEGER_DIGITS = 4300
"""The longest integer that Python's json reads (sys.int_info.default_max_str_digits)."""

# A level takes two bytes or more, one to open and one to close it, so a document that is no longer needs no
# look at its depth, and none at the length of its integers. Nearly every message is shorter. Only in `{}`,
# innermost, do two bytes make two levels; hence the -1.
_SHORT = 2 * MAX_DEPTH - 1

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_JSON_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x02\xff\xfe")
_DIGITS = b"0123456789"
_LINE = re.compile(
    rb'\{"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z","feed":"([A-Za-z0-9][A-Za-z0-9._-]*)","data":'
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_TEXT_END = b',"encoding":"text"}'
_BASE64_END = b',"encoding":"base64"}'


class Record(NamedTuple):
    """One line, taken apart."""

    received_ns: int
    """Wall clock in ns since the epoch, whole microseconds."""
    feed: str
    payload: bytes
    """The message: the exchange's bytes, but for white space between tokens of valid JSON."""


def timestamp(ns: int) -> str:
    """UTC with microseconds, as in `ts`: 2025-12-22T10:30:00.123456Z."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{_utc(seconds)}.{rest // 1000:06d}Z"


@functools.lru_cache(maxsize=4)
def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class LineEncoder:
    """Turns the messages of one feed into lines.

    `feed` is a name of the metadata: letters, digits, dot, dash and underscore, so it needs no escaping.
    """

    def __init__(self, feed: str) -> None:
        self._after_ts = b'Z","feed":"%b","data":' % feed.encode("ascii")
        self._second: int | None = None
        self._before_micros = b""
        self.kept_as_string = 0
        """How many messages so far were not valid JSON and were kept as a string."""

    def encode(self, received_ns: int, payloads: list[bytes], decoded: bool = False) -> bytes:
        """One line for each payload, each ending in a newline, in order.

        `decoded` says that a strict JSON decoder has accepted every payload. Without it each payload is
        checked here, one by one, which is some ten times slower.
        """
        prefix = self._prefix(received_ns)
        if decoded and payloads and _tame(payloads):
            # Kalshi ends every frame with a newline, so the strip belongs to the fast path.
            documents = list(map(bytes.strip, payloads))
            joined = b"".join(documents)
            # Decoders skip the bytes inside the strings they skip, so UTF-8 is checked here. Joined is as
            # good as one by one: a JSON document begins and ends with ASCII.
            if b"\n" not in joined and b"\r" not in joined and is_utf8(joined):
                return b"".join((prefix, (b"}\n" + prefix).join(documents), b"}\n"))
        return b"".join([prefix + self._careful(payload) for payload in payloads])

    def _prefix(self, received_ns: int) -> bytes:
        """What stands before the data. The text of a second is kept for the next call: printing it costs the most."""
        second, rest = divmod(received_ns, 1_000_000_000)
        if second != self._second:
            self._second, self._before_micros = second, b'{"ts":"%b.' % _utc(second).encode("ascii")
        return b"%b%06d%b" % (self._before_micros, rest // 1000, self._after_ts)

    def _careful(self, payload: bytes) -> bytes:
        """What follows the prefix, for one message about which nothing is known."""
        document = payload.strip(b" \t\r\n")
        if _is_json(document):
            # Inside a JSON string a raw newline is invalid, so these stand between tokens.
            return document.replace(b"\n", b" ").replace(b"\r", b" ") + b"}\n"
        self.kept_as_string += 1
        try:
            # Everything but ASCII is escaped: some readers take U+2028 for the end of a line.
            text = json.dumps(payload.decode("utf-8")).encode("ascii")
            # An escape is six times as long as a control character.
            if len(text) <= 4 * (len(payload) // 3 + 1) + _ROOM:
                return text + _TEXT_END + b"\n"
        except UnicodeDecodeError:
            pass
        return b'"%b"%b\n' % (base64.b64encode(payload), _BASE64_END)


def decode_line(line: bytes) -> Record:
    """Take apart one line, with or without its newline. Raises ValueError when ssmd did not write it."""
    line = line.rstrip(b"\n")
    match = _LINE.match(line)
    if match is None or not line.endswith(b"}"):
        raise ValueError("not a line of ssmd")
    second, micros, feed = match.groups()
    body = line[match.end() :]
    # A valid document ends in a bracket, a quote, a digit or a letter; `"encoding"` after a comma can only
    # be the envelope's own key, for a document cannot go on after its end.
    if body.startswith(b'"') and body.endswith(_TEXT_END):
        payload = json.loads(body[: -len(_TEXT_END)]).encode("utf-8")
    elif body.startswith(b'"') and body.endswith(_BASE64_END):
        payload = base64.b64decode(body[1 : -len(_BASE64_END) - 1], validate=True)
    else:
        payload = body[:-1]
        # A page lost with the power leaves a hole in the middle of a line.
        if not _is_json(payload):
            raise ValueError("not a line of ssmd")
    return Record(_epoch(second) * 1_000_000_000 + int(micros) * 1000, feed.decode("ascii"), payload)


def line_time(text: str) -> int:
    """The ns since the epoch of a time as timestamp() writes it. Raises ValueError."""
    if _TIME.fullmatch(text) is None:
        raise ValueError("not a time of ssmd")
    return _epoch(text[:19].encode("ascii")) * 1_000_000_000 + int(text[20:26]) * 1000


@functools.lru_cache(maxsize=64)
def _epoch(second: bytes) -> int:
    return int(datetime.fromisoformat(second.decode("ascii") + "+00:00").timestamp())


def _tame(payloads: list[bytes]) -> bool:
    """No payload can be too deep, or hold too long an integer, for a common reader."""
    longest = max(map(len, payloads))
    if longest <= _SHORT:
        return True
    if max(map(_levels, payloads)) > MAX_DEPTH:
        return False
    return longest <= MAX_INTEGER_DIGITS or all(map(_no_long_integer, payloads))


def _levels(document: bytes) -> int:
    """The depth that a document cannot exceed."""
    # replace() finds a byte many at a time, count() looks at one after the other: ten times the time, where it is rare.
    lists, objects = document.replace(b"[", b""), document.replace(b"{", b"")
    return 3 * len(document) - len(lists) - 2 * len(objects)


def _no_long_integer(document: bytes) -> bool:
    # A run of more digits covers one of these positions, so there is no need to look at every byte.
    for at in range(MAX_INTEGER_DIGITS, len(document), MAX_INTEGER_DIGITS + 1):
        before, after = document[at - MAX_INTEGER_DIGITS : at + 1], document[at + 1 : at + 1 + MAX_INTEGER_DIGITS]
        leading, trailing = before.rstrip(_DIGITS), after.lstrip(_DIGITS)
        if len(before) > len(leading) and len(before + after) - len(leading + trailing) > MAX_INTEGER_DIGITS:
            return False
    return True


def is_utf8(data: bytes) -> bool:
    """Decoders of JSON skip the bytes inside the strings that they skip, so this is asked beside them."""
    if data.isascii():
        return True
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_json(document: bytes) -> bool:
    """One JSON document that every common reader takes, with nothing around it."""
    try:
        text = document.decode("utf-8")
        # msgspec is strict where Python's json is lax (NaN, lone surrogate escapes), and lax nowhere.
        _check_syntax(document)
        if _levels(document) > MAX_DEPTH and _depth(document) > MAX_DEPTH:
            return False
        if not _no_long_integer(document):
            # The digits may stand in a string or a fraction, where they do no harm: Python's json decides.
            json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _depth(document: bytes) -> int:
    # As signed bytes, opening brackets are positive and closing ones negative. A message of megabytes may be
    # all brackets, and while this runs nothing else does.
    steps = array("b", _JSON_STRING.sub(b"", document).translate(_STEPS, _NO_BRACKETS))
    return max(itertools.accumulate(steps), default=0)
