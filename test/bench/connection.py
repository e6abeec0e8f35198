"""The server's end of a WebSocket connection, plain or over TLS: the handshake, the subscription, and writing."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl

from bench.messages import acknowledgements
from ssmd.sim.frames import TEXT, encode, messages

__all__ = ["Connection", "TlsConnection", "acknowledge", "upgrade"]

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Connection:
    """The server's end of a connection; flush() sends what write() has taken."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._waiting: list[bytes] = []

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes. Raises EOFError."""
        data = b""
        while len(data) < count:
            more = self._receive(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _receive(self, most: int) -> bytes:
        return self.sock.recv(most)

    def write(self, data: bytes | memoryview) -> None:
        self._waiting.append(bytes(data))

    def flush(self) -> None:
        self.sock.sendall(b"".join(self._waiting))
        self._waiting.clear()


class TlsConnection(Connection):
    """The same over TLS, encrypted in memory: each write() makes records of its own, and many are sent by one call."""

    def __init__(self, sock: socket.socket, certificate: str) -> None:
        super().__init__(sock)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.write = self._tls.write  # type: ignore[assignment, method-assign]
        while not self._handshake_done():
            pass

    def _handshake_done(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._exchange()
            return False
        self.flush()
        return True

    def _exchange(self) -> None:
        self.flush()
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self._incoming.write(data)

    def _receive(self, most: int) -> bytes:
        while True:
            try:
                return self._tls.read(most)
            except ssl.SSLWantReadError:
                self._exchange()

    def flush(self) -> None:
        self.sock.sendall(self._outgoing.read())


def upgrade(connection: Connection) -> None:
    """Do the server's part of the opening handshake (RFC 6455, 4.2.2)."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += connection.read(1)
    [key] = [
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    ]
    accepted = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
    connection.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
    )
    connection.flush()


def acknowledge(connection: Connection) -> None:
    """Wait for the subscribe command; confirm each of its channels, as Kalshi does."""
    _, payload = next(messages(connection.read))
    command = json.loads(payload)
    for text in acknowledgements(command["id"], command["params"]["channels"]):
        connection.write(encode(TEXT, text))
    connection.flush()
