"""The HTTP server: it answers the probes in time, whatever other clients do."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from socket import socket
from typing import Any

import gevent
from flask import Flask
from gevent.lock import BoundedSemaphore
from gevent.pywsgi import WSGIHandler

from ssmd.errors import ListenError, printable
from ssmd.runtime.listener import Listener
from ssmd.server.answers import LIVE, REQUESTED, STREAM
from ssmd.server.app import DESCRIBING, PROBES
from ssmd.server.sending import send_all
from ssmd.server.streams import Streams

__all__ = ["HealthServer"]

MAX_CONNECTIONS = 512
"""When there are more connections, the oldest is closed. With so many, a probe that has connected but not sent its
request yet survives a crowd of others that connect at the same moment. There are fewer when the process may have less
than twice as many descriptors."""
ACCEPTED_AT_ONCE = 32
"""So many connections are accepted before the requests of those that were accepted earlier are read."""
BACKLOG = 1024
"""Connections that may wait to be accepted. A probe that finds the backlog full would try again only after 1 s."""
CONNECTION_SECONDS = 5.0
"""The longest life of a connection, except while a long answer is sent to a client that goes on taking it. A probe
needs milliseconds; a client that sends its header byte by byte is cut off."""

MOST_HEAD_BYTES = 32 * 1024
"""A request with a longer head is refused. Python itself would keep 100 fields of 64 kB for each connection."""

_SOCKET = "ssmd.socket"
"""The key of the WSGI environment for the socket of the connection."""

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_log = logging.getLogger("ssmd.server")


class _Turns:
    """Wraps an app: the probes are answered at once, and all other requests one after the other.

    So many clients cannot delay the probes. After each other answer, the probes that have come meanwhile go first.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], before: Callable[[], object], streams: Streams | None
    ) -> None:
        self._app = app
        self._streams = streams
        self._before = before
        self._turn = BoundedSemaphore(1)
        self.waiting: dict[gevent.Greenlet, None] = {}
        """The greenlets that wait for their turn or have it, the oldest first."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[REQUESTED] = time.monotonic()
        if environ["PATH_INFO"] in PROBES:
            return self._app(environ, start_response)
        if environ["PATH_INFO"] == LIVE and self._streams is not None:
            return self._stream(self._streams, environ, start_response)
        self.waiting[gevent.getcurrent()] = None
        try:
            if environ["PATH_INFO"] in DESCRIBING:
                self._before()
            with self._turn:
                answer = self._app(environ, start_response)
                gevent.sleep(1e-6)  # With a timer, however short, the hub looks at its sockets; with 0 it would not.
                return answer
        finally:
            self.waiting.pop(gevent.getcurrent(), None)


    def _stream(
        self, streams: Streams, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request for a stream: with an error, or by taking the connection away from the handler."""
        head = b""

        def start(status: str, fields: list[tuple[str, str]], *failed: Any) -> Any:
            nonlocal head
            lines = [f"HTTP/1.1 {status}", *(f"{name}: {text}" for name, text in fields if name != "Content-Length")]
            head = "\r\n".join([*lines, "", ""]).encode("latin-1")
            return start_response(status, fields, *failed)

        answer = self._app(environ, start)
        if STREAM not in environ:
            return answer
        streams.take(environ[_SOCKET], environ[STREAM], head)
        raise _Taken


class _Taken(gevent.GreenletExit):  # type: ignore[misc]
    """The connection is a stream now, and the handler has to let it alone."""


class HealthServer:
    """Serves an app on gevent's WSGI server; keeps the Service contract of contracts/service.py.

    It listens from the construction on, so that a port that is in use ends the run before anything else has begun.
    Raises ListenError. Port 0 takes any free port; the attribute `port` says which. `inherited`: a socket that listens
    already, and is used instead. `before` is called before an answer that describes the run, and may take a while: no
    other answer waits for it. `streams`: those that a request for /live may begin.
    """

    def __init__(
        self,
        host: str,
        port: int,
        app: Flask,
        inherited: socket | None = None,
        before: Callable[[], object] = lambda: None,
        streams: Streams | None = None,
    ) -> None:
        self._connections: dict[gevent.Greenlet, None] = {}
        self._streams = streams
        self._turns = _Turns(app, before, streams)
        self._is_held = False
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The collector gets half of the descriptors: without one it cannot begin the files of a new day.
        self._places = sys.maxsize if allowed == resource.RLIM_INFINITY else max(1, allowed // 2)
        self._server = Listener(
            inherited or (host, port),
            self._turns,
            backlog=None if inherited else BACKLOG,
            handler_class=_Handler,
            spawn=self._spawn,
            log=None,
            error_log=None,
            environ={"SERVER_NAME": host},  # Otherwise gevent asks the name service, which can take seconds to fail.
        )
        # A connection that is closed to make room keeps its descriptor until these are accepted.
        self._server.max_accept = min(ACCEPTED_AT_ONCE, max(1, self._places // 4))
        try:
            self._server.init_socket()
        except (OSError, OverflowError, TypeError, ValueError) as error:
            raise ListenError.at(printable(host), port, error) from None
        self.port: int = self._server.server_port

    def hold(self) -> int:
        """Return a descriptor of the listening socket, which goes on listening after stop() until it is closed.

        Then stop() answers who has connected, because nobody else can.
        """
        self._is_held = True
        return os.dup(self._server.socket.fileno())

    def _spawn(self, handle: Callable[..., None], *args: Any) -> None:
        """Serve one more connection; close the oldest when there are too many, but no probe while there are others.

        A bounded pool would stop accepting instead, and idle connections would keep the kubelet's probes out.
        """
        if len(self._connections) >= min(MAX_CONNECTIONS, self._places):
            oldest = next(iter(self._turns.waiting or self._connections))
            self._turns.waiting.pop(oldest, None)
            self._connections.pop(oldest, None)
            oldest.kill(block=False)
        greenlet = gevent.spawn(handle, *args)
        self._connections[greenlet] = None
        greenlet.link(lambda ended: self._connections.pop(ended, None))

    def serve(self) -> None:
        if not self._server.closed:  # After stop() it would listen again.
            self._server.serve_forever()

    def stop(self) -> None:
        if self._streams is not None:
            self._streams.stop()
        self._server.stop(timeout=1)
        if self._is_held:
            gevent.joinall(list(self._connections), timeout=1)
        gevent.killall(list(self._connections), timeout=1)


class _Head:
    """The head of a request, up to MOST_HEAD_BYTES. Raises ValueError beyond."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MOST_HEAD_BYTES

    def readline(self, size: int) -> bytes:
        line: bytes = self._file.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise ValueError("the head is too long")
        return line


class _Handler(WSGIHandler):  # type: ignore[misc]
    """Serves one connection: one request, within CONNECTION_SECONDS. A client that goes on taking the answer gets all.

    What a client does wrong is not logged above DEBUG. gevent would print a traceback for some of it, and anybody who
    reaches the port could fill the log.
    """

    def MessageClass(self, file: Any, _: int) -> Any:
        """Read the fields of the head. What this raises goes to _handle_client_error()."""
        return super().MessageClass(_Head(file), 0)

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), _SOCKET: self.socket}

    def handle(self) -> None:
        self._deadline = gevent.Timeout(CONNECTION_SECONDS, False)
        with self._deadline, contextlib.suppress(OSError):
            super().handle()

    def _sendall(self, data: bytes | bytearray) -> None:
        """Send a part of the answer; gevent calls it for each. setup.py names the versions that were tried."""
        self._deadline.cancel()
        send_all(self.socket, data, CONNECTION_SECONDS)
        self._deadline.start()
        self.response_length += len(data)

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        """Return the status and the response for a request that is not HTTP.

        gevent has this method for subclasses, but calls it experimental; setup.py names the versions that were tried.
        """
        _log.debug("bad request", extra={"client": str(self.client_address), "error": printable(str(ex))})
        return "400", _BAD_REQUEST

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        if issubclass(t, OSError | gevent.Timeout | gevent.GreenletExit):
            self.close_connection = True
            return
        super().handle_error(t, v, tb)
