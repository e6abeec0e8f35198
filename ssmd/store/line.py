"""The JSONL line: a batch of messages becomes lines, and a line gives its message back. Pure.

    {"ts":"2025-12-22T10:30:00.123456Z","feed":"kalshi","data":{...the exchange's own bytes...}}

A message that is one valid JSON document is copied into the line as it came. Only the white space around it is removed,
and a raw newline between its tokens becomes a space. Any other message is kept as a JSON string, and a fourth key
says how: "encoding":"text", or "encoding":"base64" when it is not UTF-8, or so long as text that base64 is shorter.

So every line of a file parses with Python's json, jq and DuckDB, no message can forge `ts` or `feed`, and the original
bytes can always be recovered.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

from ssmd.store.head import BASE64_END, HEAD, TEXT_END
from ssmd.store.json_limits import PIECE, are_within_limits, is_json, is_utf8, pieces
from ssmd.store.looks_like import looks_like
from ssmd.store.timestamps import parse_second, utc_second

__all__ = ["LARGEST_MESSAGE", "LONGEST_LINE", "LineEncoder", "Record", "decode_line"]

LARGEST_MESSAGE = 1 << 30
"""The largest `max_message_bytes` that a feed may have."""

_ROOM = 64 * 1024
"""How many bytes longer than base64 a text may be, so that short messages stay legible."""

LONGEST_LINE = 4 * (LARGEST_MESSAGE // 3 + 1) + 2 * _ROOM
"""In bytes. A message as base64, or as text if that is hardly longer, and the keys around it."""


class Record(NamedTuple):
    """The parts of one line."""

    received_ns: int
    """Wall clock, ns since the epoch, whole microseconds."""
    feed: str
    payload: bytes
    """The message: the exchange's bytes, except for white space between tokens of valid JSON."""


class LineEncoder:
    """Turns the messages of one feed into lines.

    `feed`: a name of the metadata: letters, digits, dot, dash and underscore, so it needs no escaping. `is_expected`:
    whether a message that is not JSON is one that the exchange is known to send; such a one is not counted.
    """

    def __init__(self, feed: str, is_expected: Callable[[bytes], bool] = lambda payload: False) -> None:
        self._is_expected = is_expected
        self._after_ts = b'Z","feed":"%b","data":' % feed.encode("ascii")
        self._second: int | None = None
        self._before_micros = b""
        self.kept_as_string = 0
        """How many messages so far were not valid JSON and were kept as a string, without those that are expected."""
        self.kinds_not_json: dict[str, None] = {}
        """What these look like, each text of looks_like() once, in the order in which they came."""

    def encode(self, received_ns: int, payloads: list[bytes], decoded: bool = False) -> bytes:
        """Return one line for each payload, in order, each ending in a newline.

        `decoded`: a strict JSON decoder has accepted every payload. Otherwise each is checked here, one by one, which
        is about ten times slower.
        """
        return self.encode_reads([(received_ns, len(payloads))], payloads, decoded)

    def encode_reads(self, reads: Sequence[tuple[int, int]], payloads: list[bytes], decoded: bool) -> bytes:
        """Do what encode() does for the payloads of several reads, in order. `reads`: for each, its time and how many
        payloads it has.
        """
        if decoded and payloads and are_within_limits(payloads):
            # Kalshi ends every frame with a newline, so the strip belongs to the fast path.
            documents = list(map(bytes.strip, payloads))
            joined = b"".join(documents)
            # Decoders do not check the strings that they skip, so UTF-8 is checked here. All documents can be checked
            # together, because each begins and ends with ASCII.
            if b"\n" not in joined and b"\r" not in joined and is_utf8(joined):
                return b"".join(self._spliced(reads, documents))
            del documents, joined  # Each may be as large as the message.
        lines: list[bytes] = []
        for received_ns, count in reads:
            prefix, at = self._prefix(received_ns), len(lines)
            lines += [self._encode_unchecked(prefix, payload) for payload in payloads[at : at + count]]
        return b"".join(lines)

    def _spliced(self, reads: Sequence[tuple[int, int]], documents: list[bytes]) -> Iterator[bytes]:
        at = 0
        for received_ns, count in reads:
            prefix = self._prefix(received_ns)
            yield prefix
            yield (b"}\n" + prefix).join(documents[at : at + count])
            yield b"}\n"
            at += count

    def _prefix(self, received_ns: int) -> bytes:
        """Return what comes before the data. The text of the second is cached, because formatting it costs the most."""
        second, rest = divmod(received_ns, 1_000_000_000)
        if second != self._second:
            self._second, self._before_micros = second, b'{"ts":"%b.' % utc_second(second).encode("ascii")
        return b"%b%06d%b" % (self._before_micros, rest // 1000, self._after_ts)

    def _encode_unchecked(self, prefix: bytes, payload: bytes) -> bytes:
        """Return the line of a message that nothing has checked yet."""
        document = payload.strip(b" \t\r\n")
        if is_json(document):
            # A raw newline inside a JSON string is invalid, so these stand between tokens.
            return b"".join((prefix, document.replace(b"\n", b" ").replace(b"\r", b" "), b"}\n"))
        if not self._is_expected(payload):
            self.kept_as_string += 1
            self.kinds_not_json[looks_like(payload)] = None
        line = BytesIO()  # It grows in place, and getvalue() makes no copy: a large message is held only once.
        line.write(prefix)
        if _write_text(payload, line):
            line.write(TEXT_END)
        else:
            line.seek(len(prefix))
            line.truncate()
            _write_base64(payload, line)
            line.write(BASE64_END)
        line.write(b"\n")
        return line.getvalue()


def _write_text(payload: bytes, line: BytesIO) -> bool:
    """Write a message as a JSON string of its text.

    Returns False, with a part of it written, when it is not UTF-8, and when it would be much longer than base64: a
    control character becomes an escape of six bytes. It is escaped piece by piece, because the whole text of a large
    message could take twelve times its memory.
    """
    longest = line.tell() + 4 * (len(payload) // 3 + 1) + _ROOM
    decoder = codecs.getincrementaldecoder("utf-8")()
    line.write(b'"')
    try:
        for piece in pieces(payload):
            # Everything but ASCII is escaped: some readers take U+2028 for the end of a line.
            line.write(json.dumps(decoder.decode(piece)).encode("ascii")[1:-1])
            if line.tell() >= longest:
                return False
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    line.write(b'"')
    return True


def _write_base64(payload: bytes, line: BytesIO) -> None:
    """Write a message as a JSON string of its base64."""
    size = PIECE // 3 * 3
    line.write(b'"')
    line.writelines(base64.b64encode(payload[at : at + size]) for at in range(0, len(payload), size))
    line.write(b'"')


def decode_line(line: bytes) -> Record:
    """Return the parts of one line, with or without its newline. Raises ValueError when ssmd did not write it."""
    line = line.rstrip(b"\n")
    match = HEAD.match(line)
    if match is None or not line.endswith(b"}"):
        raise ValueError("not a line of ssmd")
    second, micros, feed = match.groups()
    body = line[match.end() :]
    # Nothing can follow a valid document, so `"encoding"` after a comma can only be the line's own key.
    if body.startswith(b'"') and body.endswith(TEXT_END):
        payload = json.loads(body[: -len(TEXT_END)]).encode("utf-8")
    elif body.startswith(b'"') and body.endswith(BASE64_END):
        payload = base64.b64decode(body[1 : -len(BASE64_END) - 1], validate=True)
    else:
        payload = body[:-1]
        # A page that was lost in a power failure leaves a hole in the middle of a line.
        if not is_json(payload):
            raise ValueError("not a line of ssmd")
    return Record(parse_second(second) * 1_000_000_000 + int(micros) * 1000, feed.decode("ascii"), payload)
