"""Reading together what comes fast, and at once what comes after a silence, over real sockets."""

from __future__ import annotations

import time
from pathlib import Path

import gevent
import pytest
from exchange_server import TEXT, Authority, Peer, close_frame, frame, serving

from ssmd.connector.websocket import WebSocketConnector
from ssmd.errors import Disconnected
from ssmd.exchange.generic import Generic


def receive(url: str, coalesce_seconds: float) -> list[tuple[float, list[bytes]]]:
    """What comes up to the end of the connection, each list with when it came."""
    connector = WebSocketConnector(url, Generic({}, {}), coalesce_seconds=coalesce_seconds, direct=True)
    connector.connect()
    received: list[tuple[float, list[bytes]]] = []
    with pytest.raises(Disconnected, match="code 1000"):
        received.extend((time.monotonic(), payloads) for payloads in connector.messages())
    return received


def messages(received: list[tuple[float, list[bytes]]]) -> list[bytes]:
    return [payload for _, payloads in received for payload in payloads]


COUNT = 200


def steadily(peer: Peer) -> None:
    peer.upgrade()
    for number in range(COUNT):
        peer.text(b"%d" % number)
        gevent.sleep(0.001)
    peer.send(close_frame(1000))


@pytest.mark.parametrize("tls", [False, True])
def test_what_comes_fast_is_read_together(tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with serving(steadily, tls=authority.context() if tls else None) as server:
        one_by_one, together = receive(server.url, 0.0), receive(server.url, 0.05)
    assert messages(one_by_one) == messages(together) == [b"%d" % number for number in range(COUNT)]
    assert len(together) < COUNT / 4 < len(one_by_one)


def test_after_a_silence_a_message_is_read_at_once() -> None:
    sent = []

    def now_and_then(peer: Peer) -> None:
        peer.upgrade()
        for number in range(4):
            gevent.sleep(1.0)
            sent.append(time.monotonic())
            peer.text(b"%d" % number)
        peer.send(close_frame(1000))

    with serving(now_and_then) as server:
        received = receive(server.url, 0.6)
    assert messages(received) == [b"0", b"1", b"2", b"3"]
    # The close frame comes right after the last.
    assert max(came - went for (came, _), went in zip(received, sent, strict=True)) < 0.4


def test_a_flood_is_not_slowed_down() -> None:
    flood = frame(TEXT, b"x" * 250) * 1000

    def flooding(peer: Peer) -> None:
        peer.upgrade()
        for _ in range(200):
            peer.send(flood)
        peer.send(close_frame(1000))

    with serving(flooding) as server:
        began = time.monotonic()
        received = receive(server.url, 1.0)
        seconds = time.monotonic() - began
    assert len(messages(received)) == 200_000
    # 50 MB in reads of 64 KiB; with a nap after each they would take a quarter of an hour.
    assert seconds < 30


def test_what_lies_ready_at_the_end_is_read() -> None:
    """A nap must not outlast what the exchange still says before it hangs up."""

    def brief(peer: Peer) -> None:
        peer.upgrade()
        for number in range(20):
            peer.text(b"%d" % number)
            gevent.sleep(0.001)
        peer.send(close_frame(1000))

    with serving(brief) as server:
        assert messages(receive(server.url, 1.0)) == [b"%d" % number for number in range(20)]
