"""The upgrade of an HTTP request to a WebSocket: gevent-websocket's handshake, with the exchange's checks before it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import gevent
from geventwebsocket.handler import WebSocketHandler

__all__ = ["Answer", "Gate", "UpgradeHandler", "answer", "no_upgrade"]

_log = logging.getLogger("ssmd.sim")


class Answer(NamedTuple):
    """A plain HTTP response: it refuses the upgrade, or answers another request."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    keeps_open: bool = False
    """Whether the connection stays open for further requests."""
    is_cut: bool = False
    """Whether the connection ends in the middle of the body."""


class Gate(Protocol):
    """Decides about handshakes, answers other requests, and serves the clients."""

    def opened(self, sock: Any) -> None:
        """Take note of a connection on which requests are read."""

    def closed(self, sock: Any) -> None:
        """Take note that no further request is read on a connection."""

    def admit(self, sock: Any, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Return None to let the handshake go on, or the answer that refuses it; may block."""

    def serve_client(self, sock: Any, name: str, path: str) -> None:
        """Serve the client; nothing else uses the socket any more."""


class UpgradeHandler(WebSocketHandler):  # type: ignore[misc]
    """Asks the server's `gate` before the upgrade, and gives it the bare socket afterwards."""

    websocket: Any

    def handle(self) -> None:
        sock, gate = self.socket, self.server.gate
        gate.opened(sock)
        try:
            super().handle()
        finally:
            gate.closed(sock)

    def run_application(self) -> None:
        gate: Gate = self.server.gate
        refused = gate.admit(self.socket, self.environ, self.path) or self._malformed()
        if refused is None:
            super().run_application()
            return
        self._send(refused)

    def _send(self, response: Answer) -> None:
        has_body = response.status not in (204, 304)
        headers = [*response.headers, ("Content-Type", response.content_type)]
        if not response.keeps_open:
            headers.append(("Connection", "close"))
        if has_body:
            headers.append(("Content-Length", str(len(response.body))))
        self.start_response(f"{response.status} {_phrase(response.status)}", headers)
        body = response.body[: len(response.body) // 2] if response.is_cut else response.body
        self.result = [body] if has_body else []
        self.process_result()
        if response.is_cut:
            self.close_connection = True

    def run_websocket(self) -> None:
        # The library's object must not write any more: its finaliser would send a close frame into our data.
        self.websocket.closed = True
        self.websocket = None
        # Nothing is lost with this buffer, since a client sends no frame before it has our answer. While the buffer is
        # open, closing the socket would not close the connection.
        self.rfile.close()
        host, port = self.client_address[:2]
        self.server.gate.serve_client(self.socket, f"{host}:{port}", self.path)

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """Log what went wrong before the upgrade, or instead of it."""
        self.close_connection = True
        if isinstance(error, OSError):
            _log.debug("a client left before the end of its handshake: %s", error)
        elif not isinstance(error, gevent.GreenletExit):
            _log.error("the simulator has failed in a handshake", exc_info=(kind, error, trace))
            self._send_error_response_if_possible(500)

    def log_request(self) -> None:
        """Log nothing: the library would log every refused request, and its line may hold anything."""

    def _malformed(self) -> Answer | None:
        """Return an answer to a request on which the library would fail; None when the request is well formed."""
        if self.environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            return None
        if self.request_version != "HTTP/1.1":
            return answer(505)
        if self.environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return answer(426, ("Sec-WebSocket-Version", "13"))
        try:
            sound = len(base64.b64decode(self.environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))) == 16
        except ValueError:
            sound = False
        return None if sound else answer(400)


def answer(status: int, *headers: tuple[str, str]) -> Answer:
    """Return an answer whose body is a JSON error as the exchange sends them."""
    message = _phrase(status)
    body = {"error": {"code": message.lower().replace(" ", "_"), "message": message}}
    return Answer(status, json.dumps(body, separators=(",", ":")).encode(), headers)


def no_upgrade(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application for requests that do not ask for an upgrade."""
    start_response("426 Upgrade Required", [("Content-Type", "application/json"), ("Upgrade", "websocket")])
    return [answer(426).body]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Simulated"
