"""Of an exchange's addresses the first that answers is taken; the dead ones neither hold it up nor leave a socket."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
from collections.abc import Iterator

import gevent
import pytest
from exchange_server import serving

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.dial import open_socket
from ssmd.connector.websocket import WebSocketConnector
from ssmd.errors import ConnectError
from ssmd.exchange.generic import Generic

REFUSED = "127.0.0.2"  # Nothing listens there.
FORBIDDEN = "255.255.255.255"  # No TCP address at all: the kernel says no, and not that it was refused.


@contextlib.contextmanager
def silent() -> Iterator[socket.socket]:
    """A listener that answers nothing: its queue is full with one, and the kernel drops what else comes."""
    with socket.socket() as listener, socket.socket() as only:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        only.connect(listener.getsockname())
        yield listener


@pytest.fixture
def name(monkeypatch):
    """Give a host name the addresses of a test, in the order in which a resolver would."""

    def give(*addresses: tuple[str, int]) -> str:
        found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        return "ws://exchange.example/feed"

    return give


@pytest.fixture(autouse=True)
def _without_the_garbage_of_other_tests():
    gc.collect()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("dead", [REFUSED, FORBIDDEN])
def test_after_an_address_that_fails_the_next_is_taken(name, dead):
    before = descriptors()
    with serving(lambda peer: peer.drained()) as server:
        sock = open_socket(name((dead, server.port), ("127.0.0.1", server.port)), direct=True)
        assert sock.getpeername() == ("127.0.0.1", server.port)
        sock.close()
        server.result()
    assert descriptors() == before


def test_an_address_that_is_silent_does_not_hold_up_the_next(name):
    before = descriptors()
    with silent() as nobody, serving(lambda peer: peer.drained()) as server:
        with gevent.Timeout(5):
            sock = open_socket(
                name(nobody.getsockname(), nobody.getsockname(), ("127.0.0.1", server.port)), direct=True
            )
        assert sock.getpeername() == ("127.0.0.1", server.port)
        sock.close()
        server.result()
    assert descriptors() == before


def test_an_address_that_is_late_is_taken_when_no_other_answers(name):
    with silent() as late:
        opening = gevent.spawn(open_socket, name(late.getsockname(), (REFUSED, 9), (FORBIDDEN, 9)), direct=True)
        gevent.sleep(0.6)
        assert not opening.ready()
        late.accept()  # Now there is room, and the kernel tries again, a second after the first time.
        sock = opening.get(timeout=10)
        assert sock.getpeername() == late.getsockname()
        sock.close()


def test_when_no_address_answers_the_failure_of_the_first_is_told(name):
    before = descriptors()
    with pytest.raises(ConnectionRefusedError):
        open_socket(name((REFUSED, 9), (FORBIDDEN, 9)), direct=True)
    assert descriptors() == before


def test_silent_addresses_meet_the_deadline_and_leave_no_socket(name):
    with silent() as nobody:
        before, began = descriptors(), time.monotonic()
        url = name(nobody.getsockname(), nobody.getsockname())
        config = WebSocketConfig(endpoint=url)
        connector = WebSocketConnector(url, Generic({}, {}), config, direct=True, connect_seconds=1)
        with pytest.raises(ConnectError, match="no answer within 1 s"):
            connector.connect()
        assert time.monotonic() - began >= 1
        assert descriptors() == before
