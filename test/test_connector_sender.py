"""What a connection sends: whole frames, within a bound of time, and nothing after one that was not sent whole."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import websocket
from exchange_server import PING, TEXT, Peer, close_frame, frame
from test_connector_frames import LIMIT, forever, streaming

from ssmd.connector.closing import CloseFrame
from ssmd.connector.frames import FrameReader
from ssmd.connector.reads import BUFFER_BYTES
from ssmd.connector.sender import ANSWER_SECONDS, FrameSender


@contextlib.contextmanager
def connected() -> Iterator[tuple[FrameSender, Peer]]:
    """A sender and its server, joined by sockets that buffer a few kilobytes."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sender = FrameSender()
    sender.sock = ours
    sender.set_mask_key(bytes)  # With zeros, so that a test knows every byte that is sent.
    with ours, theirs:
        yield sender, Peer(theirs)


def assert_torn(received: bytes, whole: bytes) -> None:
    """The beginning of a frame was received, and nothing behind it."""
    assert 0 < len(received) < len(whole)
    assert whole.startswith(received)


def test_texts_are_sent_whole_and_in_order_however_slowly_they_are_read() -> None:
    texts = [b"%d" % number * 3000 for number in range(20)]
    with connected() as (sender, peer):
        sending = gevent.spawn(sender.send_texts, texts, 60)
        gevent.sleep(0.02)
        assert not sending.ready()
        assert [peer.receive() for _ in texts] == [(TEXT, text) for text in texts]
        sending.get()
        assert not sender.stalled


def test_texts_that_are_not_read_in_time_raise_and_nothing_follows_them() -> None:
    with connected() as (sender, peer):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            sender.send_texts([b"first", b"x" * 1_000_000], 0.2)
        assert 0.15 < time.monotonic() - began < 10
        assert sender.stalled
        assert peer.receive() == (TEXT, b"first")
        with pytest.raises(TimeoutError):
            sender.send_texts([b"later"], 60)
        with pytest.raises(websocket.WebSocketException, match="the frame before was not sent whole"):
            sender.send(b"later")
        sender.pong(b"later")
        sender.send_close()
        sender.sock.shutdown(socket.SHUT_WR)
        assert_torn(peer.drained(), frame(TEXT, b"x" * 1_000_000, mask=bytes(4)))


def test_on_a_broken_connection_texts_are_dropped_without_an_error() -> None:
    with connected() as (sender, peer):
        peer.sock.close()
        sender.send_texts([b"first", b"second"], 60)
        sender.send_texts([b"third"], 60)
        assert not sender.stalled


def test_what_interrupts_a_send_from_outside_is_raised_and_nothing_follows() -> None:
    """The deadline of connect(), for example."""
    with connected() as (sender, peer):
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.1):
            sender.send_texts([b"x" * 1_000_000], 60)
        sender.send_close()
        sender.sock.shutdown(socket.SHUT_WR)
        assert_torn(peer.drained(), frame(TEXT, b"x" * 1_000_000, mask=bytes(4)))


class Stuck:
    """A socket that takes some bytes to send and then no more, until it fails as the test wants."""

    def __init__(self, sock: Any, taken: int, failure: Exception) -> None:
        self._sock = sock
        self._failure = failure
        self.left = taken
        self.timeouts: list[float | None] = []
        self.sent = b""

    def send(self, data: bytes) -> int:
        if not self.left:
            self.timeouts.append(self._sock.gettimeout())
            raise self._failure
        taken = data[: self.left]
        self.left -= len(taken)
        self.sent += taken
        return len(taken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


@pytest.mark.parametrize(
    "failure",
    [TimeoutError("timed out"), BrokenPipeError(32, "Broken pipe"), ssl.SSLError("protocol is shutdown")],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("taken", [0, 3, 9, 12])
def test_an_answer_that_cannot_be_sent_costs_little_and_is_the_last(
    taken: int, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Another would be read as the rest of it. What the exchange has sent is read to its end, its close frame too.

    A warning is logged only when the exchange does not read: when the connection is broken, the end of the run says so.
    """
    reader = FrameReader(LIMIT)
    stream = (frame(PING, b"p") + frame(TEXT, b"first")) * 3 + frame(TEXT, b"last") + close_frame(1000)
    with streaming(stream, reader, forever(BUFFER_BYTES)):
        reader.sock = stuck = Stuck(reader.sock, taken, failure)
        reader.begin(9)
        messages: list[bytes] = []
        with contextlib.suppress(CloseFrame):
            while True:
                messages += reader.recv_batch()
        assert messages == [b"first"] * 3 + [b"last"]
        stuck.left = 1000
        reader.send_close()
    assert stuck.timeouts == [ANSWER_SECONDS]
    assert len(stuck.sent) == taken
    assert ANSWER_SECONDS <= 1
    assert len(caplog.records) == isinstance(failure, TimeoutError)
