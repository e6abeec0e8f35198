"""The first address of an exchange that answers is taken. The others do not delay it, and leave no socket open."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import gevent
import pytest
from descriptors import nothing_left_open
from exchange_server import serving
from patience import PATIENCE

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.dial import open_socket
from ssmd.connector.websocket import WebSocketConnector
from ssmd.errors import ConnectError
from ssmd.exchange.generic.dialect import Generic

REFUSED = "127.0.0.2"  # Nothing listens there.
FORBIDDEN = "255.255.255.255"  # Not an address for TCP: the kernel refuses with another error than "refused".


@contextlib.contextmanager
def silent() -> Iterator[socket.socket]:
    """A listener that never answers: one connection fills its queue, and the kernel drops the others."""
    with socket.socket() as listener, socket.socket() as only:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        only.connect(listener.getsockname())
        yield listener


@pytest.fixture
def name(monkeypatch):
    """Return a function that gives a host name the addresses of a test, in the order in which a resolver would."""

    def give(*addresses: tuple[str, int]) -> str:
        found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        return "ws://exchange.example/feed"

    return give


@pytest.mark.parametrize("dead", [REFUSED, FORBIDDEN])
def test_after_an_address_that_fails_the_next_is_taken(name, dead):
    with nothing_left_open(), serving(lambda peer: peer.drained()) as server:
        sock = open_socket(name((dead, server.port), ("127.0.0.1", server.port)))
        assert sock.getpeername() == ("127.0.0.1", server.port)
        sock.close()
        server.result()


def test_an_address_that_does_not_answer_does_not_hold_up_the_next(name):
    with nothing_left_open(), silent() as dead, serving(lambda peer: peer.drained()) as server:
        with gevent.Timeout(5):
            sock = open_socket(name(dead.getsockname(), dead.getsockname(), ("127.0.0.1", server.port)))
        assert sock.getpeername() == ("127.0.0.1", server.port)
        sock.close()
        server.result()


def test_an_address_that_is_late_is_taken_when_no_other_answers(name):
    with silent() as late:
        opening = gevent.spawn(open_socket, name(late.getsockname(), (REFUSED, 9), (FORBIDDEN, 9)))
        gevent.sleep(0.6)
        assert not opening.ready()
        late.accept()  # Now the queue has room, and the kernel tries again, a second after the first time.
        sock = opening.get(timeout=PATIENCE)
        assert sock.getpeername() == late.getsockname()
        sock.close()


def test_when_all_addresses_fail_the_error_of_the_first_is_raised(name):
    with nothing_left_open(), pytest.raises(ConnectionRefusedError):
        open_socket(name((REFUSED, 9), (FORBIDDEN, 9)))


def test_addresses_that_do_not_answer_are_given_up_at_the_deadline_and_leave_no_socket(name):
    with silent() as dead, nothing_left_open():
        began = time.monotonic()
        url = name(dead.getsockname(), dead.getsockname())
        config = WebSocketConfig(endpoint=url)
        connector = WebSocketConnector(url, Generic()({}, {}), config, direct=True, connect_seconds=1)
        with pytest.raises(ConnectError, match="no answer within 1 s"):
            connector.connect()
        assert time.monotonic() - began >= 1
