"""The raw sink: reads what the load source sends and drops it. <url> <file, not used> <subscribe command>.

Its rate is the most that the source can send. Over TLS it does not decrypt.
"""

from __future__ import annotations

import socket
import ssl
import sys
from urllib.parse import urlsplit

MASKED = 0x80


def main(url: str, _path: str, command: str) -> None:
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname, parts.port))
    stream = sock
    if parts.scheme == "wss":
        stream = ssl.create_default_context().wrap_socket(sock, server_hostname=parts.hostname)
    stream.sendall(
        f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += stream.recv(1)
    # A mask of zeros leaves the text as it is.
    stream.sendall(bytes((0x81, MASKED | 126)) + len(command).to_bytes(2, "big") + bytes(4) + command.encode())
    buffer = bytearray(1024 * 1024)
    fd_reader = socket.socket(fileno=stream.detach())  # Below TLS.
    while fd_reader.recv_into(buffer):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
