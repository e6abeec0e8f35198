"""Canaries as keys, in every way to fail: no piece of a key is in anything that ssmd prints, writes or serves.

The private key may appear nowhere, and the key id only in the header that signs a handshake.
"""

from __future__ import annotations

import base64
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import canaries
import gevent
import pytest
from canaries import pieces
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from exchange_server import TEXT, Authority, Peer, accepting, close_frame, frame, serving
from gevent.pool import Pool
from patience import PATIENCE
from ports import free_port
from process import ROOT, make_tree, start

KEY_ID = str(uuid.uuid4())
PASSWORD = uuid.uuid4().hex


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, encryption: Any = None) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


RSA = rsa.generate_private_key(65537, 2048)
SECRET = pem(RSA)
ED25519 = pem(Ed25519PrivateKey.generate())
ENCRYPTED = pem(RSA, encryption=BestAvailableEncryption(PASSWORD.encode()))
CURVE = pem(ec.generate_private_key(ec.SECP256R1()))
PKCS1 = pem(RSA, PrivateFormat.TraditionalOpenSSL)
PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def body(text: str) -> str:
    """Return the base64 of a PEM, on one line."""
    return "".join(line for line in text.splitlines() if not line.startswith("-"))


PRIVATE = pieces(*map(body, (SECRET, ED25519, ENCRYPTED, CURVE, PKCS1)), base64.b64encode(SECRET.encode()).decode())
SECRETS = PRIVATE | pieces(KEY_ID, PASSWORD, base64.b64encode(KEY_ID.encode()).decode())


def leaked(output: Mapping[str, str], secrets: frozenset[str] = SECRETS) -> list[str]:
    return canaries.leaked(output, secrets)


def output_of(folder: Path, *arguments: str | Path, **options: Any) -> tuple[int, dict[str, str]]:
    return canaries.output_of(folder, *arguments, **({"KALSHI_API_KEY": KEY_ID, "KALSHI_API_SECRET": SECRET} | options))


# Servers that repeat what they received.


def echo(status: str) -> Callable[[Peer], None]:
    """Return a script that repeats the request in the header, the body and the reason, as a debugging proxy does."""

    def script(peer: Peer) -> None:
        request = peer.request()
        head = "; ".join(f"{name}: {value}" for name, value in request.headers.items())
        # The body is cut for the log. The cut must not leave a piece of the key.
        text = f"{'.' * 180}{KEY_ID} in {head}".encode()
        peer.send(
            f"HTTP/1.1 {status} {KEY_ID}\r\nX-Request: {head}\r\nLocation: /{KEY_ID}/there?{KEY_ID}\r\n"
            f"Set-Cookie: key={KEY_ID}\r\nRetry-After: 0\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            + text
        )

    return script


def not_http(peer: Peer) -> None:
    request = peer.request()
    peer.send(f"you said {request.headers}\r\n{KEY_ID}: {KEY_ID}\r\n\r\n".encode())


def bad_header(peer: Peer) -> None:
    peer.request()
    peer.send(f"HTTP/1.1 101 Switching Protocols\r\n{KEY_ID}\r\n\r\n".encode())


def bad_cookie(peer: Peer) -> None:
    peer.upgrade(fields=f"Set-Cookie: {KEY_ID}{{b=1; Domain=127.0.0.1\r\n")


def upgraded(*frames: bytes) -> Callable[[Peer], Any]:
    def script(peer: Peer) -> Any:
        request = peer.request()
        peer.send(accepting(request) + frame(TEXT, b'{"type":"ticker","msg":{}}') + b"".join(frames))
        peer.sock.settimeout(3)
        return peer.drained()

    return script


def reset(peer: Peer) -> None:
    peer.upgrade()
    peer.receive()
    peer.reset()


ERROR = f'{{"type":"error","id":1,"msg":{{"code":5,"msg":"no key {KEY_ID}","market_ticker":"{KEY_ID}"}}}}'.encode()
SERVERS = {
    "401": (echo("401"), 77),
    "403": (echo("403"), 77),
    "429": (echo("429"), 69),
    "redirect": (echo("302"), 69),
    "not HTTP": (not_http, 69),
    "bad header": (bad_header, 69),
    "bad cookie": (bad_cookie, 69),
    "no answer": (lambda peer: peer.request(), 69),
    "close": (upgraded(close_frame(1008, f"key {KEY_ID} is over".encode())), 75),
    "an error": (upgraded(frame(TEXT, ERROR)), 78),
    "garbage": (upgraded(b"\xff" * 100), 75),
    "garbage that echoes": (upgraded(frame(3, KEY_ID.encode())), 75),
    "reset": (reset, 75),
    "silence": (upgraded(), 75),
}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that scripted servers have received."""
    requests: list[str] = []
    ask = Peer.request

    def request(peer: Peer) -> Any:
        requests.append(str(asked := ask(peer)))
        return asked

    monkeypatch.setattr(Peer, "request", request)
    return requests


def run_against(folder: Path, endpoint: str, **options: Any) -> tuple[int, dict[str, str]]:
    version = "  idle_timeout_seconds: 1\n"
    tree = make_tree(folder, endpoint, "kalshi", version, "")
    return output_of(folder, "run", "test", "--config-dir", tree, **options)


@pytest.mark.parametrize(("script", "code"), SERVERS.values(), ids=SERVERS)
def test_nothing_leaks_when_a_server_repeats_what_it_received(tmp_path, requests, script, code):
    with serving(script) as server:
        ended, output = run_against(tmp_path, f"{server.url}?token={PASSWORD}")
    assert ended == code
    # Messages of the exchange are kept unchanged, whatever is in them.
    ours = {place: text for place, text in output.items() if not place.endswith(".jsonl") or ".ledger" in place}
    assert leaked(ours) == []
    # The exchange has received the key id, which could have leaked, but not the private key.
    [request] = requests
    assert KEY_ID in request
    assert leaked({"request": request}, PRIVATE) == []


def test_nothing_leaks_when_an_exchange_cannot_be_reached(tmp_path, requests):
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other Authority")
    proxy = {"http_proxy": f"http://{PASSWORD}:{PASSWORD}@127.0.0.1:9", "SSL_CERT_FILE": str(authority.path)}
    with (
        serving(upgraded(), tls=other.context()) as unknown,
        serving(upgraded(), tls=authority.context("exchange.test")) as wrong,
        serving(lambda peer: peer.send(b"HTTP/1.1 400 No\r\n\r\n")) as plain,
        serving(echo("407")) as refusing,
    ):
        runs = {
            "ws://127.0.0.1:9/": {},
            "ws://name.invalid/": {},
            unknown.url: {},
            wrong.url: {},
            plain.url.replace("ws:", "wss:"): {},
            "ws://127.0.0.1:10/": proxy,
            "ws://127.0.0.1:11/": {"http_proxy": f"http://{PASSWORD}@127.0.0.1:{refusing.port}"},
        }
        for number, (endpoint, variables) in enumerate(runs.items()):
            query = f"?token={PASSWORD}"
            ended, output = run_against(tmp_path / str(number), endpoint + query, **{"no_proxy": ""} | variables)
            assert (endpoint, ended, leaked(output)) == (endpoint, 69, [])
    assert not any(KEY_ID in request for request in requests)


@pytest.mark.parametrize(
    ("secret", "form"),
    [(SECRET, "json"), (PKCS1, "text"), (ED25519.replace("\n", "\\n"), "json"), (body(SECRET), "text")],
    ids=["PEM", "PKCS#1", "escaped", "bare"],
)
def test_nothing_leaks_from_a_good_run_or_from_the_simulator(tmp_path, secret, form):
    """The simulator has the same keys."""
    keys = {"KALSHI_API_KEY": KEY_ID, "KALSHI_API_SECRET": secret, "SSMD_LOG_LEVEL": "debug", "SSMD_LOG_FORMAT": form}
    with Sim(**keys) as simulator:
        code, output = run_against(tmp_path, simulator.endpoint, until_data=True, **keys)
        assert code == 0
        assert {"/metrics", "/health", "cmdline"} < output.keys()
        code, refused = run_against(tmp_path / "other", simulator.endpoint, KALSHI_API_KEY=str(uuid.uuid4()))
        assert code == 77
        printed = simulator.printed()
    assert leaked(output) == leaked(refused) == leaked(printed) == []


class Sim:
    """`ssmd sim` with the keys of the test."""

    def __init__(self, **variables: Any) -> None:
        port = free_port()
        self._process = start("sim", "--listen", f"127.0.0.1:{port}", **variables)
        self.endpoint = f"ws://127.0.0.1:{port}/trade-api/ws/v2"
        until = time.monotonic() + PATIENCE
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
            gevent.sleep(0.05)

    def printed(self) -> dict[str, str]:
        """Stop it; return what it has printed."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=PATIENCE)
        assert "127.0.0.1" in out + err
        return {"sim stdout": out, "sim stderr": err}

    def __enter__(self) -> Sim:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


# Wrong keys.

BAD_SECRETS = {
    "cut off": SECRET[: len(SECRET) // 2],
    "cut off, with its end": SECRET[:800] + SECRET[1000:],
    "changed": SECRET.replace("M", "N"),
    "not base64": SECRET.replace("A", "*"),
    "public": PUBLIC,
    "encrypted": ENCRYPTED,
    "another curve": CURVE,
    "another label": SECRET.replace("PRIVATE KEY", "CERTIFICATE"),
    "a label of its own": SECRET.replace("PRIVATE KEY", KEY_ID.upper()),
    "bare": body(SECRET)[:-7],
    "bare, after a slash": "/" + body(SECRET),
    "short and after a slash": "/" + body(ED25519),
    "base64 of a part": base64.b64encode(SECRET.encode()[:900]).decode(),
    "the key id": KEY_ID,
    "folder": "/etc",
    "both in one": f"{KEY_ID}:{SECRET}"[:700],
}
BAD_IDS = {
    "a private key": SECRET,
    "a private key on one line": SECRET.replace("\n", "\\n"),
    "a bare private key": body(SECRET),
    "a short bare private key": body(ED25519),
    "both": f"{KEY_ID},{body(ED25519)}",
    "two lines": f"{KEY_ID}\n{KEY_ID}",
}


def test_nothing_leaks_when_keys_are_wrong(tmp_path, requests):
    wrong: list[dict[str, Any]] = [{"KALSHI_API_SECRET": secret} for secret in BAD_SECRETS.values()]
    wrong += [{"KALSHI_API_KEY": key_id} for key_id in BAD_IDS.values()]
    wrong += [{"KALSHI_API_KEY": SECRET, "KALSHI_API_SECRET": KEY_ID}, {"KALSHI_API_KEY": ""}]
    file = tmp_path / "key.pem"
    file.write_text(ENCRYPTED)
    wrong += [{"KALSHI_API_SECRET": str(file)}, {"KALSHI_API_SECRET": str(file), "KALSHI_API_KEY": str(file)}]
    with serving(echo("401")) as server:
        tree = make_tree(tmp_path, server.url, "kalshi", "", "")

        def attempt(number: int) -> None:
            code, output = output_of(tmp_path / str(number), "run", "test", "--config-dir", tree, **wrong[number])
            assert (wrong[number], code, leaked(output)) == (wrong[number], 78, [])

        Pool(3).map(attempt, range(len(wrong)))
    assert requests == []


@pytest.mark.parametrize("keys", [{}, {"KALSHI_API_KEY": ""}, {"KALSHI_API_SECRET": SECRET[:900]}])
def test_nothing_leaks_when_validate_looks_up_the_keys(tmp_path, keys):
    tree = make_tree(tmp_path, "ws://127.0.0.1:9/", "kalshi", "", "")
    code, output = output_of(tmp_path, "validate", "--config-dir", tree, "--keys", **keys)
    assert code == (78 if keys else 0)
    assert leaked(output) == []


# Keys that were pasted into the tree.

PASTED = {
    "source": "keys: {test: {type: api_key, fields: [api_key, api_secret], source: '%s'}}",
    "variable": "keys: {test: {type: api_key, fields: [api_key, api_secret], source: 'env:%s'}}",
    "field": "keys: {test: {type: api_key, fields: [api_key, '%s', c], source: 'env:A,B'}}",
    "fields": "keys: {test: {type: api_key, fields: '%s', source: env}}",
    "key": "keys: {test: '%s'}",
    "keys": "keys: '%s'",
    "name": "keys: {'%s ': {type: api_key, fields: [a], source: env}}",
    "beside": "keys: {test: {type: api_key, fields: [a], source: env, api_secret: '%s'}}",
    "rotation": "keys: {test: {type: api_key, fields: [a], source: env, rotation_days: '%s'}}",
    "required": "keys: {test: {type: api_key, fields: [a], source: env, required: '%s'}}",
    "unclosed": "keys: {test: {type: api_key, source: '%s",
    "bare": "keys:\n  test:\n    source: env\n%s\n    fields: [a]",
    "twice": "keys: {test: {'%s': 1, 'b': 2, 'b': 3}}",
    "subscribe": "subscribe: {channels: '%s'}",
}


def test_nothing_leaks_when_keys_are_pasted_into_the_tree(tmp_path):
    tree = make_tree(tmp_path, "ws://127.0.0.1:9/", "kalshi", "", "")
    pasted = (body(SECRET), SECRET, body(ED25519), KEY_ID)
    names = [f"{place}-{number}" for place in PASTED for number in range(len(pasted))]
    for place in ("field", "name", "twice"):
        names.remove(f"{place}-{pasted.index(KEY_ID)}")  # In the place of a name, it looks like a name.
    for name in names:
        place, _, number = name.partition("-")
        wrong = PASTED[place] % pasted[int(number)]
        (tree / "environments" / f"{name}.yaml").write_text(
            f"name: {name}\nfeed: test\nstorage: {{type: local, path: data}}\n{wrong}\n"
        )
    code, output = output_of(tmp_path, "validate", "--config-dir", tree, "--keys", "--strict")
    assert code == 78
    assert [leak for line in output.pop("stdout").splitlines() for leak in leaked({"stdout": line})] == []
    assert leaked(output) == []
    for name in ("source-0", "key-1", "required-3", "unclosed-2"):
        code, output = output_of(tmp_path, "run", name, "--config-dir", tree)
        assert (name, code, leaked(output)) == (name, 78, [])


# Bugs.


@pytest.mark.parametrize(
    ("broken", "form"),
    [
        ("ssmd.exchange.kalshi.dialect:Kalshi.opening", "json"),
        ("ssmd.exchange.kalshi.dialect:Kalshi.inspect", "text"),
        ("ssmd.exchange.kalshi.signing:sign", "text"),
        ("ssmd.exchange.kalshi.signing:read_private_key", "json"),
        ("ssmd.resolver.env:EnvResolver.resolve", "text"),
        ("ssmd.runtime.queue:BatchQueue.put", "json"),
    ],
)
def test_nothing_leaks_when_a_bug_is_reported(tmp_path, broken, form):
    module, _, path = broken.partition(":")
    (tmp_path / "sitecustomize.py").write_text(
        f"import {module}\n"
        "def broken(*values, **named):\n"
        "    local = repr((values, named))\n"
        "    raise RuntimeError('a bug')\n"
        f"{module}.{path} = broken\n"
    )
    with Sim(KALSHI_API_KEY=KEY_ID, KALSHI_API_SECRET=SECRET) as simulator:
        code, output = run_against(tmp_path, simulator.endpoint, PYTHONPATH=f"{tmp_path}:{ROOT}", SSMD_LOG_FORMAT=form)
    assert code == 70
    assert "RuntimeError: a bug" in output["stderr"]
    assert leaked(output) == []


def test_the_canaries_would_be_found():
    for secret in (SECRET, SECRET.replace("\n", "\\n"), repr(SECRET), body(ED25519)[40:60], KEY_ID, PASSWORD):
        assert leaked({"log": f"before {secret} after"})
    assert not leaked({"log": f"before {PUBLIC[:40]} after"}, PRIVATE)
