"""Sending over real sockets: a slow line gets all of an answer, and who takes nothing is cut off."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from ssmd.server.sending import send_all

ROOM = 64 * 1024


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection. The system keeps much of what is sent, and little of what is received."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        client.connect(listening.getsockname())
        with listening.accept()[0] as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
            yield server, client


def test_a_slow_line_gets_all_of_an_answer_that_takes_many_times_the_limit(line) -> None:
    """Between two moments at which the system has room for more, it may take longer than the limit."""
    server, client = line
    data = bytes(range(256)) * 8192
    got = []

    def read() -> None:
        while part := client.recv(ROOM):
            got.append(part)
            gevent.sleep(0.1)

    reading = gevent.spawn(read)
    send_all(server, data, 0.3)
    assert server.gettimeout() is None
    server.shutdown(socket.SHUT_WR)
    reading.join()
    assert b"".join(got) == data
    assert len(got) >= len(data) // ROOM


def test_who_takes_some_and_then_nothing_is_cut_off(line) -> None:
    server, client = line
    reading = gevent.spawn(client.recv, ROOM)
    with pytest.raises(TimeoutError):
        send_all(server, bytes(64 << 20), 0.2)
    assert reading.get()


def test_who_has_left_is_no_bug(line) -> None:
    server, client = line
    gevent.spawn_later(0.05, client.close)
    with pytest.raises(ConnectionError):
        send_all(server, bytes(64 << 20), 60)
