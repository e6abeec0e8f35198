"""One request over HTTP and its answer, every part of which has a bound."""

from __future__ import annotations

import http
import http.client
import io
import time
import zlib
from typing import Any
from urllib.parse import urlsplit

import gevent

from ssmd.connector.dial import RESPONSE_HEAD_BYTES
from ssmd.connector.inflate import inflated
from ssmd.connector.strict import MessageTooBig
from ssmd.contracts.http import HttpAnswer, HttpRequest

__all__ = ["HttpCall", "is_good"]

QUOTED_BYTES = 8 * 1024
"""How much is read of a body that is no answer to the request: an error quotes the beginning."""

_PIECE = 64 * 1024


def is_good(status: int) -> bool:
    """Return whether the status of an answer says that the request has succeeded."""
    return 200 <= status < 300


class _BoundedStream(io.RawIOBase):
    """What a socket receives, up to a bound."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.left = RESPONSE_HEAD_BYTES
        """How many bytes may still come."""
        self.fault = "its answer does not end"
        """The text of the error when more come."""
        self.read_bytes = 0
        self.is_over = False
        """Whether the answer has ended, so that nothing more is read."""
        self._pause_at = _PIECE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.is_over:
            return 0
        if self.left <= 0:
            raise ConnectionError(self.fault)
        count: int = self._sock.recv_into(memoryview(buffer)[: self.left])
        self.left -= count
        self.read_bytes += count
        if self.read_bytes >= self._pause_at:
            # A fast answer never waits. No deadline could interrupt it, and nothing else would run.
            self._pause_at = self.read_bytes + _PIECE
            gevent.sleep(0)
        return count


class _Buffered(io.BufferedReader):
    """What http.client reads from. It closes this at the end of the answer."""

    def __init__(self, stream: _BoundedStream) -> None:
        super().__init__(stream)
        self._stream = stream
        self.has_more = False
        """Whether more has come than the answer."""

    def close(self) -> None:
        if not self.closed:
            self._stream.is_over = True
            self.has_more = bool(self.peek(1))
        super().close()


class HttpCall:
    """One request and its answer. `sock`: a socket that is connected to the host of the request.

    `most_bytes`: the most that the body may have, compressed and decompressed. `keep`: the server is asked to leave the
    connection open, and to compress. It is also what http.client takes for its socket.
    """

    def __init__(self, sock: Any, request: HttpRequest, most_bytes: int, *, keep: bool = False) -> None:
        self._sock = sock
        self._request = request
        self._most_bytes = most_bytes
        self._keep = keep
        self._began = time.monotonic()
        self._stream = _BoundedStream(sock)
        self._buffered = _Buffered(self._stream)
        self._body = bytearray()
        self._response: http.client.HTTPResponse | None = None
        self._is_whole = False

    def answer(self) -> HttpAnswer:
        """Return the answer, whatever its status. Of the body of one that is not is_good(), only the beginning is read.

        Raises ConnectionError when it is not what it should be, ValueError, and the errors of the socket.
        """
        try:
            response = self._ask()
            if is_good(response.status):
                self._read_body(response)
            else:
                self._read(response, QUOTED_BYTES)
            self._is_whole = response.isclosed() or response.length == 0
            response.close()
            return self._answer(response)
        except http.client.RemoteDisconnected:
            raise ConnectionError("it hung up without an answer") from None
        except http.client.IncompleteRead:
            raise ConnectionError("its answer is cut off") from None
        except http.client.HTTPException:
            raise ConnectionError("it does not answer in HTTP") from None

    def refused(self) -> HttpAnswer | None:
        """Return the answer if its head has come, and it is not is_good(); else None. The body may be cut off."""
        response = self._response
        return None if response is None or is_good(response.status) else self._answer(response)

    @property
    def received(self) -> int:
        """How many bytes have come."""
        return self._stream.read_bytes

    @property
    def may_go_on(self) -> bool:
        """Whether the answer has ended in such a way that another request can be made on the connection."""
        may_stay = self._keep and self._response is not None and not self._response.will_close
        return may_stay and self._is_whole and not self._buffered.has_more

    def _ask(self) -> http.client.HTTPResponse:
        method, url, headers, body, *_ = self._request
        parts = urlsplit(url)
        default = 443 if parts.scheme == "https" else 80
        connection: Any = http.client.HTTPConnection(parts.hostname or "", parts.port or default)
        connection.default_port = default
        connection.sock = self
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # Without ours, http.client asks for an answer that is not compressed.
        ours = {"Accept-Encoding": "gzip"} if self._keep else {"Connection": "close"}
        connection.request(method, target, body, {**ours, **headers})
        response: http.client.HTTPResponse = connection.getresponse()
        self._response = response
        return response

    @property
    def _too_long(self) -> str:
        return f"its answer is longer than {self._most_bytes:,} bytes"

    def _read_body(self, response: http.client.HTTPResponse) -> None:
        length, most = response.length, self._most_bytes
        if length is not None and length > most:
            raise ConnectionError(self._too_long)
        # Besides the body, the lengths of its chunks come.
        self._stream.left, self._stream.fault = 2 * most + RESPONSE_HEAD_BYTES, self._too_long
        self._read(response, most)
        if len(self._body) > most:
            raise ConnectionError(self._too_long)
        if length is not None and len(self._body) < length:
            raise ConnectionError(f"its answer is cut off after {len(self._body):,} of {length:,} bytes")

    def _read(self, response: http.client.HTTPResponse, size: int) -> None:
        """Read about so many bytes of the body, or one more if there are more."""
        # Not read(): it makes room for as much as the answer says that it has.
        while len(self._body) <= size and (piece := response.read1(min(_PIECE, size + 1 - len(self._body)))):
            self._body += piece

    def _answer(self, response: http.client.HTTPResponse) -> HttpAnswer:
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        try:
            body = self._decoded(headers.get("content-encoding", "").strip().lower())
        except ConnectionError:
            if is_good(response.status):
                raise
            body = b""
        return HttpAnswer(response.status, headers, body, time.monotonic() - self._began)

    def _decoded(self, encoding: str) -> bytes:
        """Return the body as it was before it was compressed: some servers compress what they are asked not to."""
        if encoding in ("", "identity"):
            return bytes(self._body)
        try:
            return inflated(bytes(self._body), encoding.removeprefix("x-"), self._most_bytes)
        except MessageTooBig:
            raise ConnectionError(self._too_long) from None
        except zlib.error:
            raise ConnectionError("its answer is compressed in a way that was not asked for, or damaged") from None

    # What http.client needs of a socket.

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._sock.send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._buffered

    def close(self) -> None:
        """Do nothing: the socket belongs to the caller."""
