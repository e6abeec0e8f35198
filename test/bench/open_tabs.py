"""Open tabs, in a process of their own: connections to the live stream of a page, as browsers have them.

Usage:
    open_tabs [--never-read] <host> <port>

It is controlled by lines on its standard input. `open <n>` opens so many tabs: each asks for the page, and then for
/live. It prints `open` when each has its first event. On `close` it closes them, and prints `closed <events> <cut>`:
how many events have come by then, and how many times the collector has closed a stream. It ends when its standard
input does. With --never-read no tab reads what comes after its request, and its socket takes very little; one that is
cut off comes back at once.
"""

from __future__ import annotations

import os
import select
import socket
import sys

from docopt import docopt

LEAST_BYTES = 1024
"""The receive buffer of a tab that never reads; Linux makes some 2 KB of it."""


class Tab:
    """One tab. Reads its page on construction, and asks for its stream. Raises OSError."""

    def __init__(self, address: tuple[str, int], *, reads: bool) -> None:
        with socket.create_connection(address) as page:
            page.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while page.recv(65536):
                pass
        self.sock = socket.socket()
        if not reads:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LEAST_BYTES)
        self.sock.connect(address)
        self.sock.sendall(b"GET /live?type=&market= HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        self.sock.setblocking(False)
        self._last = b""
        self.events = 0

    def read(self) -> bool:
        """Read what has come; return whether the stream is still open."""
        try:
            data = self.sock.recv(1 << 18)
        except OSError:
            return False
        self.events += (self._last + data).count(b"\n\n")
        self._last = data[-1:]
        return bool(data)


class Tabs:
    """All tabs, by the descriptors of their sockets."""

    def __init__(self, address: tuple[str, int], *, reads: bool) -> None:
        self._address = address
        self._reads = reads
        self._tabs: dict[int, Tab] = {}
        self._events = self._cut = 0
        self.poll = select.poll()

    def open(self) -> None:
        tab = Tab(self._address, reads=self._reads)
        self._tabs[tab.sock.fileno()] = tab
        self.poll.register(tab.sock, select.POLLIN if self._reads else 0)  # The end of a stream is always reported.

    @property
    def are_live(self) -> bool:
        return not self._reads or all(tab.events for tab in self._tabs.values())

    def serve(self, fd: int) -> None:
        """Do what is to be done for a tab whose socket is readable, or at its end."""
        tab = self._tabs.get(fd)
        if tab is None or (self._reads and tab.read()):  # None: closed by a command that came together with its data.
            return
        self._cut += 1
        self._close(fd)
        self.open()

    def close(self) -> str:
        for fd in list(self._tabs):
            self._close(fd)
        report = f"closed {self._events} {self._cut}"
        self._events = self._cut = 0
        return report

    def _close(self, fd: int) -> None:
        tab = self._tabs.pop(fd)
        self._events += tab.events
        self.poll.unregister(fd)
        tab.sock.close()


def main() -> None:
    options = docopt(__doc__)
    tabs = Tabs((options["<host>"], int(options["<port>"])), reads=not options["--never-read"])
    tabs.poll.register(0, select.POLLIN)
    awaited = False
    while True:
        for fd, _ in tabs.poll.poll():
            if fd:
                tabs.serve(fd)
                continue
            name, *count = os.read(0, 100).split()[:2] or [b"end"]
            if name == b"end":
                sys.exit()
            if name == b"close":
                print(tabs.close(), flush=True)
            else:
                for _ in range(int(count[0])):
                    tabs.open()
                awaited = True
        if awaited and tabs.are_live:
            awaited = False
            print("open", flush=True)


if __name__ == "__main__":
    main()
