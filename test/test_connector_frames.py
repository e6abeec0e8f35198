"""The frame reader returns what the library alone would, is stricter, and needs bounded time and memory."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import websocket
from exchange_server import BINARY, CLOSE, CONT, PING, PONG, TEXT, Peer, close_frame, frame

from ssmd.connector import reads
from ssmd.connector.closing import CloseFrame
from ssmd.connector.frames import FrameReader
from ssmd.connector.reads import BUFFER_BYTES
from ssmd.connector.strict import MessageTooBig
from ssmd.connector.timed_socket import TimedSocket

Closed = websocket.WebSocketConnectionClosedException
ProtocolError = websocket.WebSocketProtocolException
LIMIT = 16 << 20
EDGES = [0, 1, 2, 3, 4, 124, 125, 126, 127, 128, 65_530, 65_531, 65_532, 65_533, 65_535, 65_536, 65_537, 70_000]


class Chopped:
    """A socket whose reads end where the test wants."""

    def __init__(self, sock: Any, sizes: Iterator[int]) -> None:
        self._sock = sock
        self._sizes = sizes

    def recv(self, size: int) -> bytes:
        return bytes(self._sock.recv(min(size, next(self._sizes))))

    def recv_now(self, view: memoryview) -> int:
        return int(self._sock.recv_now(view[: next(self._sizes)]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Interrupted(Chopped):
    """A socket whose reads end where the test wants, and which has nothing to read before each of them."""

    def __init__(self, sock: Any, sizes: Iterator[int]) -> None:
        super().__init__(sock, sizes)
        self._refuses = True
        self._turns = 0

    def recv_now(self, view: memoryview) -> int:
        if self._refuses:
            raise BlockingIOError
        self._refuses = True
        return super().recv_now(view)

    def wait_while(self, until: float, work: Callable[[], bool]) -> bool:
        """Reach the time at once, as if nothing had come; the reader asks once more, and then again."""
        gevent.sleep(0)
        self._turns += 1
        self._refuses = self._turns % 2 == 1
        return False


def forever(size: int) -> Iterator[int]:
    while True:
        yield size


@contextlib.contextmanager
def streaming(stream: bytes, client: Any, sizes: Iterator[int]) -> Iterator[Peer]:
    """A server's end that sends the stream and then the end of file; the other end becomes the socket of `client`."""
    ours, theirs = socket.socketpair()
    peer = Peer(theirs)
    client.sock = Chopped(TimedSocket(ours), sizes)
    client.connected = True

    def send() -> None:
        with contextlib.suppress(OSError):
            peer.send(stream)
            theirs.shutdown(socket.SHUT_WR)

    sending = gevent.spawn(send)
    try:
        yield peer
    finally:
        sending.kill()
        ours.close()
        theirs.close()


def read_all(
    stream: bytes, *, limit: int = LIMIT, sizes: Iterator[int] | None = None, silence: float = 5
) -> tuple[list[bytes], Exception, list[tuple[int, bytes]]]:
    """Return the messages of a stream, the error that ended it, and the frames that the reader has sent."""
    reader = FrameReader(limit)
    messages: list[bytes] = []
    with streaming(stream, reader, sizes or forever(BUFFER_BYTES)) as peer:
        reader.begin(silence)
        try:
            while True:
                messages += reader.recv_batch()
        except Exception as error:
            ended = error
        reader.sock.shutdown(socket.SHUT_WR)
        return messages, ended, peer.received()


def read_plainly(stream: bytes, sizes: Iterator[int]) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    """Return the same messages and frames, as the library alone reads and sends them."""
    client = websocket.WebSocket(skip_utf8_validation=True, enable_multithread=False)
    messages = []
    with streaming(stream, client, sizes) as peer:
        sock = client.sock
        try:
            while True:
                opcode, part = client.recv_data_frame(control_frame=True)
                if opcode in (TEXT, BINARY):
                    messages.append(bytes(part.data))
        except Closed:
            pass
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        return messages, peer.received()


class Streams:
    """Random streams of every kind of frame that a server may send."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.noise = self.random.randbytes(70_000)

    def payload(self, largest: int) -> bytes:
        edges = [size for size in EDGES if size <= largest]
        size = self.random.choice([self.random.choice(edges), self.random.randint(0, min(largest, 500))])
        return self.noise[:size]

    def control(self) -> tuple[bytes, list[bytes]]:
        body = self.noise[: self.random.randint(0, 125)]
        opcode = self.random.choice([PING, PONG])
        return frame(opcode, body), [body] if opcode == PING else []

    def stream(self, largest: int) -> tuple[bytes, list[bytes], list[bytes]]:
        """Return the bytes, the messages in them, and the bodies of their pings."""
        parts: list[bytes] = []
        messages: list[bytes] = []
        pings: list[bytes] = []

        def interleave() -> None:
            while self.random.random() < 0.3:
                part, ping = self.control()
                parts.append(part)
                pings.extend(ping)

        for _ in range(self.random.randint(1, 12)):
            interleave()
            kind = self.random.random()
            payload = self.payload(largest)
            messages.append(payload)
            if kind < 0.6:
                parts.append(frame(TEXT, payload))
            elif kind < 0.75:
                parts.append(frame(BINARY, payload))
            else:
                opcode, rest = self.random.choice([TEXT, BINARY]), payload
                while self.random.random() < 0.7:
                    cut = self.random.randint(0, len(rest))
                    parts.append(frame(opcode, rest[:cut], fin=False))
                    opcode, rest = CONT, rest[cut:]
                    interleave()
                parts.append(frame(opcode, rest))
        return b"".join(parts), messages, pings

    def sizes(self, largest: int) -> Iterator[int]:
        while True:
            yield self.random.randint(1, largest)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(
    ("largest_payload", "largest_read"), [(128, 1), (128, 9), (700, 300), (70_000, 4096), (70_000, BUFFER_BYTES)]
)
def test_the_reader_returns_what_the_library_returns(seed: int, largest_payload: int, largest_read: int) -> None:
    streams = Streams(seed * 31 + largest_read)
    for _ in range(3):
        stream, messages, pings = streams.stream(largest_payload)
        ours, ended, sent = read_all(stream, sizes=streams.sizes(largest_read))
        assert ours == messages
        assert isinstance(ended, Closed)
        assert sent == [(PONG, ping) for ping in pings]
        assert (ours, sent) == read_plainly(stream, streams.sizes(largest_read))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(("largest_payload", "largest_read"), [(128, 9), (700, 300), (70_000, 20_000)])
def test_a_time_out_before_each_read_costs_nothing(
    seed: int, largest_payload: int, largest_read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a frame is cut, recv_batch() goes on there after it has raised TimeoutError.

    The payloads look like frames, so that a reader which loses its place returns parts of them as messages.
    """
    monkeypatch.setattr(reads, "GATHER_SECONDS", 0.0)  # Or a time-out in a gathering would only end it.
    streams = Streams(seed * 37 + largest_read)
    streams.noise = frame(TEXT, b"f") * (len(streams.noise) // 3 + 1)
    stream, messages, pings = streams.stream(largest_payload)
    reader = FrameReader(LIMIT)
    received: list[bytes] = []
    time_outs = 0
    with streaming(stream, reader, forever(BUFFER_BYTES)) as peer:
        reader.sock = Interrupted(reader.sock, streams.sizes(largest_read))
        reader.begin(5)
        with contextlib.suppress(Closed):
            while True:
                try:
                    received += reader.recv_batch()
                except TimeoutError:
                    time_outs += 1
        reader.sock.shutdown(socket.SHUT_WR)
        assert peer.received() == [(PONG, ping) for ping in pings]
    assert received == messages
    assert time_outs > len(stream) / largest_read


def test_one_read_gives_one_batch() -> None:
    payloads = [b"%d" % number * (number % 40 + 1) for number in range(500)]
    reader = FrameReader(LIMIT)
    with streaming(b"".join([frame(TEXT, payload) for payload in payloads]), reader, forever(BUFFER_BYTES)):
        gevent.sleep(0.05)
        reader.begin(5)
        assert reader.recv_batch() == payloads


START = frame(TEXT, b"begun", fin=False)
VIOLATIONS = {
    "masked text": frame(TEXT, b"masked", mask=b"\1\2\3\4"),
    "masked empty text": frame(TEXT, mask=b"\1\2\3\4"),
    "masked long text": frame(TEXT, b"x" * 200, mask=b"\1\2\3\4"),
    "masked ping": frame(PING, b"masked", mask=b"\1\2\3\4"),
    "masked, with only the head sent": b"\x81\xfe\x10\x00",
    "rsv1": frame(TEXT, b"compressed", rsv=4),
    "rsv2": frame(BINARY, b"x", rsv=2),
    "rsv3 ping": frame(PING, b"x", rsv=1),
    "opcode 3": frame(3, b"x"),
    "opcode 7": frame(7, b"x"),
    "opcode 11": frame(11, b"x"),
    "opcode 15": frame(15),
    "continuation of nothing": frame(CONT, b"x"),
    "unfinished continuation of nothing": frame(CONT, b"x", fin=False),
    "text in a fragmented message": START + frame(TEXT, b"in between"),
    "long text in a fragmented message": START + frame(TEXT, b"y" * 300),
    "binary in a fragmented message": START + frame(BINARY, b"in between"),
    "fragmented text in a fragmented message": START + frame(TEXT, b"again", fin=False),
    "fragmented ping": frame(PING, b"x", fin=False),
    "fragmented close": frame(CLOSE, b"\x03\xe8", fin=False),
    "ping of 126": frame(PING, b"x" * 126),
    "pong of 70,000": frame(PONG, b"x" * 70_000),
    "ping of 1 TiB, with only the head sent": struct.pack(">BBQ", 0x89, 127, 1 << 40),
    "close of 126": close_frame(1000, b"x" * 124),
    "close of 1": frame(CLOSE, b"\x03"),
    **{f"close {code}": close_frame(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)},
}


@pytest.mark.parametrize("largest_read", [1, BUFFER_BYTES])
@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_violation_ends_it_after_what_came_before(violation: bytes, largest_read: int) -> None:
    before = frame(TEXT, b"first") + frame(PING, b"p") + frame(BINARY, b"second") + frame(TEXT, b"third" * 50)
    after = frame(TEXT, b"never")
    messages, ended, sent = read_all(before + violation + after, sizes=forever(largest_read))
    assert messages == [b"first", b"second", b"third" * 50]
    assert isinstance(ended, ProtocolError), ended
    assert sent == [(PONG, b"p")]


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"", None, b""),
        (b"\x03\xe8", 1000, b""),
        (b"\x03\xe9going", 1001, b"going"),
        (b"\x0b\xb8" + b"r" * 123, 3000, b"r" * 123),
        (b"\x13\x87\xff\xfe", 4999, b"\xff\xfe"),
    ],
)
@pytest.mark.parametrize("largest_read", [1, BUFFER_BYTES])
def test_a_close_frame_comes_after_what_came_before(
    payload: bytes, code: int | None, reason: bytes, largest_read: int
) -> None:
    stream = frame(TEXT, b"first") + frame(BINARY, b"second") + frame(CLOSE, payload) + frame(TEXT, b"never")
    messages, ended, sent = read_all(stream, sizes=forever(largest_read))
    assert messages == [b"first", b"second"]
    assert isinstance(ended, CloseFrame)
    assert (ended.code, ended.reason) == (code, reason)
    assert sent == [(CLOSE, b"\x03\xef" if reason == b"\xff\xfe" else b"\x03\xe8")]  # 1007: not UTF-8.


def test_a_close_frame_inside_a_fragmented_message_is_allowed() -> None:
    messages, ended, _ = read_all(frame(TEXT, b"first") + START + close_frame(1012))
    assert messages == [b"first"]
    assert isinstance(ended, CloseFrame)
    assert ended.code == 1012


WHOLE = [b"first", b"", b"second" * 20, b"third" * 20_000, b"z"]
UNFINISHED = [
    b"",
    frame(TEXT, b"cut")[:1],
    frame(TEXT, b"cut")[:4],
    frame(TEXT, b"c" * 200)[:3],
    frame(TEXT, b"c" * 70_000)[:66_000],
    frame(BINARY, b"cut")[:4],
    frame(PING, b"cut")[:4],
    START,
]


@pytest.mark.parametrize("unfinished", UNFINISHED)
@pytest.mark.parametrize("largest_read", [1000, BUFFER_BYTES])
def test_everything_whole_comes_before_the_end(unfinished: bytes, largest_read: int) -> None:
    stream = b"".join([frame(TEXT, payload) for payload in WHOLE[:-1]]) + frame(BINARY, WHOLE[-1]) + unfinished
    messages, ended, _ = read_all(stream, sizes=forever(largest_read))
    assert messages == WHOLE
    assert isinstance(ended, Closed)


def test_everything_whole_comes_before_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader = FrameReader(LIMIT)
        reader.sock = TimedSocket(socket.create_connection(listener.getsockname()))
        peer = Peer(listener.accept()[0])
    payloads = [b"message %d" % number for number in range(8000)]
    peer.text(*payloads)
    peer.reset()
    gevent.sleep(0.05)
    reader.begin(5)
    messages: list[bytes] = []
    with contextlib.closing(reader.sock):
        while len(messages) < len(payloads):
            messages += reader.recv_batch()
        with pytest.raises(ConnectionResetError):
            reader.recv_batch()
    assert messages == payloads


@pytest.mark.parametrize("limit", [1, 2, 100, 125, 126, 1000, 65_531, 65_532, 65_535, 65_536, 100_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("largest_read", [7000, BUFFER_BYTES])
def test_the_limit_is_exact(limit: int, opcode: int, largest_read: int) -> None:
    longest = b"m" * limit
    half = (limit + 1) // 2
    fitting = frame(opcode, longest) + frame(opcode, longest[:half], fin=False) + frame(CONT, longest[half:])
    messages, ended, _ = read_all(fitting, limit=limit, sizes=forever(largest_read))
    assert messages == [longest, longest]
    assert isinstance(ended, Closed)
    longer = longest + b"!"
    for stream in (
        frame(opcode, longer),
        frame(opcode, longer, fin=False),
        frame(opcode, longer[:half], fin=False) + frame(CONT, longer[half:]),
        frame(opcode, longest, fin=False) + frame(CONT, b"", fin=False) + frame(CONT, b"!", fin=False),
    ):
        messages, ended, _ = read_all(fitting + stream, limit=limit, sizes=forever(largest_read))
        assert messages == [longest, longest]
        assert isinstance(ended, MessageTooBig)
        assert f"at most {limit:,} allowed" in str(ended)


@pytest.mark.parametrize("length", [LIMIT + 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("head", [0x81, 0x82, 0x01])
def test_a_declared_length_is_checked_before_memory_is_allocated(head: int, length: int) -> None:
    stream = frame(TEXT, b"first") + struct.pack(">BBQ", head, 127, length)
    tracemalloc.start()
    try:
        messages, ended, _ = read_all(stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert messages == [b"first"]
    assert isinstance(ended, MessageTooBig)
    assert peak < 1 << 20


def test_a_fragment_is_checked_by_its_header_too() -> None:
    """The rest of the second fragment never arrives: a reader that waited for it would end with a time-out."""
    stream = frame(BINARY, b"f" * 600, fin=False) + struct.pack(">BBH", 0x80, 126, 401)
    reader = FrameReader(1000)
    with streaming(b"", reader, forever(BUFFER_BYTES)) as peer:
        peer.send(stream)
        reader.begin(5)
        assert reader.recv_batch() == []
        with pytest.raises(MessageTooBig, match="1,001 bytes"):
            reader.recv_batch()


def test_many_small_fragments_cost_no_more_than_few() -> None:
    """If each were added to an immutable whole, 800 GB would be copied here."""
    count = 1 << 17
    stream = frame(TEXT, fin=False) + frame(CONT, b"s" * 100, fin=False) * count + frame(CONT)
    began = time.monotonic()
    messages, _, _ = read_all(stream)
    assert messages == [b"s" * 100 * count]
    assert time.monotonic() - began < 40


def test_recv_batch_returns_after_every_fragment() -> None:
    """So that other greenlets get their turn, however many fragments are in the buffer."""
    reader = FrameReader(LIMIT)
    stream = frame(TEXT, b"a", fin=False) + frame(CONT, fin=False) * 5 + frame(PING) + frame(CONT, b"b") + frame(PONG)
    with streaming(stream, reader, forever(BUFFER_BYTES)):
        reader.begin(5)
        assert [reader.recv_batch() for _ in range(9)] == [[]] * 7 + [[b"ab"], []]


@contextlib.contextmanager
def dripping(stream: bytes, seconds: float, *, at_once: bytes = b"") -> Iterator[FrameReader]:
    """A reader that gets `at_once`, then one byte of the stream at a time, and nothing after it."""
    ours, theirs = socket.socketpair()
    reader = FrameReader(LIMIT)
    reader.sock = TimedSocket(ours)
    theirs.sendall(at_once)

    def drip() -> None:
        for byte in stream:
            theirs.sendall(bytes([byte]))
            gevent.sleep(seconds)

    feeding = gevent.spawn(drip)
    with ours, theirs:
        yield reader
        feeding.kill()


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    "dripped",
    [frame(TEXT, b"d" * 100), frame(TEXT, b"d" * 200), frame(BINARY, b"d" * 100), frame(PING, b"d" * 100)],
    ids=["text", "long text", "binary", "ping"],
)
def test_bytes_that_drip_in_do_not_prolong_the_wait(dripped: bytes, started: bool) -> None:
    with dripping(dripped, 0.02, at_once=START if started else b"") as reader:
        reader.begin(0.3)
        if started:
            assert reader.recv_batch() == []
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            reader.recv_batch()
        assert 0.25 < time.monotonic() - began < 10


def test_bytes_that_drip_in_and_stop_do_not_begin_the_wait_anew() -> None:
    with dripping(frame(TEXT, b"d" * 100)[:10], 0.025) as reader:
        reader.begin(0.3)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            reader.recv_batch()
        assert 0.25 < time.monotonic() - began < 10


def test_each_fragment_begins_the_wait_anew() -> None:
    ours, theirs = socket.socketpair()
    reader = FrameReader(LIMIT)
    reader.sock = TimedSocket(ours)
    reader.begin(0.3)

    def send() -> None:
        for number in range(6):
            theirs.sendall(frame(TEXT if number == 0 else CONT, b"%d" % number, fin=number == 5))
            gevent.sleep(0.12)

    with ours, theirs:
        sending = gevent.spawn(send)
        batches = [reader.recv_batch() for _ in range(6)]
        sending.join()
    assert batches == [[]] * 5 + [[b"012345"]]


def test_time_in_which_the_caller_is_busy_is_not_silence() -> None:
    ours, theirs = socket.socketpair()
    reader = FrameReader(LIMIT)
    reader.sock = TimedSocket(ours)
    with ours, theirs:
        theirs.sendall(frame(TEXT, b"first"))
        reader.begin(0.1)
        assert reader.recv_batch() == [b"first"]
        theirs.sendall(frame(TEXT, b"second"))
        gevent.sleep(0.25)
        assert reader.recv_batch() == [b"second"]
