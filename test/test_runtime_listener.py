"""The HTTP server's port."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from gevent.pywsgi import WSGIServer

from ssmd.runtime.listener import TRIES, Listener


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that gevent was asked for; each is just being taken by another process."""
    asked: list[Any] = []

    def take(cls: type, address: Any, backlog: int | None = None, family: Any = None) -> None:
        asked.append(address)
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(WSGIServer, "get_listener", classmethod(take))
    return asked


def test_a_free_port_that_another_process_takes_first_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    original = WSGIServer.get_listener
    asked: list[Any] = []

    def take_twice(cls: type, address: Any, backlog: int | None = None, family: Any = None) -> Any:
        asked.append(address)
        if len(asked) < 3:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return original(address, backlog, family)

    monkeypatch.setattr(WSGIServer, "get_listener", classmethod(take_twice))
    server = Listener(("127.0.0.1", 0), None)
    server.init_socket()
    assert server.server_port > 0
    server.socket.close()
    assert len(asked) == 3


def test_a_machine_without_free_ports_is_an_error(taken: list[Any]) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        Listener.get_listener(("127.0.0.1", 0))
    assert len(taken) == TRIES


def test_a_port_that_was_asked_for_is_tried_once(taken: list[Any]) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        Listener.get_listener(("127.0.0.1", 8080))
    assert len(taken) == 1


def test_other_errors_are_raised_at_once() -> None:
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the message depends on the system
        Listener.get_listener(("203.0.113.1", 0), family=socket.AF_INET)
    assert raised.value.errno == errno.EADDRNOTAVAIL
