"""The request over HTTP that comes before the connection, and its answer, every part of which has a bound."""

from __future__ import annotations

import http
import http.client
import io
import zlib
from typing import Any
from urllib.parse import urlsplit

import websocket

from ssmd.connector.dial import RESPONSE_HEAD_BYTES
from ssmd.connector.inflate import inflated
from ssmd.connector.refusal import REDIRECTS
from ssmd.connector.strict import MessageTooBig
from ssmd.contracts.http import HttpRequest

__all__ = ["ANSWER_BYTES", "HttpCall"]

ANSWER_BYTES = 1 << 20
"""The most that the body of an answer may have. Honest ones have a few hundred bytes."""

QUOTED_BYTES = 8 * 1024
"""How much of the body of a refusal is read: an error quotes the beginning."""

_PIECE = 64 * 1024

_TOO_LONG = f"its answer is longer than {ANSWER_BYTES:,} bytes"


class _BoundedStream(io.RawIOBase):
    """What a socket receives, up to a bound."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.left = RESPONSE_HEAD_BYTES
        """How many bytes may still come."""
        self.fault = "its answer does not end"
        """The text of the error when more come."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # An endless answer never waits, so that no deadline could interrupt it.
        if self.left <= 0:
            raise ConnectionError(self.fault)
        count: int = self._sock.recv_into(memoryview(buffer)[: self.left])
        self.left -= count
        return count


class HttpCall:
    """One request and its answer. `sock`: a socket that is connected to the host of the request.

    It is also what http.client takes for its socket.
    """

    def __init__(self, sock: Any, request: HttpRequest) -> None:
        self._sock = sock
        self._request = request
        self._stream = _BoundedStream(sock)
        self._body = bytearray()
        self.response: http.client.HTTPResponse | None = None
        """The status and the headers; None while they have not come."""

    def answer(self) -> bytes:
        """Return the body of the answer.

        Raises WebSocketBadStatusException when it is a refusal, ConnectionError when it is not what it should be,
        ValueError, and the errors of the socket.
        """
        try:
            self._ask()
            self._require_good()
            return self._whole_body()
        except http.client.RemoteDisconnected:
            raise ConnectionError("it hung up without an answer") from None
        except http.client.IncompleteRead:
            raise ConnectionError("its answer is cut off") from None
        except http.client.HTTPException:
            raise ConnectionError("it does not answer in HTTP") from None

    def refused(self) -> websocket.WebSocketBadStatusException | None:
        """Return the answer if it is a refusal whose head has come, else None. The body may be cut off or endless."""
        response = self.response
        if response is None or 200 <= response.status < 300 or response.status in REDIRECTS:
            return None
        headers = {name.lower(): value for name, value in response.getheaders()}
        try:
            body = self._decoded()
        except ConnectionError:
            body = b""
        return websocket.WebSocketBadStatusException("refused", response.status, None, headers, body)

    def _ask(self) -> None:
        method, url, headers, body, *_ = self._request
        parts = urlsplit(url)
        default = 443 if parts.scheme == "https" else 80
        connection: Any = http.client.HTTPConnection(parts.hostname or "", parts.port or default)
        connection.default_port = default
        connection.sock = self
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # http.client itself asks for an answer that is not compressed.
        connection.request(method, target, body, {"Connection": "close", **headers})
        self.response = connection.getresponse()

    def _require_good(self) -> None:
        status = 0 if self.response is None else self.response.status
        if status in REDIRECTS:
            # They are not followed: a key would go to the host that is named there.
            raise ConnectionError("it redirects")
        if not 200 <= status < 300:
            self._read(QUOTED_BYTES)
            refused = self.refused()
            raise refused if refused is not None else ConnectionError("it does not answer in HTTP")

    def _whole_body(self) -> bytes:
        self._stream.left, self._stream.fault = ANSWER_BYTES + 1, _TOO_LONG
        length = self.response.length if self.response is not None else None
        if length is not None and length > ANSWER_BYTES:
            raise ConnectionError(_TOO_LONG)
        self._read(ANSWER_BYTES)
        if length is not None and len(self._body) < length:
            raise ConnectionError(f"its answer is cut off after {len(self._body):,} of {length:,} bytes")
        return self._decoded()

    def _read(self, size: int) -> None:
        """Read about so many bytes of the body, if there are as many."""
        response = self.response
        # Not read(): it makes room for as much as the answer says that it has.
        while response is not None and len(self._body) <= size and (piece := response.read1(_PIECE)):
            self._body += piece
        if size == ANSWER_BYTES and len(self._body) > size:
            raise ConnectionError(_TOO_LONG)

    def _decoded(self) -> bytes:
        """Return the body as it was before it was compressed: some servers compress what they are asked not to."""
        encoding = "" if self.response is None else self.response.getheader("content-encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return bytes(self._body)
        try:
            return inflated(bytes(self._body), encoding.removeprefix("x-"), ANSWER_BYTES)
        except MessageTooBig:
            raise ConnectionError(_TOO_LONG) from None
        except zlib.error:
            raise ConnectionError("its answer is compressed, although that was not asked for") from None

    # What http.client needs of a socket.

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._sock.send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._stream)

    def close(self) -> None:
        """Do nothing: the socket belongs to the caller."""
