"""TLS in memory returns what the server has encrypted, wherever it is cut, and nothing else; its ends and limits."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import websocket
from exchange_server import PONG, TEXT, Authority, Peer, eventually, frame, serving
from gevent.subprocess import PIPE, Popen
from patience import PATIENCE
from test_connector_frames import LIMIT, Streams

from ssmd.connector.dial import open_socket
from ssmd.connector.frames import FrameReader
from ssmd.connector.timed_socket import TimedSocket
from ssmd.connector.tls import RAW_BYTES, TlsSocket

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Server:
    """The server's end of TLS, in memory too, so that a test decides where records and segments end."""

    def __init__(self, sock: Any, context: ssl.SSLContext) -> None:
        self.sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self._outgoing.read())
                self._incoming.write(self.sock.recv(65536))
        self.sock.sendall(self._outgoing.read())

    def records(self, *parts: bytes) -> bytes:
        """Return one encrypted record for each part, several for a part longer than 16 KiB."""
        for part in parts:
            self._tls.write(part)
        return self._outgoing.read()

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(self.records(*parts))

    def end_of_tls(self) -> bytes:
        """Return the record that ends TLS (close_notify)."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._outgoing.read()

    def recv(self, size: int) -> bytes:
        """Return what the client has sent; b"" at its end."""
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                if not (data := self.sock.recv(65536)):
                    return b""
                self._incoming.write(data)

    def exactly(self, count: int) -> Iterator[bytes]:
        while count:
            part = self.recv(min(count, 65536))
            assert part
            count -= len(part)
            yield part


class Pair:
    def __init__(self, authority: Authority) -> None:
        with socket.create_server((HOST, 0)) as listener:
            self.below = socket.create_connection(listener.getsockname())
            self.server = Server(listener.accept()[0], authority.context())
        self.server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shaking = gevent.spawn(self.server.shake_hands)
        self.client = TlsSocket(TimedSocket(self.below), ssl.create_default_context(cafile=authority.path), HOST)
        shaking.get()
        self.client.settimeout(5.0)

    def close(self) -> None:
        self.client.close()
        self.server.sock.close()


@pytest.fixture
def pair(authority: Authority) -> Iterator[Pair]:
    pair = Pair(authority)
    yield pair
    pair.close()


def receive(client: TlsSocket, size: int = 65536) -> bytes:
    """Return what one call returns."""
    view = memoryview(bytearray(size))
    return bytes(view[: client.recv_into(view)])


def receive_all(client: TlsSocket, count: int, size: int = 65536) -> bytes:
    data = b""
    while len(data) < count:
        part = receive(client, min(size, count - len(data)))
        assert part
        data += part
    return data


def reset(sock: Any) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# What is sent is what is received.


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(
    ("largest_payload", "largest_record", "largest_segment"),
    [(128, 16, 7), (700, 300, 1000), (70_000, 16_384, 1500), (70_000, 5000, 200_000)],
)
def test_frames_arrive_wherever_records_and_segments_cut_them(
    pair: Pair, seed: int, largest_payload: int, largest_record: int, largest_segment: int
) -> None:
    streams = Streams(seed * 37 + largest_record)
    chosen = [streams.stream(largest_payload) for _ in range(3)]
    stream = b"".join([part for part, _, _ in chosen]) + frame(TEXT, b"the end")
    encrypted = b""
    while stream:
        size = streams.random.choice([1, streams.random.randint(1, largest_record), largest_record])
        encrypted += pair.server.records(stream[:size])
        stream = stream[size:]

    def send() -> None:
        left = encrypted
        while left:
            size = streams.random.randint(1, largest_segment)
            pair.server.sock.sendall(left[:size])
            left = left[size:]
            if streams.random.random() < 0.2:
                gevent.sleep(0.0005)

    reader = FrameReader(LIMIT)
    reader.sock = pair.client
    reader.connected = True
    reader.begin(5)
    sending = gevent.spawn(send)
    received: list[bytes] = []
    while received[-1:] != [b"the end"]:
        received += reader.recv_batch()
    sending.get()
    pair.server.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        reader.recv_batch()
    pair.client.shutdown(socket.SHUT_WR)
    assert received[:-1] == [message for _, messages, _ in chosen for message in messages]
    assert Peer(pair.server).received() == [(PONG, ping) for _, _, pings in chosen for ping in pings]


def test_one_call_returns_all_records_that_have_arrived(pair: Pair) -> None:
    parts = [b"%d" % number * (number % 30 + 1) for number in range(500)]
    pair.server.send(*parts)
    eventually(lambda: len(pair.below.recv(RAW_BYTES, socket.MSG_PEEK)) > sum(map(len, parts)))
    assert receive(pair.client) == b"".join(parts)


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 16_384, 40_000])
def test_what_did_not_fit_is_returned_by_the_next_calls_without_waiting(pair: Pair, size: int) -> None:
    """It is decrypted only by those calls: there is never more in memory than one read of the socket."""
    data = bytes(range(256)) * 160
    pair.server.send(*[data[start : start + 320] for start in range(0, len(data), 320)])
    pair.server.send(data)
    gevent.sleep(0.05)
    pair.client.settimeout(0.0)
    received = receive(pair.client, size)
    while len(received) < 2 * len(data):
        assert 0 <= pair.client._incoming.pending <= RAW_BYTES
        received += receive(pair.client, size)
    assert received == data * 2
    with pytest.raises(BlockingIOError):
        receive(pair.client, size)


def test_a_flood_fills_each_call(pair: Pair) -> None:
    """The records' own bytes make the messages of one socket read less than a buffer; a flood must not look like
    less.
    """
    part = b"f" * 100
    sending = gevent.spawn(lambda: [pair.server.send(*[part] * 1000) for _ in range(40)])
    sizes: list[int] = []
    while sum(sizes) < 40 * 1000 * 100:
        gevent.sleep(0.002)
        sizes.append(len(receive(pair.client)))
    sending.get()
    assert max(sizes) == 65536


def test_recv_returns_no_more_than_asked_for(pair: Pair) -> None:
    pair.server.send(b"HTTP", b"/1.1")
    assert [pair.client.recv(1) for _ in range(8)] == [b"H", b"T", b"T", b"P", b"/", b"1", b".", b"1"]


# Ends.


PARTS = [b"record %d" % number for number in range(10_000)]
WHOLE = b"".join(PARTS)
ENDS = {
    "ragged": lambda server: b"",
    "in a record": lambda server: server.records(b"cut")[:-1],
    "with TLS's own": lambda server: server.end_of_tls(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("size", [100, 65536])
def test_everything_comes_before_the_end_and_then_each_call_returns_it(pair: Pair, end: Any, size: int) -> None:
    data = pair.server.records(*PARTS)
    data += end(pair.server)

    def send() -> None:
        pair.server.sock.sendall(data)
        pair.server.sock.shutdown(socket.SHUT_WR)

    sending = gevent.spawn(send)
    assert receive_all(pair.client, len(WHOLE), size) == WHOLE
    sending.get()
    assert [receive(pair.client) for _ in range(3)] == [b"", b"", b""]


@pytest.mark.parametrize("count", [1, 100, 2500])
@pytest.mark.parametrize("size", [100, 65536])
def test_everything_comes_before_a_reset(pair: Pair, count: int, size: int) -> None:
    pair.server.send(*PARTS[:count])
    gevent.sleep(0.05)  # What is still on its way would be lost with a reset.
    reset(pair.server.sock)
    gevent.sleep(0.05)
    whole = b"".join(PARTS[:count])
    assert receive_all(pair.client, len(whole), size) == whole
    with pytest.raises(ConnectionResetError):
        receive(pair.client)


class Scripted:
    """A socket with given reads; then it is reset, which a kernel reports only once."""

    def __init__(self, sock: Any, reads: list[bytes]) -> None:
        self._sock = sock
        self._reads = [*reads, None, b""]

    def recv_now(self, view: memoryview) -> int:
        if (data := self._reads.pop(0)) is None:
            raise ConnectionResetError(104, "Connection reset by peer")
        view[: len(data)] = data
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_a_reset_that_is_found_while_reading_on_is_raised_after_the_data_and_again(pair: Pair) -> None:
    pair.server.send(b"and what comes with the handshake")
    receive(pair.client)
    data = pair.server.records(b"x" * 70_000)
    pair.client._sock = Scripted(pair.client._sock, [data[:RAW_BYTES]])  # type: ignore[assignment]
    assert 48_000 < len(receive(pair.client, 100_000)) < RAW_BYTES
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            receive(pair.client)


def test_a_record_that_was_tampered_with_is_an_error_after_what_came_before(pair: Pair) -> None:
    good, bad, after = (pair.server.records(part) for part in (b"good", b"bad", b"after"))
    pair.server.sock.sendall(good + bad[:-1] + bytes([bad[-1] ^ 1]) + after)
    eventually(lambda: len(pair.below.recv(RAW_BYTES, socket.MSG_PEEK)) > len(good + bad))
    assert receive(pair.client) == b"good"
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            receive(pair.client)


# Waiting.


def test_timeouts(pair: Pair) -> None:
    pair.client.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        receive(pair.client)
    pair.client.settimeout(0.1)
    with pytest.raises(TimeoutError) as raised:
        receive(pair.client)
    assert raised.value.errno is None
    pair.server.send(b"still there")
    assert receive(pair.client) == b"still there"


def test_a_record_that_drips_in_does_not_prolong_the_timeout(pair: Pair) -> None:
    record = pair.server.records(b"d" * 200)

    def drip() -> None:
        for byte in record:
            pair.server.sock.sendall(bytes([byte]))
            gevent.sleep(0.02)

    dripping = gevent.spawn(drip)
    pair.client.settimeout(0.3)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(pair.client)
    assert time.monotonic() - began < 3
    dripping.get()
    assert receive(pair.client) == b"d" * 200


@pytest.mark.parametrize("end", [lambda client: client.shutdown(socket.SHUT_RDWR), TlsSocket.close])
def test_another_greenlet_ends_the_wait(pair: Pair, end: Any) -> None:
    def wait() -> bytes | OSError:
        try:
            return receive(pair.client)
        except OSError as error:
            return error

    waiting = gevent.spawn(wait)
    gevent.sleep(0.05)
    end(pair.client)
    assert isinstance(waiting.get(timeout=PATIENCE), OSError | bytes)


def test_what_has_arrived_is_still_decrypted_after_a_shutdown(pair: Pair) -> None:
    pair.server.send(*PARTS[:1000])
    whole = b"".join(PARTS[:1000])
    assert receive(pair.client, 10) == whole[:10]
    pair.client.shutdown(socket.SHUT_RDWR)
    assert receive_all(pair.client, len(whole) - 10) == whole[10:]
    assert receive(pair.client) == b""


# Sending.


def test_several_send_while_one_receives(pair: Pair) -> None:
    """More than the kernel takes at once, so that each send has to wait in the middle."""
    payloads = [b"a" * 12_000_000, b"b" * 1000, b"c" * 100_000]
    senders = [gevent.spawn(pair.client.send, payload) for payload in payloads]
    receiving = gevent.spawn(receive_all, pair.client, len(WHOLE))
    gevent.sleep(0.05)
    assert not senders[0].ready()
    pair.server.send(*PARTS)
    assert receiving.get() == WHOLE
    data = b"".join(payloads)
    assert b"".join(pair.server.exactly(len(data))) == data
    assert [sender.get() for sender in senders] == [len(payload) for payload in payloads]


@pytest.mark.parametrize("timeout", [0.0, 0.1])
def test_a_send_that_is_given_up_cuts_no_record(pair: Pair, timeout: float) -> None:
    pair.client.settimeout(timeout)
    with pytest.raises(BlockingIOError if timeout == 0.0 else TimeoutError):
        pair.client.send(b"a" * 12_000_000)
    pair.client.settimeout(5.0)
    sending = gevent.spawn(pair.client.send, b"z" * 1000)
    assert b"".join(pair.server.exactly(12_001_000)) == b"a" * 12_000_000 + b"z" * 1000
    sending.get()


def test_what_cannot_be_sent_costs_nothing_that_was_received(pair: Pair) -> None:
    pair.client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        pair.client.send(b"a" * 12_000_000)
    pair.server.send(b"first")
    assert receive(pair.client) == b"first"
    pair.server.send(b"second")
    reset(pair.server.sock)
    gevent.sleep(0.05)
    with contextlib.suppress(ConnectionResetError):  # The kernel may report it to the sender only.
        assert receive(pair.client) in (b"second", b"")


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_a_change_of_keys_by_the_server_is_answered(authority: Authority, tmp_path: Path) -> None:
    """The server changes its keys and asks the client to do the same; OpenSSL does that before it next sends."""
    authority.context()
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(authority.path.parent / f"{HOST}.pem")]
    with Popen([*command, "-tls1_3", "-msg"], stdin=PIPE, stdout=PIPE, stderr=subprocess.STDOUT) as process:
        said = b""

        def read_until(pattern: bytes) -> re.Match[bytes]:
            nonlocal said
            while not (found := re.search(pattern, said)):
                part = process.stdout.read1(65536)
                assert part, said
                said += part
            return found

        try:
            port = int(read_until(rb"ACCEPT \S+:(\d+)\s").group(1))
            below = TimedSocket(socket.create_connection((HOST, port)))
            client = TlsSocket(below, ssl.create_default_context(cafile=authority.path), HOST)
            client.settimeout(5.0)
            for number in range(3):
                process.stdin.write(b"before %d\n" % number)
                process.stdin.flush()
                assert receive_all(client, 9) == b"before %d\n" % number
                process.stdin.write(b"K\n")
                process.stdin.flush()
                read_until(rb">>> [^\n]*KeyUpdate")
                process.stdin.write(b"after\n")
                process.stdin.flush()
                assert receive_all(client, 6) == b"after\n"
                client.send(b"received %d\n" % number)
                read_until(rb"(?s)<<< [^\n]*KeyUpdate.*received %d" % number)
                said = b""
            client.close()
        finally:
            process.kill()


# The context.


def test_sslkeylogfile_is_obeyed(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with serving(lambda peer: peer.drained(), tls=authority.context()) as server:
        sock = open_socket(server.url)
        sock.close()
        server.result()
    assert "SERVER_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_text()


def test_a_server_with_an_untrusted_certificate_gets_an_alert_that_says_why(
    authority: Authority, tmp_path: Path
) -> None:
    """Only the authorities of the context are trusted."""
    other = Authority(tmp_path, "Other Authority")
    with (
        serving(lambda peer: peer.drained(), tls=other.context()) as server,
        socket.create_connection((HOST, server.port)) as below,
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            TlsSocket(TimedSocket(below), ssl.create_default_context(cafile=authority.path), HOST)
        assert "unknown ca" in str(server.result()).lower().replace("_", " ")


def test_frames_in_the_record_of_the_answer_to_the_handshake_are_not_lost(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of that record the handshake reads only the head of the answer."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))

    def script(peer: Peer) -> None:
        peer.upgrade(frame(TEXT, b"first") + frame(TEXT, b"second"))
        peer.drained()

    with serving(script, tls=authority.context()) as server:
        reader = FrameReader(LIMIT)
        reader.connect(server.url, socket=open_socket(server.url))
        reader.begin(5)
        assert reader.recv_batch() == [b"first", b"second"]
        reader.sock.close()
