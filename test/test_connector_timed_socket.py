"""The socket with one timer for many waits, over real connections."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from patience import PATIENCE

from ssmd.connector.timed_socket import TimedSocket

Pair = tuple[TimedSocket, Any]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The socket, and the other end of its connection."""
    near, far = socket.socketpair()
    timed = TimedSocket(near)
    yield timed, far
    timed.close()
    far.close()


def test_what_has_arrived_is_read(pair: Pair) -> None:
    timed, far = pair
    far.sendall(b"one")
    assert timed.recv(10) == b"one"
    gevent.spawn_later(0.01, far.sendall, b"two")
    assert timed.recv(2) == b"tw"
    assert timed.recv(10) == b"o"


def test_the_end_of_the_stream_is_an_empty_read(pair: Pair) -> None:
    timed, far = pair
    gevent.spawn_later(0.01, far.close)
    assert timed.recv(10) == b""


@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_a_wait_ends_at_its_time(pair: Pair, seconds: float) -> None:
    timed, _ = pair
    timed.settimeout(seconds)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        timed.recv(10)
    assert time.monotonic() - began >= seconds


def test_a_second_wait_until_the_same_time_ends_too(pair: Pair) -> None:
    """A frame that comes in pieces is waited for in several waits, which all end at the time of the first."""
    timed, _ = pair
    until = time.monotonic() + 0.05
    for _ in range(3):
        with gevent.Timeout(PATIENCE):
            assert not timed.wait_while(until, lambda: True)
    assert time.monotonic() >= until


def test_a_shorter_wait_after_longer_ones_ends_at_its_own_time(pair: Pair) -> None:
    timed, far = pair
    for seconds in (3600.0, 60.0, 30.0):
        timed.settimeout(seconds)
        gevent.spawn_later(0.01, far.sendall, b"x")
        assert timed.recv(10) == b"x"
    timed.settimeout(0.05)
    with gevent.Timeout(20), pytest.raises(TimeoutError):
        timed.recv(10)


def test_the_timer_of_a_wait_that_is_over_does_not_end_the_next_one(pair: Pair) -> None:
    timed, far = pair
    timed.settimeout(0.2)
    gevent.spawn_later(0.1, far.sendall, b"x")
    assert timed.recv(10) == b"x"
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        timed.recv(10)
    assert time.monotonic() - began >= 0.2


def test_the_timer_may_end_while_nobody_waits(pair: Pair) -> None:
    timed, far = pair
    timed.settimeout(0.05)
    far.sendall(b"x")
    gevent.sleep(0.1)
    assert timed.recv(10) == b"x"
    with pytest.raises(TimeoutError):
        timed.recv(10)
    gevent.sleep(0.1)
    far.sendall(b"y")
    assert timed.recv(10) == b"y"


def test_without_waiting_nothing_is_an_error(pair: Pair) -> None:
    timed, far = pair
    timed.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        timed.recv(10)
    far.sendall(b"x")
    assert timed.recv(10) == b"x"


def test_a_greenlet_that_waits_can_be_interrupted(pair: Pair) -> None:
    timed, far = pair
    timed.settimeout(None)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        timed.recv(10)
    far.sendall(b"x")
    assert timed.recv(10) == b"x"


def test_a_shutdown_wakes_a_greenlet_that_waits(pair: Pair) -> None:
    timed, _ = pair
    timed.settimeout(None)
    waiting = gevent.spawn(timed.recv, 10)
    gevent.sleep(0.01)
    timed.shutdown(socket.SHUT_RDWR)
    assert waiting.get(timeout=PATIENCE) == b""


@pytest.mark.parametrize("loop", ["libev-cext", "libev-cffi", "libuv-cffi"])
@pytest.mark.parametrize("wait", ["wait_while(math.inf, read)", "wait_while(hour, read)", "wait_briefly(read)"])
def test_closing_ends_every_wait_with_any_event_loop_and_no_other_begins(wait: str, loop: str) -> None:
    script = f"""
from gevent import monkey
monkey.patch_all()
import math, time, gevent
from gevent import socket
from ssmd.connector.timed_socket import TimedSocket
near, far = socket.socketpair()
timed, hour = TimedSocket(near), time.monotonic() + 3600
read = lambda: bool(timed.recv_now(memoryview(bytearray(10))))
def waits():
    try:
        timed.{wait}
    except OSError as error:
        print(error.strerror)
waiting = gevent.spawn(waits)
gevent.idle()
assert not waiting.ready()
timed.close()
timed.close()
waiting.get()
waits()
"""
    environ = os.environ | {"GEVENT_LOOP": loop}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == (2 * "Bad file descriptor\n", "")


@pytest.mark.parametrize("loop", ["libev-cext", "libev-cffi", "libuv-cffi"])
def test_a_wait_without_end_after_one_with_an_end_has_no_timer_with_any_event_loop(loop: str) -> None:
    script = """
from gevent import monkey
monkey.patch_all()
import math, time, gevent
from gevent import socket
from ssmd.connector.timed_socket import TimedSocket
near, far = socket.socketpair()
timed = TimedSocket(near)
read = lambda: bool(timed.recv_now(memoryview(bytearray(10))))
far.sendall(b"x")
print(timed.wait_while(time.monotonic() + 0.05, read))
gevent.spawn_later(0.2, far.sendall, b"y")
print(timed.wait_while(math.inf, read))
"""
    environ = os.environ | {"GEVENT_LOOP": loop}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


def test_closing_ends_the_wait_of_a_greenlet(pair: Pair) -> None:
    timed, _ = pair
    timed.settimeout(None)
    waiting = gevent.spawn(outcome, timed)
    gevent.sleep(0.01)
    timed.close()
    assert isinstance(waiting.get(timeout=PATIENCE), OSError)
    assert isinstance(outcome(timed), OSError)


def outcome(timed: TimedSocket) -> bytes | OSError:
    try:
        return timed.recv(10)
    except OSError as error:
        return error


def test_what_is_called_for_each_arrival_may_raise(pair: Pair) -> None:
    timed, far = pair

    def broken() -> bool:
        raise LookupError("broken")

    far.sendall(b"x")
    with gevent.Timeout(PATIENCE), pytest.raises(LookupError, match="broken"):
        timed.wait_while(time.monotonic() + 60, broken)
    assert timed.recv(1) == b"x"


def test_what_was_called_is_not_kept(pair: Pair) -> None:
    """It may hold the socket, and the timer of a long wait would keep it open."""
    timed, far = pair

    class Reading:
        def read(self) -> bool:
            return True

    reading = Reading()
    kept = weakref.ref(reading)
    far.sendall(b"x")
    assert timed.wait_while(time.monotonic() + 60, reading.read)
    del reading
    assert kept() is None


def test_it_is_called_until_it_is_content_and_the_greenlet_goes_on_then(pair: Pair) -> None:
    timed, far = pair
    buffer = bytearray(10)
    sizes: list[int] = []

    def read() -> bool:
        sizes.append(timed.recv_now(memoryview(buffer)))
        return len(sizes) == 3

    for at, data in enumerate((b"1", b"22", b"333")):
        gevent.spawn_later(0.02 * at, far.sendall, data)
    assert timed.wait_while(time.monotonic() + 60, read)
    assert sizes == [1, 2, 3]
