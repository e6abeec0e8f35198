"""The live streams: connections that stay open and get the same events, with a pool of their own.

One greenlet writes to all of them, and never waits for one: a client that has no room for an event loses it, and one
that takes nothing for BLOCKED_SECONDS is cut off. The socket of a stream is taken from the server's handler, so that a
stream never counts as a connection that a probe may need.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event

__all__ = ["BLOCKED_SECONDS", "MOST_SECONDS", "MOST_STREAMS", "SHARE", "Stream", "Streams"]

MOST_STREAMS = 100
BLOCKED_SECONDS = 5.0
"""A client that takes nothing for so long is cut off."""
EVENT_SECONDS = 1.0
"""How far the events are apart at least."""
MOST_SECONDS = 2.0
"""And at most: a page takes a stream without an event for 5 s as no answer, and one event may be lost."""
SHARE = 0.0025
"""How much of a core the events may take, before they come less often: what is received comes first."""
SEND_BYTES = 64 * 1024
"""The system keeps about so much for a client that does not read, twice that with its own records of it. By default it
would be megabytes, and take minutes to fill, before a send blocks."""
_THROW_AWAY = struct.pack("ii", 1, 0)


class Stream:
    """One open connection. `sock` is non-blocking, and closed with it. `kind`: what it is to get."""

    def __init__(self, sock: Any, kind: Hashable, head: bytes) -> None:
        self._sock = sock
        self.kind = kind
        self._unsent = memoryview(head)
        self._blocked_at: float | None = None
        self.is_new = True
        """Whether it has to get everything with its next event: it has just begun, or has lost one."""
        self.is_open = True

    def send(self, event: bytes, now: float) -> None:
        """Send an event, or lose it when there is no room; `now`: seconds of the monotonic clock."""
        left = len(self._unsent)
        if left and not self._flush():
            self.is_new = True
            if self._blocked_at is None or len(self._unsent) < left:
                self._blocked_at = now
            elif now - self._blocked_at > BLOCKED_SECONDS:
                with suppress(OSError):  # What it has not read is thrown away, and takes no memory of the system.
                    self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _THROW_AWAY)
                self.close()
            return
        self._blocked_at = None
        if self.is_open:
            self.is_new = False
            self._unsent = memoryview(event)
            self._flush()

    def _flush(self) -> bool:
        """Send what is still unsent, without waiting; return whether nothing is left."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except BlockingIOError:
            return False
        except OSError:
            self.close()
        return True

    def close_if_left(self) -> None:
        """Close it if the client has left, which otherwise shows only when a second event is sent."""
        try:
            has_left = not self._sock.recv(1)  # A browser sends nothing after its request.
        except BlockingIOError:
            return
        except OSError:
            has_left = True
        if has_left:
            self.close()

    def close(self) -> None:
        self.is_open = False
        self._unsent = memoryview(b"")
        with suppress(OSError):
            self._sock.close()


class Streams:
    """All open streams.

    `begin(kinds)` is called before each event, with the kinds that are open, also when that is none any more.
    `event(kind, is_new)` returns the event for the streams of a kind; it is called a single time for each of both.
    `share`: how much of a core the events may take, before they come less often.
    """

    def __init__(
        self,
        begin: Callable[[set[Hashable]], None],
        event: Callable[[Hashable, bool], bytes],
        most: int = MOST_STREAMS,
        share: float = SHARE,
    ) -> None:
        self._begin = begin
        self._event = event
        self._most = most
        self._share = share
        self._taken = Event()
        """Set when there is a new stream, which need not wait for longer than a second."""
        self._streams: list[Stream] = []
        self._feeding: gevent.Greenlet | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def kinds(self) -> set[Hashable]:
        return {stream.kind for stream in self._streams}

    @property
    def has_room(self) -> bool:
        return len(self._streams) < self._most and not self._closed

    def drop_left(self) -> None:
        """Make room: close the streams whose clients have left."""
        for stream in self._streams:
            stream.close_if_left()
        self._streams = [stream for stream in self._streams if stream.is_open]

    def take(self, sock: Any, kind: Hashable, head: bytes) -> None:
        """Go on with the connection of a socket, which the caller may close. `head`: what is sent first."""
        own = socket.socket(sock.family, sock.type, fileno=os.dup(sock.fileno()))
        own.settimeout(0.0)
        with suppress(OSError):  # The client may have left.
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self._streams.append(Stream(own, kind, head))
        self._taken.set()
        if self._feeding is None:
            self._feeding = gevent.spawn(self._feed)

    def _feed(self) -> None:
        """Send events as long as there is a stream."""
        try:
            while self._streams:
                self._taken.clear()
                before = time.thread_time()
                self._send_events()
                pause = min((time.thread_time() - before) / self._share, MOST_SECONDS)
                gevent.sleep(EVENT_SECONDS)
                self._taken.wait(max(0.0, pause - EVENT_SECONDS))
            self._begin(set())
        finally:
            self._feeding = None
            self._close_all()  # None is left open that nobody feeds any more, were there a bug.

    def _send_events(self) -> None:
        self._begin(self.kinds)
        now = time.monotonic()
        events: dict[tuple[Hashable, bool], bytes] = {}
        for stream in self._streams:
            key = stream.kind, stream.is_new
            if key not in events:
                events[key] = self._event(*key)
            stream.send(events[key], now)
        self._streams = [stream for stream in self._streams if stream.is_open]

    def stop(self) -> None:
        """End all streams at once."""
        self._closed = True
        if self._feeding is not None:
            self._feeding.kill(block=False)
        self._close_all()

    def _close_all(self) -> None:
        for stream in self._streams:
            stream.close()
        self._streams.clear()
