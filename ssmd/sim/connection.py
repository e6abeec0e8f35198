"""One client after its handshake: one greenlet reads from the socket, another one alone writes to it."""

from __future__ import annotations

import contextlib
import logging
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
from ssmd.sim.frames import CLOSE, PING, PONG, Violation, close_payload, encode, encode_all, messages

__all__ = ["GRACE", "Connection"]

_log = logging.getLogger("ssmd.sim")

GRACE = 1.0
"""Seconds that a client has to receive the close frame and to close the connection."""

_CHUNK = 512
"""The most frames that are sent at once."""

_TICK = 0.005
"""The shortest pause between two sends, in seconds: smooth at 50 messages a second, cheap at 50,000."""

_LONGEST = 60.0
"""The longest pause, in seconds: a timer cannot be infinite."""

_MAX_UNSENT = 10_000
"""How many replies may wait to be sent. When there are more, the client's next commands wait in the kernel."""


class _Gone(Exception):
    """The TCP stream has ended."""


class Connection:
    """The connection with one client; run() returns when either side has ended it.

    `heartbeat`: seconds between two pings of the connection's own; infinite for none.
    """

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
        self._silent = False
        self._close_frame: bytes | None = None
        self._wake, self._room, self._read_ended = Event(), Event(), Event()
        self._received = bytearray()

    def run(self) -> None:
        """Read in this greenlet and write in another one, until one of them has ended; then end the other one too."""
        writer = gevent.spawn(self._write_until_end)
        try:
            self._log_failure_of(self._read)
            self._read_ended.set()
            # A client that has sent a close frame still gets ours. For one that is gone there is nothing to wait for.
            writer.join(GRACE if self._close_frame is not None else 0)
        finally:
            writer.kill()
            self._sock.close()

    def close(self, code: int, reason: str) -> None:
        """Have a close frame sent after what is being sent now; the client then has GRACE to answer."""
        if self._close_frame is None:
            self._close_frame = encode(CLOSE, close_payload(code, reason))
            self._wake.set()

    def _log_failure_of(self, work: Callable[[], None]) -> None:
        """Do the work of one greenlet, and log how it failed: the greenlet has no caller that could.

        A client that leaves is normal. Anything else is a bug.
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
                    # The answer repeats the client's code. A close frame need not have one.
                    self.close(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1000, "")
                    return
                if opcode == PING:
                    self._pongs.append(encode(PONG, payload))
                if opcode in (PING, PONG):
                    self._feed.control(opcode, payload)
                else:
                    self._pending.extend(self._feed.receive(payload))
                self._wake.set()
                self._wait_for_room()
        except Violation as violation:
            _log.debug("client %s broke the protocol: %s", self._name, violation.reason)
            self.close(violation.code, violation.reason)
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

    def _wait_for_room(self) -> None:
        """Wait until no more than _MAX_UNSENT replies are left to send."""
        if self._silent:
            self._pending.clear()
            self._pongs.clear()
        while len(self._pending) + len(self._pongs) > _MAX_UNSENT:
            self._room.clear()
            self._room.wait()

    # Writing

    def _write_until_end(self) -> None:
        self._log_failure_of(self._write)
        if not self._silent:
            # The reader waits for the same socket. This ends it.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        # Nothing more is sent, so the reader must not wait for room.
        self._pending.clear()
        self._pongs.clear()
        self._room.set()

    def _write(self) -> None:
        while self._close_frame is None:
            now = time.monotonic()
            out = b"".join(self._pongs)
            self._pongs.clear()
            if now >= self._ping_at:
                # Kalshi's pings have this body (https://docs.kalshi.com/asyncapi.yaml, Connection Keep-Alive).
                out += encode(PING, b"heartbeat")
                self._ping_at = now + self._heartbeat
            out += self._due_frames(now)
            if out:
                self._sock.sendall(out)
            self._room.set()
            if self._faults and self._sent >= self._faults[0].after:
                self._apply(self._faults.popleft())
                if self._silent:
                    return
            elif (ending := self._feed.ending) is not None and not self._pending:
                if ending.code is None:
                    return
                self.close(ending.code, ending.reason)
            else:
                self._pause()
        self._sock.sendall(self._close_frame)
        self._sock.shutdown(socket.SHUT_WR)
        self._read_ended.wait(GRACE)

    def _due_frames(self, now: float) -> bytes:
        """Return the data frames to send now, none beyond the next fault."""
        limit = min(_CHUNK, self._faults[0].after - self._sent) if self._faults else _CHUNK
        if len(self._pending) < limit:
            try:
                self._pending.extend(self._feed.take(now, limit - len(self._pending)))
            except SsmdError as error:
                _log.error("client %s: %s", self._name, error)
                self.close(1011, "the recording is damaged")
        count = max(0, min(limit, len(self._pending)))
        self._sent += count
        return encode_all([self._pending.popleft() for _ in range(count)])

    def _pause(self) -> None:
        """Wait until something may be due."""
        now = time.monotonic()
        wait = self._feed.wait(now)
        if self._pending or wait <= 0:
            # The hub polls all sockets once, without waiting. With sleep(0) it would not poll, and with the shortest
            # timer it would wait for a millisecond. The priority is above that of sockets: otherwise a client that
            # keeps sending could hold up all writers.
            gevent.idle(priority=gevent.get_hub().loop.MAXPRI)
        else:
            self._wake.wait(max(_TICK, min(wait, self._ping_at - now, _LONGEST)))
            self._wake.clear()

    def _apply(self, fault: Fault) -> None:
        _log.info("fault", extra={"client": self._name, "kind": fault.kind, "frames": self._sent})
        match fault.kind:
            case "close":
                self.close(1001, "simulated fault: close-after")
            case "reset":
                # With a linger time of 0, close() discards unsent data and resets the connection.
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
                self._feed.lose(3, fault.channel)
            case "mute":
                self._feed.mute(fault.channel)
            case "error":
                self._pending.append(self._feed.fail(fault.code))
            case "freeze":
                self._pending.clear()
                self._feed.freeze()
            case "notice":
                self._feed.notice()
            case "silent":
                self._silent = True
