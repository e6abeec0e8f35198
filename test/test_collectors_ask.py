"""Asking a collector: addresses, and answers that are late, wrong or endless."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from ports import free_port

from ssmd.collectors.ask import Address, NoAnswer, ask

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def answering(*pieces: bytes, pause: float = 0.0, close: bool = True) -> Iterator[Address]:
    """A server for one client, which sends these pieces after the request, with a pause after each."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                with client:
                    client.recv(65536)
                    for piece in pieces:
                        client.sendall(piece)
                        done.wait(pause)
                    if not close:
                        done.wait()

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield Address("127.0.0.1", listening.getsockname()[1])
        finally:
            done.set()
            serving.join()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("collector-1.example:80", ("collector-1.example", 80)),
        ("my_host:8080", ("my_host", 8080)),  # As the resolver, and Docker.
    ],
)
def test_an_address(text, address):
    assert Address.parse(text) == address
    assert str(Address(*address)) in (text, f"127.0.0.1{text}")


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", "host:0", "host:65536", "h:\u0661", "::1:80", "[h]:80", "a b:80", "a\r\nb:80", "http://h:80"],
)
def test_no_address(text):
    with pytest.raises(ValueError, match="it must be host:port, such as"):
        Address.parse(text)


def test_an_answer_that_comes_in_pieces():
    with answering(GOOD[:20], GOOD[20:]) as address:
        assert ask(address) == b"{}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "it hung up without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it does not answer in HTTP"),
        (GOOD[:-1], "its answer is cut off"),
        (GOOD.replace(b"200", b"404"), "it has no /status: it is another program, or an earlier version of ssmd"),
        (GOOD.replace(b"200", b"403"), "it answers with the status 403"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(5_000_000), "it sends more than any collector"),
    ],
)
def test_an_answer_that_is_none(answer, reason):
    with answering(answer) as address, pytest.raises(NoAnswer) as found:
        ask(address)
    assert str(found.value) == reason


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 200 OK\r\n"], [b"x"] * 1000], ids=["nothing", "part", "trickle"])
def test_who_does_not_end_is_given_up_in_time(pieces):
    with answering(*pieces, pause=0.05, close=False) as address:
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=r"no answer within 0\.3 s"):
            ask(address, 0.3)
        assert time.monotonic() - began >= 0.3


def test_nobody_listens():
    with pytest.raises(NoAnswer, match="connection refused"):
        ask(Address("127.0.0.1", free_port()))
