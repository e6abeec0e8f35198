"""What the tests of the simulator share: a served simulator, and a plain websocket-client that signs its handshake."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import websocket
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from patience import PATIENCE

from ssmd.sim.server import Simulator

KEY_ID = "2f6d1f2e-0000-4000-8000-00000000c0de"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED_KEY_ID = "2f6d1f2e-0000-4000-8000-0000000ed255"
ED_KEY = ed25519.Ed25519PrivateKey.generate()
CREDENTIALS: dict[str, rsa.RSAPublicKey | ed25519.Ed25519PublicKey] = {
    KEY_ID: RSA_KEY.public_key(),
    ED_KEY_ID: ED_KEY.public_key(),
}
PATH = "/trade-api/ws/v2"


def sign(text: str, key: Any = RSA_KEY, salt: int = 32) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = key.sign(text.encode())
    else:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt)
        raw = key.sign(text.encode(), pss, hashes.SHA256())
    return base64.b64encode(raw).decode()


def headers(now_ms: int | None = None, key_id: str = KEY_ID, key: Any = RSA_KEY, path: str = PATH) -> dict[str, str]:
    stamp = str(int(time.time() * 1000) if now_ms is None else now_ms)
    return {
        "KALSHI-ACCESS-KEY": key_id,
        "KALSHI-ACCESS-TIMESTAMP": stamp,
        "KALSHI-ACCESS-SIGNATURE": sign(f"{stamp}GET{path}", key),
    }


@contextmanager
def served(**settings: Any) -> Iterator[Simulator]:
    """Serve a simulator on a free port, flat out by default; check at the end that it has left no client."""
    flat_out: dict[str, Any] = {"credentials": CREDENTIALS, "rate": 0, "seed": 7}
    simulator = Simulator("127.0.0.1", 0, **(flat_out | settings))
    serving = gevent.spawn(simulator.serve)
    try:
        yield simulator
    finally:
        simulator.stop()
        simulator.stop()
        serving.get(timeout=PATIENCE)
        assert simulator.clients == 0


class Client:
    """One connection to a simulator; every wait has a deadline."""

    def __init__(self, simulator: Simulator, path: str = PATH, signed: dict[str, str] | None = None) -> None:
        self.ws = websocket.WebSocket(skip_utf8_validation=True)
        self.ws.settimeout(5)
        url = f"ws://127.0.0.1:{simulator.port}{path}"
        self.ws.connect(url, header=headers() if signed is None else signed)
        self.pings = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.shutdown()

    def frame(self) -> tuple[int, bytes]:
        """Return the opcode and the payload of the next frame that is not a ping; count and answer pings."""
        while True:
            frame = self.ws.recv_frame()
            if frame.opcode != websocket.ABNF.OPCODE_PING:
                return frame.opcode, frame.data
            self.pings += 1
            assert frame.data == b"heartbeat"
            self.ws.pong(frame.data)

    def payload(self) -> bytes:
        """Return the next message without its newline; check that it is text and has exactly one."""
        opcode, data = self.frame()
        assert opcode == websocket.ABNF.OPCODE_TEXT, (opcode, data)
        assert data.endswith(b"\n")
        assert not data.endswith(b"\n\n")
        return data[:-1]

    def message(self) -> Any:
        return json.loads(self.payload())

    def messages(self, count: int) -> list[Any]:
        return [self.message() for _ in range(count)]

    def until(self, kind: str) -> list[Any]:
        """Return all messages up to the first one of that type, which is the last of them."""
        seen = [self.message()]
        while seen[-1]["type"] != kind:
            seen.append(self.message())
        return seen

    def send(self, **command: Any) -> None:
        self.ws.send(json.dumps(command))

    def subscribe(self, *channels: str, **params: Any) -> None:
        self.send(id=1, cmd="subscribe", params={"channels": list(channels)} | params)

    def close_code(self) -> tuple[int, str]:
        """Read up to the close frame, answer it, and check that the stream ends; return its code and reason."""
        while True:
            opcode, data = self.frame()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.ws.send(data, websocket.ABNF.OPCODE_CLOSE)
                self.ws.sock.shutdown(socket.SHUT_WR)
                assert self.ws.sock.recv(1) == b""
                return int.from_bytes(data[:2], "big"), data[2:].decode()


def eventually(condition: Any, seconds: float = PATIENCE) -> None:
    """Wait until the condition holds, while other greenlets run."""
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.005)
