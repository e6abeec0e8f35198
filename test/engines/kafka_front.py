"""What the small broker of the tests lacks, put before it as a process of its own: TLS, and passwords that are checked.

    kafka_front.py <port of the broker> <PEM file with certificate and key, or empty> <user, or empty> <password>

It prints its port. In the broker's answers, which name the broker's port, it puts its own, so that clients come here.
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
from typing import Any

BROKER, PEM, USER, PASSWORD = sys.argv[1:]
SASL_AUTHENTICATE = 36
REFUSED = 58
"""The code of SASL_AUTHENTICATION_FAILED: https://kafka.apache.org/protocol#protocol_error_codes"""


def exactly(sock: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def message(sock: Any) -> bytes:
    return exactly(sock, struct.unpack(">i", exactly(sock, 4))[0])


def framed(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def serve(client: Any, port: int) -> None:
    broker = socket.create_connection(("127.0.0.1", int(BROKER)))
    try:
        if PEM:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PEM)
            client = context.wrap_socket(client, server_side=True)
        threading.Thread(target=answer, args=(broker, client, port), daemon=True).start()
        while True:
            request = message(client)
            api, version, number = struct.unpack(">hhi", request[:8])
            if api == SASL_AUTHENTICATE and not request.endswith(f"\0{USER}\0{PASSWORD}".encode()):
                assert version < 2
                text = b"Authentication failed"
                refusal = struct.pack(">ihh", number, REFUSED, len(text)) + text + struct.pack(">i", 0)
                client.sendall(framed(refusal + bytes(8 * version)))
                return
            broker.sendall(framed(request))
    except (EOFError, OSError):
        pass
    finally:
        broker.close()
        client.close()


def answer(broker: Any, client: Any, port: int) -> None:
    """Send the broker's answers on. The port is as long in both, after a host with either form of its length."""
    theirs, ours = (struct.pack(">i", number) for number in (int(BROKER), port))
    try:
        while True:
            data = message(broker)
            for host in (b"\x00\x09127.0.0.1", b"\x0a127.0.0.1"):
                data = data.replace(host + theirs, host + ours)
            client.sendall(framed(data))
    except (EOFError, OSError):
        client.close()


with socket.create_server(("127.0.0.1", 0)) as listener:
    here = listener.getsockname()[1]
    print(here, flush=True)
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=serve, args=(peer, here), daemon=True).start()
