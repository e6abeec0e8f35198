"""The load source, a process of its own: a WebSocket server for one client, faster than any collector.

Usage:
    source [options]

Options:
    --rate=<messages>     messages a second; 0 is flat out [default: 0]
    --sids=<n>            subscriptions [default: 4]
    --size=<bytes>        bytes of each message; 0 is Kalshi's sizes [default: 0]
    --tls=<records>       `message`: a TLS record for each message, as exchanges send; `full`: the largest records
    --certificate=<pem>   for TLS
    --sender=<program>    source.c, compiled, which sends instead of Python; not with TLS
    --log=<file>          where to write how the watched file grew

It is controlled by lines on its standard input. First it prints `port <n>`, then `ready <ns>` when a client has
subscribed and the acknowledgements are sent. On `go` it sends, flat out or at the rate, until `stop`. Then it prints
`sent <messages> <first ns> <last ns>`. On `close` it sends the close frame, and ends when the client has closed the
connection. It ends at once when its standard input does. The times of these lines are of the monotonic clock.

On `go <file>` it also watches that file, while no message is due and after the last one until `close`, without ever
sleeping: it keeps each size that it sees, with the time. Each message holds the time at which it was sent. The latency
of the collector is the time from then until the file is long enough to hold the message's line. These times are of the
wall clock, so that they can also be compared with the time that the collector writes into its lines.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from docopt import docopt

from bench.connection import Connection, TlsConnection, acknowledge, upgrade
from bench.messages import BURSTS, Cycle
from ssmd.sim.frames import CLOSE, TEXT, encode

PIECE_BYTES = 128 * 1024
"""About so many bytes are encrypted and sent at once."""


def command() -> str:
    """Return the next line of standard input, read without a buffer: hand_over() leaves the rest to the sender."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit("the standard input has ended")
        line += byte
    return line.decode().strip()


def has_command() -> bool:
    return bool(select.select([0], [], [], 0)[0])


class Watch:
    """Records how a file grows: `seen` holds pairs of ns and size."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        self._size = 0
        self.seen: list[int] = []

    def look(self) -> None:
        size = os.fstat(self._fd).st_size
        if size != self._size:
            self._size = size
            self.seen += (time.time_ns(), size)


def send_flat_out(connection: Connection, texts: Cycle, *, each: bool) -> int:
    """Send until the next command; return how many messages. `each`: write frame by frame, so that TLS makes a record
    of each."""
    pieces = list(cut(texts, each=each))
    write, flush = connection.write, connection.flush
    sent = 0
    while not has_command():
        turn = memoryview(texts.turn(sent))
        for piece in pieces:
            for part in piece:
                write(turn[part])
            flush()
        sent += len(texts.frames)
    return sent


def cut(texts: Cycle, *, each: bool) -> Iterator[list[slice]]:
    """Yield a turn in pieces of about PIECE_BYTES, as slices of it: one slice, or with `each` one for each frame."""
    parts: list[slice] = []
    end = 0
    for number, frame in enumerate(texts.frames, 1):
        parts.append(slice(end, end + len(frame)))
        end += len(frame)
        if end - parts[0].start >= PIECE_BYTES or number == len(texts.frames):
            yield parts if each else [slice(parts[0].start, end)]
            parts = []


def send_paced(connection: Connection, texts: Cycle, rate: float, watch: Watch | None) -> int:
    """Send BURSTS at even distances, `rate` messages a second, until the next command; return how many messages."""
    distance = int(sum(BURSTS) / len(BURSTS) / rate * 1e9)
    due, sent = time.monotonic_ns(), 0
    for burst in cycle(BURSTS):
        if has_command():
            break
        while (left := due - time.monotonic_ns()) > 0:
            if watch is not None:
                watch.look()
            else:
                time.sleep(left / 1e9)
        now = time.time_ns()
        for number in range(sent, sent + burst):
            connection.write(encode(TEXT, texts.text(number, now)))
        connection.flush()
        sent += burst
        due += distance
    return sent


def main() -> None:
    options = docopt(__doc__)
    rate = float(options["--rate"])
    texts = Cycle(int(options["--sids"]), int(options["--size"]))
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = options["--tls"]
    connection = TlsConnection(sock, options["--certificate"]) if secure else Connection(sock)
    upgrade(connection)
    acknowledge(connection)
    print("ready", time.monotonic_ns(), flush=True)
    if options["--sender"]:
        hand_over(options["--sender"], sock, texts, rate, options["--log"])
    _, _, path = command().partition(" ")  # go, or go and the file to watch
    watch = Watch(path) if path else None
    began = time.monotonic_ns()
    if rate:
        sent = send_paced(connection, texts, rate, watch)
    else:
        sent = send_flat_out(connection, texts, each=secure == "message")
    command()  # stop
    print("sent", sent, began, time.monotonic_ns(), flush=True)
    if watch is not None:
        while not has_command():
            watch.look()
        Path(options["--log"]).write_bytes(struct.pack(f"={len(watch.seen)}q", *watch.seen))
    command()  # close
    connection.write(encode(CLOSE, b"\x03\xe8"))
    connection.flush()
    with contextlib.suppress(OSError):  # The client may have reset the connection.
        sock.shutdown(socket.SHUT_WR)
    while sock.recv(65536):
        pass


def hand_over(program: str, sock: socket.socket, texts: Cycle, rate: float, log: str | None) -> None:
    """Replace this process by the compiled sender, which gets the connection and a file with one turn of frames."""
    memory = os.memfd_create("frames")
    os.write(memory, b"".join(texts.frames))
    sock.set_inheritable(True)
    os.set_inheritable(memory, True)
    distance = int(sum(BURSTS) / len(BURSTS) / rate * 1e9) if rate else 0
    bursts = ",".join(map(str, BURSTS))
    os.execv(program, [program, *map(str, (sock.fileno(), memory, texts.sids, distance)), bursts, log or ""])


if __name__ == "__main__":
    try:
        main()
    except (ConnectionError, EOFError):
        sys.exit("the client has left")
