"""Messages that arrive fast are read together, one that arrives after a silence at once: the rule, and over sockets."""

from __future__ import annotations

import bisect
import itertools
import time
from collections.abc import Iterable
from pathlib import Path

import gevent
import pytest
from exchange_server import TEXT, Authority, Peer, close_frame, frame, serving

from ssmd.connector.coalescing import Pauses
from ssmd.connector.config import WebSocketConfig
from ssmd.connector.websocket import WebSocketConnector
from ssmd.contracts.writer import Reads
from ssmd.errors import Disconnected
from ssmd.exchange.generic.dialect import Generic

# The rule alone: the pause that is due after the reads that a test names.

LARGE_BYTES = 16 * 1024
SECONDS = 0.0005


def times_of_reads(pauses: Pauses, arrivals: Iterable[float], size: int = 300) -> list[float]:
    """Return when messages are read that arrive at these times, when reading takes no time."""
    reads: list[float] = []
    now = 0.0
    for arrival in arrivals:
        if arrival <= now:
            continue  # It was read together with an earlier one.
        now = max(now + pauses.due, arrival)
        reads.append(now)
        pauses.learn(size, now)
    return reads


@pytest.mark.parametrize("rate", [2_100, 10_000, 50_000])
def test_over_a_longer_time_there_are_no_more_reads_than_one_in_each_pause(rate: int) -> None:
    reads = times_of_reads(Pauses(SECONDS, LARGE_BYTES), [1 + number / rate for number in range(rate)])
    assert 1 / SECONDS - 1 <= len(reads) <= 1 / SECONDS + 21


def test_below_that_rate_every_message_is_read_when_it_arrives() -> None:
    arrivals = [1 + number / 1_900 for number in range(1_900)]
    assert times_of_reads(Pauses(SECONDS, LARGE_BYTES), arrivals) == arrivals


def test_no_message_waits_longer_than_one_pause() -> None:
    arrivals = [1 + number / 7_777 for number in range(7_777)]
    reads = times_of_reads(Pauses(SECONDS, LARGE_BYTES), arrivals)
    for arrival in arrivals:
        read = reads[bisect.bisect_left(reads, arrival)]
        assert read - arrival <= SECONDS + 1e-9


def test_the_first_messages_of_a_burst_are_read_at_once() -> None:
    arrivals = [1 + number / 100_000 for number in range(20)]
    assert times_of_reads(Pauses(SECONDS, LARGE_BYTES), arrivals) == arrivals


def test_after_a_silence_another_burst_is_read_at_once() -> None:
    pauses = Pauses(SECONDS, LARGE_BYTES)
    times_of_reads(pauses, [1 + number / 100_000 for number in range(100)])
    arrivals = [2 + number / 100_000 for number in range(20)]
    assert times_of_reads(pauses, arrivals) == arrivals


def test_long_pauses_leave_three_reads_for_a_burst() -> None:
    reads = times_of_reads(Pauses(0.3, LARGE_BYTES), [1.0, 1.001, 1.002, 1.003])
    assert reads == [1.0, 1.001, 1.002, pytest.approx(1.3, abs=0.01)]


def test_after_a_large_read_the_next_one_follows_at_once() -> None:
    """The exchange sends what the full window of the socket has held back as soon as there is room again."""
    pauses = Pauses(SECONDS, LARGE_BYTES)
    times_of_reads(pauses, [1 + number / 100_000 for number in range(100)])
    assert pauses.due > 0.0
    pauses.learn(LARGE_BYTES, 1.00101)
    assert pauses.due == 0.0
    pauses.learn(300, 1.00102)
    assert pauses.due > 0.0


def test_without_coalescing_there_is_never_a_pause() -> None:
    pauses = Pauses(0.0, LARGE_BYTES)
    for turn in range(100):
        pauses.learn(300, 1.0 + turn / 100_000)
        assert pauses.due == 0.0


# Over real sockets.

COUNT = 200


def receive(url: str, coalesce_seconds: float) -> list[tuple[float, list[bytes]]]:
    """Return the messages of each read up to the end of the connection, with the time of the read."""
    config = WebSocketConfig(endpoint=url, coalesce_seconds=coalesce_seconds)
    connector = WebSocketConnector(url, Generic()({}, {}), config, direct=True)
    connector.connect()
    received: list[tuple[float, list[bytes]]] = []
    yielded: list[tuple[Reads, list[bytes]]] = []
    with pytest.raises(Disconnected, match="code 1000"):
        yielded.extend(connector.messages(time.monotonic_ns))
    for reads, payloads in yielded:
        left = iter(payloads)
        received += [(ns / 1e9, list(itertools.islice(left, count))) for ns, count in reads]
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
        received = receive(server.url, 0.1)
        seconds = time.monotonic() - began
    assert len(messages(received)) == 200_000
    # 50 MB in reads of 64 KiB; with a pause after each they would take 77 s. There is one when the socket has been read
    # empty, and then the exchange fills its window of a megabyte or more: at most 50 in all.
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
