"""Messages that arrive fast are read together, one that arrives after a silence at once: the rule, and over sockets."""

from __future__ import annotations

import time
from pathlib import Path

import gevent
import pytest
from exchange_server import TEXT, Authority, Peer, close_frame, frame, serving

from ssmd.connector.coalescing import Pauses
from ssmd.connector.config import WebSocketConfig
from ssmd.connector.websocket import WebSocketConnector
from ssmd.errors import Disconnected
from ssmd.exchange.generic.dialect import Generic

# The rule alone: the pause that is due after the reads that a test names.

READ_BYTES = 64 * 1024
SECONDS = 0.002


@pytest.mark.parametrize(
    ("rate", "pause"), [(1_000_000, SECONDS), (10_000_000, SECONDS), (20_000_000, 0.001), (100_000_000, 0.0)]
)
def test_the_higher_the_rate_the_shorter_the_pauses(rate: int, pause: float) -> None:
    pauses = Pauses(SECONDS, READ_BYTES)
    now, left = 0.0, 0.0
    while now < 1.0:
        passed = pauses.due + 0.0001
        now += passed
        left += rate * passed
        size = min(int(left), READ_BYTES)
        left -= size
        pauses.learn(size, 0.0, now, False)
    pauses.learn(300, 0.0001, now, False)
    assert pauses.due == pause


def test_a_long_pause_is_cut_to_what_one_read_can_take() -> None:
    pauses = Pauses(0.3, READ_BYTES)
    for turn in range(1, 200):
        pauses.learn(30_000 // 3, 0.0, turn * 0.1, False)  # 100 kB a second
    assert pauses.due == pytest.approx(0.245)


def test_after_a_silence_there_is_no_pause() -> None:
    pauses = Pauses(SECONDS, READ_BYTES)
    pauses.learn(300, 1.0, 1.0, False)
    assert pauses.due == 0.0
    pauses.learn(300, 0.0001, 1.0001, False)
    assert pauses.due == SECONDS


def test_a_pause_that_gathers_nothing_is_the_last() -> None:
    pauses = Pauses(SECONDS, READ_BYTES)
    pauses.learn(300, 0.0001, 1.0, False)
    assert pauses.due == SECONDS
    pauses.learn(300, 0.75 * SECONDS, 1.004, False)
    assert pauses.due == 0.0


def test_after_a_large_read_the_next_one_follows_at_once() -> None:
    """The exchange sends what the full window of the socket has held back as soon as there is room again."""
    pauses = Pauses(SECONDS, READ_BYTES)
    pauses.learn(300, 0.0001, 1.0, False)
    pauses.learn(READ_BYTES // 4, 0.0, 1.003, False)
    assert pauses.due == 0.0
    pauses.learn(300, 0.0001, 1.0031, False)
    assert pauses.due == SECONDS


def test_after_a_read_that_filled_its_room_the_next_one_follows_at_once() -> None:
    """There is little room when the beginning of a long frame is in the buffer."""
    pauses = Pauses(SECONDS, READ_BYTES)
    pauses.learn(4000, 0.0, 1.0, True)
    assert pauses.due == 0.0


def test_after_a_short_pause_a_longer_wait_is_a_silence() -> None:
    pauses = Pauses(1.0, READ_BYTES)
    for turn in range(200):
        pauses.learn(10_000, 0.0, 1.0 + turn * 0.0005, False)
    assert 0 < pauses.due < 0.01
    pauses.learn(300, 0.2, 1.4, False)
    assert pauses.due == 0.0


def test_without_coalescing_there_is_never_a_pause() -> None:
    pauses = Pauses(0.0, READ_BYTES)
    for turn in range(100):
        pauses.learn(300, 0.0, 1.0 + turn / 1000, False)
        assert pauses.due == 0.0


# Over real sockets.

COUNT = 200


def receive(url: str, coalesce_seconds: float) -> list[tuple[float, list[bytes]]]:
    """Return what is yielded up to the end of the connection, each list with the time at which it came."""
    config = WebSocketConfig(endpoint=url, coalesce_seconds=coalesce_seconds)
    connector = WebSocketConnector(url, Generic()({}, {}), config, direct=True)
    connector.connect()
    received: list[tuple[float, list[bytes]]] = []
    with pytest.raises(Disconnected, match="code 1000"):
        received.extend((time.monotonic(), payloads) for payloads in connector.messages())
    return received


def messages(received: list[tuple[float, list[bytes]]]) -> list[bytes]:
    return [payload for _, payloads in received for payload in payloads]


def steadily(peer: Peer) -> None:
    peer.upgrade()
    for number in range(COUNT):
        peer.text(b"%d" % number)
        gevent.sleep(0.001)
    peer.send(close_frame(1000))


@pytest.mark.parametrize("tls", [False, True])
def test_messages_that_arrive_fast_are_read_together(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    # The close frame follows the last one at once.
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
    # 50 MB in reads of 64 KiB; with a pause after each they would take a quarter of an hour.
    assert seconds < 30


def test_what_arrives_during_a_pause_is_read_although_the_exchange_has_closed_the_connection_by_then() -> None:
    def brief(peer: Peer) -> None:
        peer.upgrade()
        for number in range(20):
            peer.text(b"%d" % number)
            gevent.sleep(0.001)
        peer.send(close_frame(1000))

    with serving(brief) as server:
        assert messages(receive(server.url, 1.0)) == [b"%d" % number for number in range(20)]
