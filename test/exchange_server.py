"""A WebSocket server that follows a test's script, frame by frame and byte by byte, valid or not.

A script is a function of one Peer, which runs in a greenlet of its own for each connection. When it returns, the
connection is closed, and `result()` returns what it has returned.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from patience import PATIENCE

from ssmd.contracts.connector import Connector

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = None) -> bytes:
    """Return one frame as a server sends it or, with a mask, as a client does."""
    first, masked = (fin << 7) | (rsv << 4) | opcode, 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack(">BB", first, masked | len(payload))
    elif len(payload) < 65536:
        head = struct.pack(">BBH", first, masked | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, masked | 127, len(payload))
    return head + (mask + _unmask(payload, mask) if mask else payload)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack(">H", code) + reason)


def _unmask(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class Request(NamedTuple):
    line: str
    headers: dict[str, str]

    @property
    def names(self) -> set[str]:
        return {name.lower() for name in self.headers}


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.sent = 0

    def send(self, data: bytes) -> None:
        """Send bytes; `sent` counts those that the socket has accepted."""
        view = memoryview(data)
        while view:
            count = self.sock.send(view)
            self.sent += count
            view = view[count:]

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError(data)
            data += part
        return data

    def request(self) -> Request:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        line, *fields = head.decode().strip().split("\r\n")
        return Request(line, dict(field.split(": ", 1) for field in fields))

    def upgrade(self, also: bytes = b"", fields: str = "") -> Request:
        """Answer the handshake, with `also` in the same segment behind the answer. Return the request."""
        request = self.request()
        self.send(accepting(request, fields) + also)
        return request

    def text(self, *payloads: bytes) -> None:
        self.send(b"".join([frame(TEXT, payload) for payload in payloads]))

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the client's next frame, which must be masked and not fragmented."""
        first, second = self.read(2)
        assert first & 0xF0 == 0x80
        assert second & 0x80
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.read(8))
        mask = self.read(4)
        return first & 0x0F, _unmask(self.read(length), mask)

    def received(self) -> list[tuple[int, bytes]]:
        """Return every frame that the client still sends, up to the end of the connection."""
        frames = []
        with suppress(EOFError, OSError):
            while True:
                frames.append(self.receive())
        return frames

    def drained(self) -> bytes:
        """Return every byte that the client still sends, up to the end of the connection."""
        data = b""
        with suppress(OSError):
            while part := self.sock.recv(65536):
                data += part
        return data

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def accepting(request: Request, fields: str = "") -> bytes:
    """Return the right answer to a handshake."""
    key = hashlib.sha1(request.headers["Sec-WebSocket-Key"].encode() + _MAGIC).digest()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(key).decode()}\r\n{fields}\r\n"
    ).encode()


Script = Callable[[Peer], Any]


class ExchangeServer:
    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None) -> None:
        self._script = script
        self._tls = tls
        self._listener = socket.socket()
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self.host = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}"
        self.url = f"{self.host}/feed/v1"
        self.peers: list[Peer] = []
        self._scripts: list[gevent.Greenlet] = []
        self._accepting = gevent.spawn(self._accept)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._scripts.append(gevent.spawn(self._run, sock))

    def _run(self, sock: Any) -> Any:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            peer = Peer(sock)
            self.peers.append(peer)
            return self._script(peer)
        except (OSError, EOFError) as error:
            return error  # The client has left, as it should in many tests.
        finally:
            sock.close()

    def result(self, index: int = 0, seconds: float = PATIENCE) -> Any:
        """Return what the script of that connection has returned, or the error of the socket that ended it."""
        with gevent.Timeout(seconds):
            while len(self._scripts) <= index:
                gevent.sleep(0.005)
            return self._scripts[index].get()

    @property
    def connections(self) -> int:
        return len(self._scripts)

    def stop(self) -> None:
        self._accepting.kill()
        self._listener.close()
        gevent.killall(self._scripts)


@contextmanager
def serving(script: Script, **options: Any) -> Iterator[ExchangeServer]:
    server = ExchangeServer(script, **options)
    try:
        yield server
    finally:
        server.stop()


def lists_of(connector: Connector) -> Iterator[list[bytes]]:
    """Yield the lists that messages() yields, and check the reads that come with each: they have all of its messages,
    and their times never go back.
    """
    last_ns = 0
    for reads, payloads in connector.messages(time.monotonic_ns):
        assert sum(count for _, count in reads) == len(payloads)
        assert all(count > 0 for _, count in reads) == bool(payloads)  # A tick has its time alone.
        times = [last_ns, *(received_ns for received_ns, _ in reads), time.monotonic_ns()]
        assert times == sorted(times)
        last_ns = times[-2]
        yield payloads
        del payloads  # As the reader does: the next message may be large too.


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until a condition holds, which another greenlet brings about."""
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.005)


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        other = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment"), False)
        other |= dict.fromkeys(("data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
        may_sign = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **other)
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None), may_sign)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject: x509.Name, key: Any, *extensions: Any, days: int = 2) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
        )
        # As RFC 5280 demands: Python verifies that strictly since 3.13.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (*extensions, x509.SubjectKeyIdentifier.from_public_key(key.public_key()), issuer):
            critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def context(self, host: str = "127.0.0.1", *, days: int = 2) -> ssl.SSLContext:
        """Return a server's context with a certificate for that host, which expires in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: Any = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName([name]), days=days)
        path = self._folder / f"{host}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def dripping(data: bytes) -> Callable[[Peer], Any]:
    """Answer a request byte by byte, a hundred in a second."""

    def script(peer: Peer) -> None:
        peer.request()
        for at in range(len(data)):
            peer.send(data[at : at + 1])
            gevent.sleep(0.01)

    return script


def flooding(begin: bytes, piece: bytes) -> Callable[[Peer], Any]:
    """Answer a request without end."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(begin)
        while True:
            peer.send(piece)

    return script
