"""How fast `ssmd replay --speed 0` sends: to a client that only reads, and does not look at what it reads."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ssmd.sim.frames import CLOSE, close_payload, encode

__all__ = ["replay"]

_START_SECONDS = 30.0
_READ_BYTES = 1024 * 1024
_END = encode(CLOSE, close_payload(1000, "end of recording"))
"""What comes last when the recording was sent to its end."""


def replay(variables: Mapping[str, str], where: Path) -> float:
    """Replay a storage folder as fast as possible; return the seconds from the handshake to the end of the recording.

    `variables`: the environment of the command. Exits when the recording is not sent to its end.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ssmd", "replay", "--listen", "127.0.0.1:0", "--speed", "0", where],
            env={**variables, "SSMD_LOG_FORMAT": "json"},
            stderr=log,
        )
        try:
            host, _, port = _address(process, log).rpartition(":")
            with socket.create_connection((host, int(port)), _START_SECONDS) as connection:
                return _read_all(connection)
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: BinaryIO) -> str:
    """Return the host and the port that the process serves, from its log. Exits when it has not begun to serve."""
    until = time.monotonic() + _START_SECONDS
    text = ""
    while (found := re.search(r'^\{.*"serving".*\}$', text, re.M)) is None:
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"bench: replay has failed: {text}")
        time.sleep(0.01)
        log.seek(0)
        text = log.read().decode()
    return str(json.loads(found.group())["endpoint"]).split("/")[2]


def _read_all(connection: socket.socket) -> float:
    # On this path no key is needed, and the messages come at once.
    connection.sendall(
        b"GET /any HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    buffer = bytearray(_READ_BYTES)
    began = time.monotonic()
    last = b""
    while count := connection.recv_into(buffer):
        last = (last + buffer[max(0, count - len(_END)) : count])[-len(_END) :]
    if last != _END:
        sys.exit("bench: replay has ended before the end of the recording")
    return time.monotonic() - began
