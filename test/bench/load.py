"""A load source: a WebSocket server that sends Kalshi-like frames as fast as the client can take them.

    python test/bench/load.py <seconds> [<frames per second>]

Prints the port it listens on, serves one client, starts at the client's first message, and after so many
seconds prints how many frames it has sent, sends a close frame and exits. Every frame is 264 bytes of
orderbook_delta that end in a newline, on four subscriptions whose sequences have no gaps. A thousand
frames are printed at once with one % operator, which makes several million a second.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import sys
import time
import uuid

FRAMES = 1000
SIDS = 4
FIRST_SEQ = 1_000_000_000  # Always ten digits, so that every frame has the same length.
FRAME_BYTES = 264


def chunk_template() -> bytes:
    frames = []
    for index in range(FRAMES):
        sid = 1 + index % SIDS
        body = (
            f'{{"type":"orderbook_delta","sid":{sid},"seq":SEQ,"msg":{{"market_ticker":"KX-{index:04d}PAD",'
            f'"market_id":"{uuid.UUID(int=index)}","price_dollars":"0.{index % 99 + 1:02d}00","delta_fp":"-40.00",'
            f'"side":"no","ts":"2026-01-01T00:00:00.000000Z","ts_ms":1767225600000}}}}\n'
        )
        padding = FRAME_BYTES - len(body.replace("SEQ", str(FIRST_SEQ)).replace("PAD", ""))
        payload = body.replace("SEQ", "%d").replace("PAD", "X" * padding).encode()
        assert len(payload % FIRST_SEQ) == FRAME_BYTES
        frames.append(struct.pack(">HH", 0x817E, FRAME_BYTES) + payload)
    return b"".join(frames)


def accept(listener: socket.socket) -> socket.socket:
    """The server's side of the opening handshake (RFC 6455, 4.2.2), and the client's first message."""
    client, _ = listener.accept()
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(4096)
    key = next(
        line.split(b":")[1].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )
    client.recv(4096)
    return client


def main() -> None:
    seconds = float(sys.argv[1])
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    template = chunk_template()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    client = accept(listener)
    sent, began = 0, time.monotonic()
    seqs = [FIRST_SEQ + index // SIDS for index in range(FRAMES)]
    while time.monotonic() - began < seconds:
        step = sent // SIDS
        client.sendall(template % tuple([seq + step for seq in seqs]))
        sent += FRAMES
        if rate:
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    print(sent, began, flush=True)
    client.sendall(b"\x88\x02\x03\xe8")
    client.settimeout(30)
    while client.recv(4096):
        pass


if __name__ == "__main__":
    main()
