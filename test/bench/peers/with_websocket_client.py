"""websocket-client: <form> <url> <file> <subscribe command>."""

from __future__ import annotations

import json
import select
import sys
from datetime import UTC, datetime

import websocket

from bench.peers.tuned import BatchWriter


def typical(url: str, path: str, command: str) -> None:
    connection = websocket.create_connection(url)
    connection.send(command)
    with open(path, "a") as file:
        while message := connection.recv():
            ts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            file.write(json.dumps({"ts": ts, "feed": "bench", "data": json.loads(message)}) + "\n")
            file.flush()


def tuned(url: str, path: str, command: str) -> None:
    connection = websocket.create_connection(url, skip_utf8_validation=True)
    connection.send(command)
    writer = BatchWriter(path)
    # The library reads only the bytes that it needs, so when the socket has none, all messages are read.
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    while True:
        opcode, message = connection.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        writer.add(message)
        if len(writer) == 64 or not poll.poll(0):
            writer.flush()
    writer.flush()


if __name__ == "__main__":
    {"typical": typical, "tuned": tuned}[sys.argv[1]](*sys.argv[2:])
