"""A canary in every place where a description may put a key, in every way to fail.

No piece of one is in anything that ssmd prints, writes or serves.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gevent
import pytest
from canaries import leaked, output_of, pieces
from exchange_server import TEXT, Authority, Peer, Request, accepting, close_frame, frame, serving
from gevent.pool import Pool
from process import make_tree
from vault_server import VaultServer

from ssmd.contracts.resolver import KeySource
from ssmd.errors import ResolveError
from ssmd.resolver.exec import ExecResolver
from ssmd.resolver.vault.resolver import VaultResolver

OF_PREPARE = ("prepare_path", "prepare_query", "prepare_header", "prepare_body")
PLACES = ("path", "query", "header", "message", "reply", "keep_alive", *OF_PREPARE)
KEYS = {place: uuid.uuid4().hex + uuid.uuid4().hex for place in PLACES}
TOKEN = uuid.uuid4().hex + uuid.uuid4().hex
"""What the answer to the request before the connection gives."""
ALL = [*KEYS.values(), TOKEN]
SECRETS = pieces(*ALL)
ECHO = " ".join(ALL)
VARIABLES: dict[str, Any] = {place.upper(): value for place, value in KEYS.items()}

DIALECT = """  dialect:
    headers: {X-Key: "${key.header}"}
    prepare:
      url: PREPARE/${key.prepare_path}?k=${key.prepare_query}
      headers: {X-Key: "${key.prepare_header}"}
      body: {k: "${key.prepare_body}"}
      take: {token: token}
    keep_alive:
      - {every_seconds: 1, send: {op: ping, k: "${key.keep_alive}"}}
    replies:
      - {when: {ping: {exists: true}}, send: {pong: "${message.ping}", k: "${key.reply}"}}
    end_when:
      - {when: {success: false}, as: refused}
      - {when: {event: end}, as: disconnected}
      - {close_code: 1008, as: refused}
    asked: {channel: channel, market: market, id: id}
    confirmed: {when: {confirmed: true}, id: id}
    paths: {type: channel, channel: channel, market: market}
"""
ENVIRONMENT = """keys:
  test: {type: api_key, fields: [FIELDS], source: 'env:VARIABLES'}
subscribe:
  messages:
    - {op: subscribe, id: 7, channel: trades, market: A, k: "${key.message}", now: "${now_ms}"}
""".replace("FIELDS", ", ".join(PLACES)).replace("VARIABLES", ",".join(VARIABLES))


def tree_of(folder: Path, endpoint: str, prepare: str, more: str = "") -> Path:
    """Write a metadata tree whose feed uses a key in every place. `endpoint`, `prepare`: where to, without a path."""
    version = DIALECT.replace("PREPARE", prepare) + "  idle_timeout_seconds: 2\n" + more
    url = f"{endpoint}/${{key.path}}/feed?token=${{key.query}}&given=${{prepared.token}}"
    return make_tree(folder, f"'{url}'", "generic", version, ENVIRONMENT)


def run(tree: Path, **options: Any) -> tuple[int, list[str], dict[str, str]]:
    """Run ssmd; return its exit code, the leaks, and all its output except the messages of the exchange."""
    code, output = output_of(tree.parent, "run", "test", "--config-dir", tree, **VARIABLES, no_proxy="*", **options)
    # Messages of the exchange are kept unchanged, whatever is in them.
    ours = {place: text for place, text in output.items() if not place.endswith(".jsonl") or ".ledger" in place}
    return code, leaked(ours, SECRETS), ours


# Servers that repeat what they received.


def answer(status: str, body: str, fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def repeated(status: str, echo: str = ECHO) -> bytes:
    """A refusal that repeats all keys in its status line, its headers and its body, also where that is cut."""
    head = f"Location: http://host/{echo.replace(' ', '/')}?k={TOKEN}\r\nX-Request: {echo}\r\nRetry-After: 0\r\n"
    return answer(f"{status} {echo}", f"{'.' * 180}{echo}", f"{head}Set-Cookie: key={TOKEN}\r\n")


def refusing(status: str) -> Exchange:
    """An exchange that gives no token."""
    return Exchange(repeated(status, " ".join(KEYS.values())))


GIVEN = answer("200 OK", json.dumps({"token": TOKEN, "also": ECHO}))


class Exchange:
    """A server for the request before the connection and for the connection; `heard` has all that was sent to it."""

    def __init__(self, prepared: bytes = GIVEN, handshake: bytes = b"", *frames: bytes, ends: bool = False) -> None:
        self.prepared, self.handshake, self.frames, self.ends = prepared, handshake, frames, ends
        self.heard = ""

    def script(self, peer: Peer) -> None:
        request: Request = peer.request()
        self.heard += str(request)
        if "Sec-WebSocket-Key" not in request.headers:
            self.heard += peer.read(int(request.headers.get("Content-Length", "0"))).decode()
            peer.send(self.prepared)
            return
        peer.send(self.handshake or accepting(request))
        if self.handshake:
            return
        peer.send(b"".join(self.frames))
        if self.ends:
            peer.received()
        else:
            self.stream(peer)

    def stream(self, peer: Peer) -> None:
        peer.text(b'{"confirmed":true,"id":7}', b'{"ping":1}')
        sending = gevent.spawn(self.send, peer)
        try:
            while True:
                self.heard += peer.receive()[1].decode()
        finally:
            sending.kill()

    def send(self, peer: Peer) -> None:
        while KEYS["keep_alive"] not in self.heard:
            gevent.sleep(0.05)
        while True:
            peer.text(b'{"channel":"trades","market":"A","n":"%s"}' % ECHO.encode())
            gevent.sleep(0.05)


def said(text: str) -> bytes:
    return frame(TEXT, text.encode())


FORGED = answer("200 OK", json.dumps({"token": f"{TOKEN}\r\nX-Forged: {TOKEN}"}))
NAMES_NO_TOKEN = answer("200 OK", json.dumps({"code": 1, "msg": ECHO}))
NOT_A_TEXT = answer("200 OK", json.dumps({"token": [TOKEN]}))
WRONG_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + ECHO.encode()
REASON = f"no {KEYS['message'][:50]} {TOKEN[5:60]}".encode()
TORN = b"\xff" + ECHO.encode()

SERVERS: dict[str, tuple[Exchange, int]] = {
    **{f"prepare {status}": (refusing(status), 77) for status in ("401", "403")},
    **{f"prepare {status}": (refusing(status), 69) for status in ("302", "429", "500")},
    "prepare, not HTTP": (Exchange(f"you said {ECHO}\r\n\r\n".encode()), 69),
    "prepare, bad header": (Exchange(f"HTTP/1.1 200 OK\r\n{ECHO}\r\n\r\n{ECHO}".encode()), 69),
    "prepare, HTML": (Exchange(answer("200 OK", f"<html>{ECHO}</html>")), 69),
    "prepare, no token": (Exchange(NAMES_NO_TOKEN), 69),
    "prepare, not a text": (Exchange(NOT_A_TEXT), 69),
    "prepare, wrong length": (Exchange(WRONG_LENGTH), 69),
    "prepare, hangs up": (Exchange(b""), 69),
    "a token with a line break": (Exchange(FORGED, repeated("400")), 69),
    **{f"handshake {status}": (Exchange(GIVEN, repeated(status)), 77) for status in ("401", "403")},
    **{f"handshake {status}": (Exchange(GIVEN, repeated(status)), 69) for status in ("302", "429", "400")},
    "handshake, not HTTP": (Exchange(GIVEN, f"you said {ECHO}\r\n\r\n".encode()), 69),
    "handshake, bad header": (Exchange(GIVEN, f"HTTP/1.1 101 Yes\r\n{ECHO}\r\n\r\n".encode()), 69),
    "close, refused": (Exchange(GIVEN, b"", close_frame(1008, REASON), ends=True), 78),
    "close": (Exchange(GIVEN, b"", close_frame(1001, REASON), ends=True), 75),
    "refused": (Exchange(GIVEN, b"", said(json.dumps({"success": False, "msg": ECHO})), ends=True), 78),
    "ended": (Exchange(GIVEN, b"", said(json.dumps({"event": "end", "msg": ECHO})), ends=True), 75),
    "garbage": (Exchange(GIVEN, b"", said(ECHO), frame(3, ECHO.encode()), ends=True), 75),
    "not text": (Exchange(GIVEN, b"", said(json.dumps({"channel": ECHO, "market": ECHO})), TORN, ends=True), 75),
    "silence": (Exchange(GIVEN, b"", said(ECHO), ends=True), 75),
}


def test_nothing_leaks_when_an_exchange_repeats_what_it_received(tmp_path: Path) -> None:
    def attempt(name: str) -> None:
        exchange, expected = SERVERS[name]
        with serving(exchange.script) as server:
            folder = tmp_path / re.sub(r"\W+", "-", name)  # A comma would end the path in the YAML of the tree.
            tree = tree_of(folder, server.host, f"http://127.0.0.1:{server.port}")
            ended, leaks, output = run(tree)
        assert (name, leaks) == (name, [])
        assert (name, ended) == (name, expected), output["stderr"]
        # It has received what could have leaked.
        sent = [place for place in PLACES if KEYS[place] in exchange.heard]
        assert set(OF_PREPARE) <= set(sent)
        assert "prepare" in name or "token" in name or {"path", "query", "header"} <= set(sent)

    Pool(3).map(attempt, SERVERS)


def test_nothing_leaks_from_a_good_run(tmp_path: Path) -> None:
    exchange = Exchange()
    with serving(exchange.script) as server:
        tree = tree_of(tmp_path, server.host, f"http://127.0.0.1:{server.port}")
        ended, leaks, output = run(tree, until_data=True, SSMD_PAGE="full")
    assert (ended, leaks) == (0, [])
    [ledger] = [text for place, text in output.items() if ".ledger" in place]
    assert '"channel":"trades"' in ledger
    assert "/.../feed" in output["/status"]
    assert [place for place in PLACES if KEYS[place] not in exchange.heard] == []


def test_nothing_leaks_of_what_is_written_out_in_a_description(tmp_path: Path) -> None:
    """In place of a placeholder. Of the description, the ledger keeps only what reading needs."""
    exchange = Exchange()
    with serving(exchange.script) as server:
        tree = tree_of(tmp_path, server.host, f"http://127.0.0.1:{server.port}")
        feed, environment = tree / "feeds" / "test.yaml", tree / "environments" / "test.yaml"
        text = feed.read_text()
        for place in set(PLACES) - {"path"}:  # The path of an endpoint is shown, except for its placeholders.
            text = text.replace(f"${{key.{place}}}", KEYS[place])
        feed.write_text(text)
        fields, variables = ", ".join(PLACES), ",".join(VARIABLES)
        text = environment.read_text().replace(fields, "path, message").replace(variables, "PATH,MESSAGE")
        environment.write_text(text)
        ended, leaks, output = run(tree, until_data=True, SSMD_PAGE="full")
    assert (ended, leaks) == (0, [])
    [ledger] = [text for place, text in output.items() if ".ledger" in place]
    assert json.loads(ledger.splitlines()[0])["description"] == {
        "paths": {"type": "channel", "channel": "channel", "market": "market"}
    }
    assert [place for place in PLACES if KEYS[place] not in exchange.heard] == []


@pytest.mark.parametrize("host", ["127.0.0.1:9", "name.invalid"])
def test_nothing_leaks_when_the_exchange_cannot_be_reached(tmp_path: Path, host: str) -> None:
    with serving(Exchange().script) as server:
        for number, (endpoint, prepare) in enumerate(
            [(f"ws://{host}", f"http://127.0.0.1:{server.port}"), (server.host, f"http://{host}")]
        ):
            ended, leaks, output = run(tree_of(tmp_path / str(number), endpoint, prepare))
            assert (ended, leaks) == (69, []), output["stderr"]
            assert host in output["stderr"]


def test_nothing_leaks_when_the_answer_makes_an_address_of_a_key(tmp_path: Path) -> None:
    """Of a host that cannot be resolved, whose name is a key that the server repeats."""
    given = answer("200 OK", json.dumps({"token": f"ws://{KEYS['prepare_body'][:40]}.invalid/{KEYS['prepare_path']}"}))
    with serving(Exchange(given).script) as server:
        tree = tree_of(tmp_path, server.host, f"http://127.0.0.1:{server.port}")
        feed = tree / "feeds" / "test.yaml"
        feed.write_text(feed.read_text().replace(server.host + "/${key.path}/feed", "${prepared.token}"))
        ended, leaks, output = run(tree)
    assert (ended, leaks) == (69, []), output["stderr"]
    assert "cannot connect to ws://..." in output["stderr"]


def test_nothing_leaks_when_a_certificate_is_wrong(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    exchange = Exchange()
    with serving(exchange.script, tls=authority.context("exchange.test")) as server:
        tree = tree_of(tmp_path / "run", server.host, f"https://127.0.0.1:{server.port}")
        ended, leaks, _ = run(tree, SSL_CERT_FILE=str(authority.path))
    assert (ended, leaks, exchange.heard) == (69, [], "")


CRASHES: Mapping[str, str] = {
    "before the connection": "from ssmd.connector.dial import BoundedHead as broken\nname = 'recv'",
    "in the request": "from ssmd.connector.http_call import HttpCall as broken\nname = 'sendall'",
    "in the connection": "from ssmd.connector.frames import FrameReader as broken\nname = 'recv_batch'",
    "in a resolver": "import ssmd.resolver.env as broken\nname = 'file_of'",
    "in the dialect": "from ssmd.exchange.generic.connection import GenericConnection as broken\nname = 'inspect'",
}


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_nothing_leaks_in_the_traceback_of_a_bug(tmp_path: Path, crash: str) -> None:
    code = f"{crash}\ndef fail(*values):\n    raise RuntimeError('a bug')\nsetattr(broken, name, fail)\n"
    hook = "import builtins\nload = builtins.__import__\n"
    hook += "def late(name, globals=None, locals=None, fromlist=(), level=0):\n"
    hook += "    found = load(name, globals, locals, fromlist, level)\n"
    hook += "    if name == 'ssmd' and 'wiring' in (fromlist or ()):\n"
    hook += f"        builtins.__import__ = load\n        exec({code!r}, {{}})\n    return found\n"
    hook += "builtins.__import__ = late\n"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(hook)
    with serving(Exchange().script) as server:
        tree = tree_of(tmp_path, server.host, f"http://127.0.0.1:{server.port}")
        path = f"{tmp_path / 'hook'}:{Path(__file__).parent.parent}"
        ended, leaks, output = run(tree, PYTHONPATH=path)
    assert "RuntimeError: a bug" in output["stderr"]
    assert (ended, leaks) == (70, [])


def test_validate_shows_no_key(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, "wss://exchange.test", "https://exchange.test")
    for arguments in (["--keys", "--strict"], []):
        code, output = output_of(tmp_path, "validate", "--config-dir", tree, *arguments, **VARIABLES)
        assert (code, leaked(output, SECRETS)) == (0, []), output


# Keys from other sources than the environment.


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    server = VaultServer(tmp_path_factory.mktemp("vault"), tls=True)
    try:
        server.put("test", KEYS)
        yield server
    finally:
        server.stop()


def source_of(kind: str, folder: Path) -> str:
    """Put the keys into a source of that kind, outside of the folder of the run; return the text of `source`."""
    if kind == "file":
        for place, key in KEYS.items():
            (folder / place).write_text(f"{key}\n")
            (folder / place).chmod(0o600)
        return "file:" + ",".join(str(folder / place) for place in PLACES)
    (folder / "printed").write_text(json.dumps(KEYS))
    return {"exec": f"exec:cat {folder}/printed", "vault": "vault:secret/test"}[kind]


def sourced(folder: Path, source: str, host: str, port: int) -> Path:
    """Write the metadata tree with another source of the keys."""
    tree = tree_of(folder, host, f"http://127.0.0.1:{port}")
    path = tree / "environments" / "test.yaml"
    path.write_text(path.read_text().replace(f"'env:{','.join(VARIABLES)}'", f"'{source}'"))
    return tree


@pytest.mark.parametrize("kind", ["vault", "file", "exec"])
def test_nothing_leaks_of_keys_from_another_source(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, vault: VaultServer, kind: str
) -> None:
    secrets = SECRETS | pieces(vault.root)
    source = source_of(kind, tmp_path_factory.mktemp("source"))
    options: dict[str, Any] = {**vault.environ, "no_proxy": "*", "SSMD_PAGE": "full"}
    for exchange, code in ((Exchange(), 0), (Exchange(GIVEN, repeated("401")), 77)):
        with serving(exchange.script) as server:
            tree = sourced(tmp_path / str(code), source, server.host, server.port)
            arguments = ("run", "test", "--config-dir", tree)
            ended, output = output_of(tree.parent, *arguments, until_data=not code, **options)
        ours = {place: text for place, text in output.items() if not place.endswith(".jsonl") or ".ledger" in place}
        assert (ended, leaked(ours, secrets)) == (code, []), output["stderr"]
        assert {place for place in OF_PREPARE if KEYS[place] in exchange.heard} == set(OF_PREPARE)
    code, output = output_of(tmp_path / "validate", "validate", "--config-dir", tree, "--keys", **options)
    assert (code, leaked(output, secrets)) == (0, [])


LOGINS = {name: uuid.uuid4().hex + uuid.uuid4().hex for name in ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID")}
BY_TOKEN = {"VAULT_TOKEN": LOGINS["VAULT_TOKEN"]}
BY_ROLE = {name: LOGINS[name] for name in ("VAULT_ROLE_ID", "VAULT_SECRET_ID")}
HEARD = " ".join([*LOGINS.values(), ECHO])
OF_LOGINS = SECRETS | pieces(*LOGINS.values())
VAULTS: dict[str, bytes] = {
    **{status: repeated(status, HEARD) for status in ("200", "301", "400", "403", "404", "418", "429", "500", "503")},
    "errors": answer("403 Forbidden", json.dumps({"errors": [HEARD, "preflight"]})),
    "another kind": answer("200 OK", json.dumps({"data": {"type": HEARD, "path": HEARD, "options": HEARD}})),
    "another type": answer("200 OK", json.dumps({"data": {"type": "kv", "metadata": KEYS, "data": HEARD}})),
    "no entries": answer("200 OK", json.dumps({"data": {"type": "kv", "message": KEYS["message"]}})),
    "a token with a line break": answer("200 OK", json.dumps({"auth": {"client_token": f"{TOKEN}\r\n{TOKEN}"}})),
    "not HTTP": f"you said {HEARD}\r\n\r\n".encode(),
    "wrong length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + HEARD.encode(),
}


class Repeating:
    """A server in the place of Vault, which gives an answer and keeps what it has heard."""

    def __init__(self, data: bytes) -> None:
        self.data, self.heard = data, ""

    def script(self, peer: Peer) -> None:
        request = peer.request()
        self.heard += str(request) + peer.read(int(request.headers.get("Content-Length", "0"))).decode()
        peer.send(self.data)


@pytest.mark.parametrize("login", [BY_TOKEN, BY_ROLE], ids=["token", "role"])
def test_no_message_repeats_what_a_vault_has_answered(login: Mapping[str, str]) -> None:
    for name, data in VAULTS.items():
        vault = Repeating(data)
        with serving(vault.script) as server:
            environ = {"VAULT_ADDR": f"http://127.0.0.1:{server.port}", **login}
            with pytest.raises(ResolveError) as refused:
                VaultResolver(environ, time.monotonic() + 60).resolve(KeySource("test", "vault:secret/test", PLACES))
        assert (name, leaked({"message": str(refused.value)}, OF_LOGINS)) == (name, [])
        assert all(secret in vault.heard for secret in login.values())


@pytest.mark.parametrize("name", ["301", "403"])
def test_nothing_leaks_when_a_vault_repeats_what_it_received(tmp_path: Path, name: str) -> None:
    vault = Repeating(VAULTS[name])
    with serving(vault.script) as server:
        tree = sourced(tmp_path, "vault:secret/test", "wss://exchange.test", 9)
        login: dict[str, Any] = {"VAULT_ADDR": f"http://127.0.0.1:{server.port}", **BY_TOKEN}
        code, output = output_of(tmp_path, "run", "test", "--config-dir", tree, **login)
    assert (code, leaked(output, OF_LOGINS)) == (78, []), output["stderr"]
    assert BY_TOKEN["VAULT_TOKEN"] in vault.heard


COMMANDS: dict[str, str] = {
    "fails": "cat {0}; cat {0} >&2; exit 3",
    "is ended": "cat {0}; kill -9 $$",
    "prints no JSON": "cat {0} {0}",
    "prints another field": 'echo "{{\\"other\\": $(cat {0})}}"',
    "prints too much": "cat {0}; yes",
}


def test_nothing_leaks_of_a_command_that_fails(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("source")
    source_of("exec", folder)
    for number, text in enumerate(COMMANDS.values()):
        program = folder / f"program-{number}"
        program.write_text(f"#!/bin/sh\n{text.format(folder / 'printed')}\n")
        program.chmod(0o755)
        with pytest.raises(ResolveError) as refused:
            ExecResolver(os.environ, time.monotonic() + 60).resolve(KeySource("test", f"exec:{program}", PLACES))
        assert (text, leaked({"message": str(refused.value)}, SECRETS)) == (text, [])
    tree = sourced(tmp_path, f"exec:{folder}/program-0", "wss://exchange.test", 9)
    code, output = output_of(tree.parent, "run", "test", "--config-dir", tree)
    assert (code, leaked(output, SECRETS)) == (69, []), output["stderr"]
