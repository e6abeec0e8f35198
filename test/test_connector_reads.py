"""Reads are stamped one by one and handed over together: when that happens, in which order, and with which times."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import pytest
import websocket
from exchange_server import BINARY, CONT, PING, TEXT, Authority, frame
from patience import PATIENCE
from test_connector_tls import Pair

from ssmd.connector import reads
from ssmd.connector.frames import FrameReader
from ssmd.connector.reads import BUFFER_BYTES, ENOUGH_BYTES, GATHER_SECONDS, ReadBuffer
from ssmd.connector.timed_socket import TimedSocket

Closed = websocket.WebSocketConnectionClosedException
FIN = b""


class Time:
    """A monotonic clock that stands still until a test moves it, and the wall clock of the reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(reads, "_monotonic", lambda: self.now)

    def ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


class Scripted:
    """A socket to which data comes at the times of a script; FIN is the end of the stream."""

    def __init__(self, clock: Time, script: Sequence[tuple[float, bytes | OSError]]) -> None:
        self._clock = clock
        self._left = [(clock.now + after, data) for after, data in script]

    def recv_now(self, view: memoryview) -> int:
        if not self._left or self._left[0][0] > self._clock.now:
            raise BlockingIOError
        at, data = self._left.pop(0)
        if isinstance(data, OSError):
            raise data
        if not data:
            self._left.insert(0, (at, data))
        view[: len(data)] = data
        return len(data)

    def wait_while(self, until: float, work: Callable[[], bool]) -> bool:
        while self._left and self._left[0][0] <= until:
            self._clock.now = max(self._clock.now, self._left[0][0])
            if work():
                return True
        self._clock.now = max(self._clock.now, until)
        return False

    def wait_briefly(self, work: Callable[[], bool]) -> bool:
        return self.wait_while(self._clock.now + 0.012, work)


class Gathering:
    """Reads of a scripted socket."""

    def __init__(self, clock: Time, *script: tuple[float, bytes | OSError], coalesce_seconds: float = 0.0) -> None:
        self._clock, self._began = clock, clock.now
        self._sock = Scripted(clock, script)
        self._reads = ReadBuffer(coalesce_seconds)
        self._reads.clock = clock.ns

    def next(self, patience: float = 60.0) -> list[tuple[float, bytes]]:
        """Return what is handed over next: each read with its time, in seconds after the beginning."""
        held = self._reads
        held.gather(self._sock, self._clock.now + patience)
        ends = [held.start, *(end for end, _ in held.stamps)]
        parts = [bytes(held.view[start:end]) for start, end in itertools.pairwise(ends)]
        times = [round(ns / 1e9 - self._began, 6) for _, ns in held.stamps]
        held.start = held.end
        held.stamps.clear()
        return list(zip(times, parts, strict=True))

    @property
    def elapsed(self) -> float:
        return self._clock.now - self._began


# When reads are handed over.


def test_after_a_silence_a_read_is_handed_over_at_once(clock: Time) -> None:
    gathering = Gathering(clock, (0.5, b"one"), (2.0, b"two"))
    assert gathering.next() == [(0.5, b"one")]
    assert gathering.elapsed == pytest.approx(0.5)
    assert gathering.next() == [(2.0, b"two")]
    assert gathering.elapsed == pytest.approx(2.0)


def test_reads_within_ten_milliseconds_are_handed_over_together_each_with_its_time(clock: Time) -> None:
    script = [(number / 1000, b"%d" % number) for number in range(1, 31)]
    gathering = Gathering(clock, *script)
    assert gathering.next() == script[:1]
    together = gathering.next()
    assert gathering.elapsed - 0.001 == pytest.approx(GATHER_SECONDS, abs=0.001 + 1e-6)
    assert len(together) >= 9
    rest = [gathering.next() for _ in range(2)]
    assert [*script[:1], *together, *itertools.chain(*rest)] == script


def test_what_is_held_does_not_wait_for_another_read(clock: Time) -> None:
    gathering = Gathering(clock, (0.001, b"one"), (0.002, b"two"), (5.0, b"three"))
    assert gathering.next() == [(0.001, b"one")]
    assert gathering.next() == [(0.002, b"two")]
    assert gathering.elapsed < 0.05
    assert gathering.next() == [(5.0, b"three")]


def test_reads_that_are_further_apart_than_that_never_wait(clock: Time) -> None:
    """Also after one that has waited, by chance: it must not make the next one wait, and so on."""
    apart = [(round(0.022 + 0.02 * number, 6), b"%d" % number) for number in range(5)]
    gathering = Gathering(clock, (0.001, b"one"), (0.002, b"two"), *apart)
    assert [gathering.next() for _ in range(2)] == [[(0.001, b"one")], [(0.002, b"two")]]
    for read in apart:
        assert gathering.next() == [read]
        assert gathering.elapsed == pytest.approx(read[0])


def test_three_quarters_of_the_buffer_are_handed_over_at_once(clock: Time) -> None:
    half = b"x" * (ENOUGH_BYTES // 2)
    gathering = Gathering(clock, (0.001, b"one"), (0.002, half), (0.003, half), (0.004, b"four"))
    gathering.next()
    assert gathering.next() == [(0.002, half), (0.003, half)]
    assert gathering.elapsed == pytest.approx(0.003)
    assert ENOUGH_BYTES == 48 * 1024


def test_what_is_held_does_not_wait_for_the_end_of_a_long_pause(clock: Time) -> None:
    script = [(0.0, b"one"), (0.002, b"two"), (0.02, b"three"), (0.021, b"four")]
    gathering = Gathering(clock, *script, coalesce_seconds=1.0)
    assert [gathering.next() for _ in range(3)] == [[read] for read in script[:3]]


@pytest.mark.parametrize(
    ("end", "error"),
    [(FIN, Closed), (ConnectionResetError("reset"), ConnectionResetError), (TimeoutError(110, "lost"), TimeoutError)],
)
def test_the_end_comes_after_what_is_held(clock: Time, end: bytes | OSError, error: type[Exception]) -> None:
    gathering = Gathering(clock, (0.001, b"one"), (0.002, b"two"), (0.003, b"three"), (0.004, end))
    assert gathering.next() == [(0.001, b"one")]
    assert gathering.next() == [(0.002, b"two"), (0.003, b"three")]
    assert gathering.elapsed == pytest.approx(0.004)
    for _ in range(2):
        with pytest.raises(error):
            gathering.next()


def test_without_a_read_the_wait_ends_at_its_time_and_the_next_one_reads_on(clock: Time) -> None:
    gathering = Gathering(clock, (1.5, b"one"))
    with pytest.raises(TimeoutError):
        gathering.next(1.0)
    assert gathering.elapsed == pytest.approx(1.0)
    assert gathering.next(1.0) == [(1.5, b"one")]


# The time of a message is that of the read that has completed it, over real connections.


class Counted:
    """A socket whose reads end where the test wants; with `ends` it records how far each one came."""

    def __init__(self, sock: Any, chance: random.Random) -> None:
        self._sock, self._chance = sock, chance
        self.ends = [0]

    def recv_now(self, view: memoryview) -> int:
        count: int = self._sock.recv_now(view[: self._chance.choice((1, 2, 3, 7, 50, 300, 5000, BUFFER_BYTES))])
        if count:
            self.ends.append(self.ends[-1] + count)
        return count

    def clock(self) -> int:
        return len(self.ends) - 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class PlainEnd:
    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


class PlainPair:
    """What Pair is, without TLS."""

    def __init__(self) -> None:
        below, far = socket.socketpair()
        self.client, self.server = TimedSocket(below), PlainEnd(far)

    def close(self) -> None:
        self.client.close()
        self.server.sock.close()


def random_stream(chance: random.Random) -> tuple[bytes, list[tuple[bytes, int]]]:
    """Return a stream, and each of its messages with the place at which it is complete."""
    stream, messages = b"", []
    for number in range(120):
        payload = b"%d " % number + b"x" * chance.choice((0, 1, 100, 123, 124, 1000, 1000, 20_000, 66_000))
        kind = chance.random()
        if kind < 0.1:
            stream += frame(PING, b"p" * chance.randrange(126))
            continue
        if kind < 0.2:
            cut = chance.randrange(len(payload))
            stream += frame(TEXT, payload[:cut], fin=False) + frame(PING, b"inside") + frame(CONT, payload[cut:])
        else:
            stream += frame(BINARY if kind < 0.25 else TEXT, payload)
        messages.append((payload, len(stream)))
    return stream, messages


def received(counted: Counted) -> Iterator[tuple[bytes, int]]:
    """Yield the messages of a connection to its end, each with its time."""
    reader = FrameReader(1 << 20)
    reader.sock, reader.connected = counted, True
    reader.begin(20, clock=counted.clock)
    with contextlib.suppress(Closed):
        while True:
            if payloads := reader.recv_batch():
                times = [at for at, count in reader.received for _ in range(count)]
                assert times == sorted(times)
                assert reader.held_ns is None or reader.held_ns >= times[-1]
                yield from zip(payloads, times, strict=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_each_message_has_the_time_of_the_read_that_completed_it(seed: int, tls: bool, authority: Authority) -> None:
    chance = random.Random(seed)
    stream, messages = random_stream(chance)
    pair = Pair(authority) if tls else PlainPair()
    far = pair.server

    def send() -> None:
        at = 0
        while at < len(stream):
            size = chance.choice((1, 10, 500, 5000, 60_000))
            far.send(stream[at : at + size])
            at += size
            if chance.random() < 0.3:
                gevent.sleep(chance.choice((0, 0.0005, 0.012)))
        far.sock.shutdown(socket.SHUT_WR)

    counted = Counted(pair.client, chance)
    sending = gevent.spawn(send)
    with gevent.Timeout(PATIENCE):
        found = list(received(counted))
    sending.get()
    pair.close()
    completed = [next(at for at, end in enumerate(counted.ends) if end >= stop) for _, stop in messages]
    assert [payload for payload, _ in found] == [payload for payload, _ in messages]
    assert [at for _, at in found] == completed


@pytest.mark.parametrize("is_broken", [False, True])
def test_the_end_of_tls_behind_a_message_is_found_although_the_socket_is_quiet(
    is_broken: bool, authority: Authority
) -> None:
    """What OpenSSL knows already does not wait for the socket: nothing may come any more."""
    pair = Pair(authority)
    message = pair.server.records(b"message")
    end = b"\x17\x03\x03\x00\x20" + bytes(32) if is_broken else pair.server.end_of_tls()
    pair.server.sock.sendall(message + end)
    held = ReadBuffer(0.0)
    with gevent.Timeout(PATIENCE):
        held.gather(pair.client, math.inf)
        assert bytes(held.view[: held.end]) == b"message"
        held.start = held.end
        held.stamps.clear()
        with pytest.raises(ssl.SSLError if is_broken else Closed):
            held.gather(pair.client, math.inf)
    pair.close()
