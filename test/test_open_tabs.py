"""Open tabs of the page of a real collector: whatever they do, the collection goes on, and loses nothing."""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gevent
import pytest
from exchange_server import ExchangeServer, Peer, eventually, serving
from patience import PATIENCE
from process import Collector

from ssmd.server.streams import MOST_STREAMS, SEND_BYTES

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")

LONG = "x" * 4000
ESTABLISHED = "01"
MAY_GROW_MB = 8.0
"""A hundred streams that each hold an event of their own take less."""


class Feed:
    """Sends long numbered messages until end() is called."""

    def __init__(self) -> None:
        self._is_over = False
        self.sent = 0

    def send(self, peer: Peer) -> None:
        peer.upgrade()
        while not self._is_over:
            peer.text(json.dumps({"n": self.sent, "text": LONG}).encode())
            self.sent += 1
            gevent.sleep(0.01)

    def end(self, server: ExchangeServer) -> None:
        self._is_over = True
        server.result()


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    """A collector that is connected; at the end, what it has written is compared with what was sent to it."""
    feed = Feed()
    with serving(feed.send) as server, Collector(folder, server.url, exchange="generic") as collector:
        collector.start_up()
        collector.wait_for("connected")
        with tab(collector) as first:  # The first one brings what all need.
            assert event(first)
        yield collector
        feed.end(server)
        assert collector.wait() == 75
        assert [json.loads(payload)["n"] for payload in collector.payloads()] == list(range(feed.sent))


def tab(collector: Collector, least: int | None = None) -> socket.socket:
    """Open a tab. `least`: the size of its receive buffer."""
    host, port = collector.listen.split(":")
    sock = socket.socket()
    if least is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, least)
    sock.connect((host, int(port)))
    sock.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return sock


def event(sock: socket.socket) -> bytes:
    """Return the beginning of a stream, up to the end of its first event."""
    data = b""
    while b"\n\n" not in data:
        part = sock.recv(65536)
        assert part, data
        data += part
    assert b"HTTP/1.1 200 " in data
    return data


def memory_mb(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1e3


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def unread(collector: Collector) -> list[int]:
    """Return how many bytes the system keeps for each client that is connected to the collector's port."""
    port = f":{int(collector.listen.split(':')[1]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[4].split(":")[0], 16) for row in rows if row[1].endswith(port) and row[3] == ESTABLISHED]


def test_tabs_that_never_read_are_cut_off_and_take_little_memory(tmp_path):
    with collecting(tmp_path) as collector, ExitStack() as stack:
        pid = collector.process.pid
        eventually(lambda: not unread(collector))
        before, few = memory_mb(pid), descriptors(pid)
        for _ in range(MOST_STREAMS):
            stack.enter_context(tab(collector, 1024))
        eventually(lambda: descriptors(pid) >= few + MOST_STREAMS)
        kept: list[int] = []

        def all_are_cut() -> bool:
            kept.extend(unread(collector))
            return descriptors(pid) <= few

        eventually(all_are_cut)
        assert SEND_BYTES / 4 < max(kept) < 2 * SEND_BYTES
        assert memory_mb(pid) - before < MAY_GROW_MB
        with tab(collector) as another:
            assert event(another)


def test_a_tab_that_comes_and_goes_a_thousand_times_leaves_nothing(tmp_path):
    with collecting(tmp_path) as collector:
        pid = collector.process.pid
        eventually(lambda: not unread(collector))
        before, few = memory_mb(pid), descriptors(pid)
        for number in range(1000):
            with tab(collector) as sock:
                if number % 100 == 0:
                    event(sock)  # Each finds room.
        eventually(lambda: descriptors(pid) <= few)
        assert memory_mb(pid) - before < MAY_GROW_MB


def test_a_hundred_tabs_read_while_it_collects(tmp_path):
    with collecting(tmp_path) as collector, ExitStack() as stack:
        socks = [stack.enter_context(tab(collector)) for _ in range(MOST_STREAMS)]
        first = [event(sock).partition(b"\r\n\r\n")[2] for sock in socks]
        for data in first:
            assert json.loads(data.partition(b"\n\n")[0].removeprefix(b"data: "))["parts"]
        with urllib.request.urlopen(f"http://{collector.listen}/health", timeout=PATIENCE) as answer:
            assert answer.status == 200
