"""A broken or hostile network, seen by a real `ssmd run`: lost packets, endless answers, wrong certificates."""

import itertools
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
import pytest
from exchange_server import CONT, PING, TEXT, Authority, Peer, close_frame, frame, serving
from patience import PATIENCE
from process import Collector, Process, Simulator

from ssmd.runtime.queue import QUEUE_BYTES

PLAIN_MB = 60
LARGE_MESSAGE_MB = 5 * (16 << 20) / 1e6
QUEUE_MB = QUEUE_BYTES / 1e6
"""In docs/reliability.md: the memory of a plain run, what a message takes, and what may wait for the disk."""

CONNECT_SECONDS = 10
ACTS_WITHIN = 2
"""The seconds that docs/reliability.md gives a time-out of the network to act."""

in_namespaces = [pytest.mark.needs_root, pytest.mark.needs("ip", "iptables", "network namespaces")]


class Network:
    """Two hosts and a cable: the network namespaces `here`, of the collector, and `there`, of the exchange."""

    HERE, THERE = "192.0.2.1", "192.0.2.2"

    def __init__(self) -> None:
        self._names = [f"ssmd-{os.getpid()}-{side}" for side in ("here", "there")]
        self.here, self.there = (("ip", "netns", "exec", name) for name in self._names)
        self._cable = f"v{os.getpid()}"

    def build(self) -> None:
        for name in self._names:
            run("ip", "netns", "add", name)
        here, there = self._names
        ends = [f"{self._cable}a", "netns", here, "type", "veth", "peer", f"{self._cable}b", "netns", there]
        run("ip", "link", "add", *ends)
        for name, link, address in ((here, "a", self.HERE), (there, "b", self.THERE)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", f"{self._cable}{link}")
            run("ip", "-n", name, "link", "set", f"{self._cable}{link}", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", here, "route", "add", "default", "via", self.THERE)

    def lose_packets(self) -> None:
        run(*self.here, "iptables", "-A", "INPUT", "!", "-i", "lo", "-j", "DROP")

    def cut_here(self) -> None:
        run("ip", "-n", self._names[0], "link", "set", f"{self._cable}a", "down")

    def cut_there(self) -> None:
        run("ip", "-n", self._names[1], "link", "set", f"{self._cable}b", "down")

    def remove(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    try:
        network.build()
        yield network
    finally:
        network.remove()


class Exchange(Process):
    """A simulator at the other end of the cable."""

    def __init__(self, network: Network, rate: int) -> None:
        super().__init__("sim", "--listen", f"{network.THERE}:0", "--rate", str(rate), prefix=network.there)
        self.endpoint: str = self.wait_for("serving")["endpoint"]


def assert_whole(collector: Collector) -> None:
    """Check that everything received is in the file: every line, and every number of each subscription."""
    stopped = collector.events[-1]
    assert stopped["event"] == "stopped"
    assert (stopped["gaps"], collector.other) == (0, [])
    sequences: dict[int, list[int]] = defaultdict(list)
    lines = collector.lines()
    assert len(lines) == stopped["messages"]
    for line in lines:
        message = json.loads(line)["data"]
        if "seq" in message:
            sequences[message["sid"]].append(message["seq"])
    assert sequences
    for sequence in sequences.values():
        assert sequence == list(range(1, 1 + len(sequence)))


# Half-open connections.


@pytest.mark.parametrize(
    ("breakage", "rate"), [(Network.lose_packets, 300), (Network.lose_packets, 0), (Network.cut_here, 0)]
)
class TestHalfOpenConnection:
    pytestmark = in_namespaces

    def test_it_is_noticed_and_everything_received_is_in_the_file(self, tmp_path, network, breakage, rate):
        idle = 2
        version = f"  idle_timeout_seconds: {idle}\n"
        with (
            Exchange(network, rate) as exchange,
            Collector(tmp_path, exchange.endpoint, version=version, prefix=network.here) as collector,
        ):
            collector.wait_for_lines(500)
            breakage(network)
            began = time.monotonic()
            assert collector.wait() == 75
            assert idle - 0.5 < time.monotonic() - began < idle + ACTS_WITHIN
        assert "for 2 s, not even an answer to our ping" in collector.events[-1]["reason"]
        assert collector.events[-1]["messages"] >= 500
        assert_whole(collector)


# Connecting.


def assert_given_up_in_time(folder: Path, endpoints: Sequence[str], prefix: Sequence[str] = ()) -> None:
    """Check that runs end with 69 at the deadline, and take little memory until then; all run at the same time."""
    with ExitStack() as stack:
        collectors = [
            stack.enter_context(Collector(folder / str(number), endpoint, prefix=prefix))
            for number, endpoint in enumerate(endpoints)
        ]
        ends = [gevent.spawn(watch, collector) for collector in collectors]
        for collector, end in zip(collectors, ends, strict=True):
            ended, peak = end.get()
            assert collector.wait() == 69
            assert CONNECT_SECONDS <= collector.lasted() < CONNECT_SECONDS + ACTS_WITHIN
            stopped = datetime.fromisoformat(collector.events[-1]["ts"]).timestamp()
            assert ended - stopped < CONNECT_SECONDS + ACTS_WITHIN, "the process did not end after the run"
            assert peak < PLAIN_MB
            assert "no answer within 10 s" in collector.events[-1]["reason"]
            assert (collector.events[-1]["messages"], collector.other) == (0, [])


def watch(collector: Collector) -> tuple[float, float]:
    """Wait until the collector has ended; return the time then, since the epoch, and its highest memory in MB."""
    peak = 0.0
    status = Path("/proc", str(collector.process.pid), "status")
    while collector.process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())  # It is missing once the process has ended.
        peak = max(peak, int(found[1]) / 1e3 if found else 0.0)
        gevent.sleep(0.01)
    return time.time(), peak


@pytest.mark.needs_root
@pytest.mark.needs("ip", "iptables", "network namespaces")
def test_a_host_that_answers_nothing_is_given_up_in_time(tmp_path, network, monkeypatch):
    """Neither the exchange answers nor, for a name, the name servers, whose own time-outs are much longer."""
    resolv = Path("/etc/netns", network.here[-1], "resolv.conf")
    resolv.parent.mkdir(parents=True)
    try:
        resolv.write_text("".join(f"nameserver 192.0.2.{number}\n" for number in (2, 3, 4)))
        network.lose_packets()
        endpoints = ["ws://192.0.2.2:9/feed", "wss://192.0.2.2:9/feed", "ws://exchange.test/feed"]
        assert_given_up_in_time(tmp_path, endpoints, network.here)
    finally:
        resolv.unlink()
        resolv.parent.rmdir()


@pytest.mark.needs_root
@pytest.mark.needs("ip", "network namespaces")
@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("ws://192.0.2.2:9/feed", "Connection refused"),
        ("ws://192.0.2.77:9/feed", "No route to host"),
        ("ws://[2001:db8::1]:9/feed", "Network is unreachable"),
    ],
)
def test_a_connection_that_the_network_refuses_ends_the_run_at_once(tmp_path, network, endpoint, reason):
    with Collector(tmp_path, endpoint, prefix=network.here) as collector:
        assert collector.wait() == 69
    # For a host that does not exist the kernel gives up after three ARP requests.
    assert collector.lasted() < (3.5 if "route" in reason else 0) + ACTS_WITHIN
    assert reason in collector.events[-1]["reason"]
    assert collector.other == []


# Endless and giant answers.


BLOCK = b"x" * (1 << 20)


def giant_frame(peer: Peer, declared: int = 1 << 30) -> None:
    peer.upgrade()
    peer.send(frame(TEXT, b"{}") + struct.pack(">BBQ", 0x81, 127, declared))
    while True:
        peer.send(BLOCK)


def giant_frame_of_eight_exabytes(peer: Peer) -> None:
    giant_frame(peer, (1 << 63) - 1)


def endless_fragments(peer: Peer, size: int = 60_000) -> None:
    peer.upgrade()
    peer.send(frame(TEXT, b"{}") + frame(TEXT, b"[", fin=False))
    fragments = frame(CONT, b"1" * size, fin=False) * max(1, 60_000 // size)
    while True:
        peer.send(fragments + frame(PING, b"still there?"))


def endless_small_fragments(peer: Peer) -> None:
    endless_fragments(peer, 120)


def endless_head(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\n")
    for number in itertools.count():
        peer.send(b"".join([b"X-%d: %d\r\n" % (number, field) for field in range(1000)]))


def header_of_64_mib(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nX-Giant: ")
    for _ in range(64):
        peer.send(BLOCK)
    peer.send(b"\r\n\r\n")
    peer.drained()


def status_line_of_64_mib(peer: Peer) -> None:
    peer.request()
    for _ in range(64):
        peer.send(BLOCK)
    peer.drained()


def endless_body(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 99999999999\r\n\r\n")
    while True:
        peer.send(BLOCK)


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        (giant_frame, 75, "a message of 1,073,741,824 bytes"),
        (giant_frame_of_eight_exabytes, 75, "a message of 9,223,372,036,854,775,807 bytes"),
        (endless_fragments, 75, "at most 16,777,216 allowed"),
        (endless_small_fragments, 75, "at most 16,777,216 allowed"),
        (endless_head, 69, "does not end"),
        (header_of_64_mib, 69, "does not end"),
        (status_line_of_64_mib, 69, "does not end"),
        (endless_body, 69, "503 Service Unavailable"),
    ],
)
def test_an_endless_answer_is_not_kept_in_memory(tmp_path, script, code, reason):
    with serving(script) as server, Collector(tmp_path, server.url, exchange="generic") as collector:
        _, peak = watch(collector)
        assert collector.wait() == code
        assert collector.lasted() < CONNECT_SECONDS + ACTS_WITHIN
        assert peak < PLAIN_MB + (LARGE_MESSAGE_MB if code == 75 else 0)
        assert collector.other == []
        assert reason in collector.events[-1]["reason"]
        assert collector.payloads() == ([b"{}"] if code == 75 else [])


@pytest.mark.one_day
def test_many_messages_of_the_largest_size_do_not_fill_the_memory(tmp_path):
    """Each may have 16 MiB: the queue is bounded in bytes, not in messages."""
    count, message = 12, b'"%s"' % (b"m" * ((16 << 20) - 2))

    def script(peer: Peer) -> None:
        peer.upgrade()
        for _ in range(count):
            peer.send(frame(TEXT, message))
        peer.send(close_frame(1000))
        peer.drained()

    with serving(script) as server, Collector(tmp_path, server.url, exchange="generic") as collector:
        _, peak = watch(collector)
        assert collector.wait() == 75
        [file] = collector.data.glob("*/test.jsonl")
        size = file.stat().st_size
        file.unlink()
    assert collector.events[-1]["messages"] == count
    assert size > count * len(message)
    assert peak < PLAIN_MB + LARGE_MESSAGE_MB + QUEUE_MB


def dripping(peer: Peer) -> None:
    peer.request()
    for byte in itertools.chain(b"HTTP/1.1 101 Switching Protocols\r\nX-Drip: ", itertools.repeat(ord("d"))):
        peer.send(bytes([byte]))
        gevent.sleep(1)


def test_a_handshake_that_does_not_end_is_given_up_in_time(tmp_path):
    """One that is answered byte by byte, one without an answer in TLS, and a connection that is not accepted."""
    with (
        serving(dripping) as server,
        serving(lambda peer: gevent.sleep(60)) as silent,
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.create_connection(full.getsockname()),
    ):
        urls = [server.url, silent.url.replace("ws:", "wss:"), f"ws://127.0.0.1:{full.getsockname()[1]}/"]
        assert_given_up_in_time(tmp_path, urls)


# TLS.


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


def relaying(simulator: Simulator) -> Callable[[Peer], Any]:
    """Return a script that relays to a simulator and back, as a proxy that ends TLS in front of an exchange."""
    port = int(re.search(r":(\d+)/", simulator.endpoint).group(1))

    def script(peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", port)) as behind:
            there = gevent.spawn(pump, peer.sock, behind)
            try:
                pump(behind, peer.sock)
            finally:
                there.kill()

    return script


def pump(source: Any, target: Any) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_valid_certificate_is_accepted(tmp_path, authority, host):
    with (
        Simulator("--rate", "500") as simulator,
        serving(relaying(simulator), tls=authority.context(host)) as server,
        Collector(
            tmp_path,
            f"wss://{host}:{server.port}/trade-api/ws/v2",
            variables={"SSL_CERT_FILE": str(authority.path)},
        ) as collector,
    ):
        collector.wait_for("subscribed")
        collector.wait_for_lines(500)
        assert collector.end() == 0
        assert_whole(collector)


def old_tls(authority: Authority) -> ssl.SSLContext:
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


WRONG = {
    "another host": (lambda authority, _: authority.context("exchange.test"), "IP address mismatch"),
    "expired": (lambda authority, _: authority.context(days=-1), "certificate has expired"),
    "unknown authority": (lambda _, other: other.context(), "unable to get local issuer certificate"),
    "TLS 1.1": (lambda authority, _: old_tls(authority), "TLS failed"),
    "no TLS": (lambda *_: None, "TLS failed"),
}


@pytest.mark.parametrize(("context", "reason"), WRONG.values(), ids=WRONG)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_wrong_certificate_is_refused_with_one_clear_line(tmp_path, authority, context, reason):
    other = Authority(tmp_path, "Other Authority")
    reached = []

    def script(peer: Peer) -> None:
        if context(authority, other) is None:
            peer.sock.recv(1)
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            reached.append(peer.request())  # It has the signed headers.

    with (
        serving(script, tls=context(authority, other)) as server,
        Collector(
            tmp_path,
            f"wss://127.0.0.1:{server.port}/trade-api/ws/v2",
            variables={"SSL_CERT_FILE": str(authority.path)},
        ) as collector,
    ):
        assert collector.wait() == 69
    assert [event["event"] for event in collector.events] == ["starting", "stopped"]
    assert reason in collector.events[-1]["reason"]
    assert collector.other == []
    assert reached == []
