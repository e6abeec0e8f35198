"""Asks a collector for its /status: one request, which ends in time whatever the other side does."""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from typing import Any, NamedTuple

__all__ = ["SECONDS", "Address", "NoAnswer", "ask"]

SECONDS = 5.0
"""How long an answer may take."""
_MOST_BYTES = 4 * 1024 * 1024
"""An answer is some 10 kB, and grows with channels and outages."""
_PIECE = 64 * 1024
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")


class NoAnswer(Exception):
    """The collector has not answered; the text says why, in a few words for people."""


class Address(NamedTuple):
    """Where a collector serves its /status, over plain HTTP."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address of `host:port`, `[ipv6]:port`, or `:port` on this host. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        host = (host.removeprefix("[").removesuffix("]") if host.startswith("[") else host) or "127.0.0.1"
        is_port = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536
        is_ipv6 = text.startswith("[")
        if not (colon and is_port and _HOST.fullmatch(host) and (":" in host) == is_ipv6):
            raise ValueError("it must be host:port, such as 127.0.0.1:8080")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def ask(address: Address, seconds: float = SECONDS) -> bytes:
    """Return the body of /status. Raises NoAnswer.

    It asks directly, without a proxy that the environment may name for the exchange.
    """
    until = time.monotonic() + seconds
    try:
        with socket.create_connection(address, timeout=seconds) as sock:
            sock.sendall(f"GET /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer = _all_of(sock, until)
    except TimeoutError:
        raise NoAnswer(f"no answer within {seconds:g} s") from None
    except socket.gaierror:
        raise NoAnswer("there is no host of that name, or the name service does not answer") from None
    except (OSError, UnicodeError) as error:
        raise NoAnswer((getattr(error, "strerror", None) or str(error)).lower()) from None
    return _body(answer)


def _all_of(sock: socket.socket, until: float) -> bytes:
    """Return all that comes until the other side closes. Raises TimeoutError, OSError and NoAnswer."""
    answer = bytearray()
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        piece = sock.recv(_PIECE)
        if not piece:
            return bytes(answer)
        answer += piece
        if len(answer) > _MOST_BYTES:
            raise NoAnswer("it sends more than any collector")


class _Received:
    """What was received, as http.client wants its socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._answer)


def _body(answer: bytes) -> bytes:
    """Return the body of an answer. Raises NoAnswer when it is cut off, or none of a collector."""
    if not answer:
        raise NoAnswer("it hung up without an answer")
    response = http.client.HTTPResponse(_Received(answer))  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read()
    except http.client.IncompleteRead:
        raise NoAnswer("its answer is cut off") from None
    except (http.client.HTTPException, ValueError, OverflowError):
        raise NoAnswer("it does not answer in HTTP") from None
    if response.status == 404:
        raise NoAnswer("it has no /status: it is another program, or an earlier version of ssmd")
    if response.status != 200:
        raise NoAnswer(f"it answers with the status {response.status}")
    return body
