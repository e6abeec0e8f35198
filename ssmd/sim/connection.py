"""One client, once the handshake is done: a greenlet that reads, and one that is the only one to write."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from ssmd.errors import SsmdError
from ssmd.sim.faults import GARBAGE, TORN, Fault, Faults
from ssmd.sim.feeds import Feed
from ssmd.sim.frames import BINARY, CLOSE, PING, PONG, TEXT, Violation, close_payload, encode, messages

__all__ = ["GRACE", "Connection"]

_log = logging.getLogger("ssmd.sim")

GRACE = 1.0
"""Seconds that a client has to take the last words, and to hang up after them."""

# Sending up to 512 frames at a time, no more than 200 times a second: smooth at 50 a second, cheap at 50,000.
_CHUNK = 512
_TICK = 0.005

# Replies that a client has caused and not taken; beyond it, what it says waits in the kernel.
_MAX_UNTAKEN = 10_000


class _Gone(Exception):
    """The TCP stream has ended."""


class Connection:
    """The conversation with one client; run() returns when it is over, whoever ended it."""

    def __init__(self, sock: Any, name: str, feed: Feed, faults: Faults, heartbeat: float) -> None:
        self._sock = sock
        self._name = name
        self._feed = feed
        self._faults = deque(faults.counted)
        self._heartbeat = heartbeat
        self._ping_at = time.monotonic() + heartbeat
        self._pending: deque[bytes] = deque()
        self._pongs: deque[bytes] = deque()
        self._sent = 0
        self._frozen = self._silent = False
        self._farewell: bytes | None = None
        self._wake, self._taken, self._over = Event(), Event(), Event()
        self._received = bytearray()

    def run(self) -> None:
        """Read in this greenlet and write in another one until one of them has ended; then end the other too."""
        writer = gevent.spawn(self._write_until_over)
        try:
            self._account(self._read)
            self._over.set()
            # A client that said goodbye may still be told ours; one that is gone must not hold its writer.
            writer.join(GRACE if self._farewell is not None else 0)
        finally:
            writer.kill()
            self._sock.close()

    def hang_up(self, code: int, reason: str) -> None:
        """Say goodbye, after what has begun to be sent; the client gets a moment to answer."""
        if self._farewell is None:
            self._farewell = encode(CLOSE, close_payload(code, reason))
            self._wake.set()

    def _account(self, work: Callable[[], None]) -> None:
        """Do the work of one greenlet, and log how it ended.

        Clients come and go as they like. Anything else is a bug, and must not vanish with its greenlet.
        """
        try:
            work()
        except (_Gone, OSError) as error:
            _log.debug("client %s is gone: %s", self._name, error)
        except Exception:
            _log.exception("client %s: the simulator has failed", self._name)

    # Reading

    def _read(self) -> None:
        try:
            for opcode, payload in messages(self._exactly):
                if opcode == CLOSE:
                    # The answer to a close frame is its own code; a client may leave it out.
                    self.hang_up(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1000, "")
                    return
                if opcode == PING:
                    self._pongs.append(encode(PONG, payload))
                elif opcode != PONG:
                    self._pending.extend(self._feed.receive(payload))
                self._wake.set()
                self._wait_until_taken()
        except Violation as violation:
            _log.debug("client %s broke the protocol: %s", self._name, violation.reason)
            self.hang_up(violation.code, violation.reason)
        # Closing a socket with unread bytes resets it, and the reset could overtake our close frame.
        with gevent.Timeout(GRACE, False):
            while self._sock.recv(65_536):
                pass

    def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            chunk = self._sock.recv(65_536)
            if not chunk:
                raise _Gone("end of stream")
            self._received += chunk
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def _wait_until_taken(self) -> None:
        if self._silent:
            self._pending.clear()
            self._pongs.clear()
        while len(self._pending) + len(self._pongs) > _MAX_UNTAKEN:
            self._taken.clear()
            self._taken.wait()

    # Writing

    def _write_until_over(self) -> None:
        self._account(self._write)
        if not self._silent:
            # The reader is blocked on the same socket; this is what ends it.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        # Nobody takes anything any more, so the reader must not wait for it.
        self._pending.clear()
        self._pongs.clear()
        self._taken.set()

    def _write(self) -> None:
        while self._farewell is None:
            now = time.monotonic()
            out = b"".join(self._pongs)
            self._pongs.clear()
            if now >= self._ping_at:
                # Every 10 s, with this body (https://docs.kalshi.com/asyncapi.yaml, Connection Keep-Alive).
                out += encode(PING, b"heartbeat")
                self._ping_at = now + self._heartbeat
            out += self._due(now)
            if out:
                self._sock.sendall(out)
            self._taken.set()
            if self._faults and self._sent >= self._faults[0].after:
                self._strike(self._faults.popleft())
                if self._silent:
                    return
            elif self._feed.finished and not self._pending and not self._frozen:
                self.hang_up(1000, "end of recording")
            else:
                self._rest()
        self._sock.sendall(self._farewell)
        self._sock.shutdown(socket.SHUT_WR)
        self._over.wait(GRACE)

    def _due(self, now: float) -> bytes:
        """The data frames to send now, and never one beyond the next fault."""
        if self._frozen:
            self._pending.clear()
            return b""
        limit = min(_CHUNK, self._faults[0].after - self._sent) if self._faults else _CHUNK
        if len(self._pending) < limit:
            try:
                self._pending.extend(self._feed.take(now, limit - len(self._pending)))
            except SsmdError as error:
                _log.error("client %s: %s", self._name, error)
                self.hang_up(1011, "the recording is damaged")
        count = max(0, min(limit, len(self._pending)))
        self._sent += count
        return b"".join([_frame(self._pending.popleft()) for _ in range(count)])

    def _rest(self) -> None:
        now = time.monotonic()
        wait = math.inf if self._frozen else self._feed.wait(now)
        if self._pending or wait <= 0:
            # A timer, however short, lets the hub poll all sockets; sleep(0) would not.
            gevent.sleep(1e-6)
        else:
            self._wake.wait(max(_TICK, min(wait, self._ping_at - now)))
            self._wake.clear()

    def _strike(self, fault: Fault) -> None:
        _log.info("fault", extra={"client": self._name, "kind": fault.kind, "frames": self._sent})
        match fault.kind:
            case "close":
                self.hang_up(1001, "simulated fault: close-after")
            case "reset":
                # With a linger time of 0, close() discards what is unsent and resets the connection.
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._sock.close()
                raise _Gone("reset by a fault")
            case "truncate":
                self._sock.sendall(TORN)
                raise _Gone("cut off by a fault")
            case "garbage":
                self._sock.sendall(b"".join(GARBAGE))
                self._sent += len(GARBAGE)
            case "gap":
                self._feed.lose(3)
            case "error":
                self._pending.append(self._feed.fail(fault.code))
            case "freeze":
                self._frozen = True
            case "silent":
                self._silent = True


def _frame(payload: bytes) -> bytes:
    """As text where it may be, for a client must hang up on a text frame that is not UTF-8 (RFC 6455, 8.1)."""
    try:
        if not payload.isascii():
            str(payload, "utf-8")
    except UnicodeDecodeError:
        return encode(BINARY, payload)
    return encode(TEXT, payload)
