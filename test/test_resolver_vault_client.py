"""Requests to Vault that go wrong on the way: each is one line in time, and a token goes to no other host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from exchange_server import Authority, Peer, dripping, eventually, flooding, serving
from patience import PATIENCE

from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.resolver.vault.client import Answer, Client

TOKEN = "s.canary-token-0123456789"
ROOT = Path(__file__).parent.parent


def answer(status: str, body: str, fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def ask(address: str, seconds: float = 60, **variables: str) -> Answer:
    client = Client({"VAULT_ADDR": address, **variables}, time.monotonic() + seconds)
    return client.ask("secret/data/kalshi", token=TOKEN)


def refusal(address: str, kind: type[ResolveError] = ResolveError, seconds: float = 60, **variables: str) -> str:
    with pytest.raises(ResolveError) as refused:
        ask(address, seconds, **variables)
    text = str(refused.value)
    assert type(refused.value) is kind, text
    assert "canary" not in text
    assert "\n" not in text
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return text.replace(address.partition("://")[2], "HOST")


def answering(data: bytes) -> Any:
    def script(peer: Peer) -> Any:
        request = peer.request()
        peer.send(data)
        return request

    return script


def test_a_request_is_as_vaults_own_tools_make_it() -> None:
    with serving(answering(answer("200 OK", '{"data":{"a":"b"}}'))) as server:
        assert ask(f"http://127.0.0.1:{server.port}/behind/", VAULT_NAMESPACE="team/a").get("data", "a") == "b"
        request = server.result()
    assert request.line == "GET /behind/v1/secret/data/kalshi HTTP/1.1"
    expected = {"X-Vault-Token": TOKEN, "X-Vault-Namespace": "team/a", "X-Vault-Request": "true"}
    assert expected.items() <= request.headers.items()


CANARY = "canary-of-an-answer"
UNREACHED = "Vault at HOST cannot be reached: {}; check VAULT_ADDR, and that the server is up"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_named_and_never_followed(status: str) -> None:
    with serving(answering(answer("200 OK", "{}"))) as other:
        place = f"http://127.0.0.1:{other.port}/v1/{CANARY}?{CANARY}"
        with serving(answering(answer(status, "", f"Location: {place}\r\n"))) as server:
            assert refusal(f"http://127.0.0.1:{server.port}") == (
                f"Vault at HOST redirects to `127.0.0.1:{other.port}`, to which no token is sent; set VAULT_ADDR to "
                "the address of the active server"
            )
        assert other.connections == 0


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found"])
@pytest.mark.parametrize("body", [f"<html>{CANARY}</html>", f'["{CANARY}"]', f'"{CANARY}"', "[" * 20000])
def test_what_is_no_answer_of_vault_is_said_to_be_something_else(status: str, body: str) -> None:
    with serving(answering(answer(status, body))) as server:
        assert refusal(f"http://127.0.0.1:{server.port}") == (
            "Vault at HOST has answered with something else than JSON; set VAULT_ADDR to the address of the server, "
            "such as https://vault.example:8200"
        )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("503 Sealed", "is sealed, or is not ready (503); unseal it"),
        ("429 Too Many", "has too many requests (429); wait, or raise its quota"),
        ("412 Behind", "has answered with status 412; its log says why"),
        ("473 Standby", "has answered with status 473; its log says why"),
        ("500 Error", "has answered with status 500; its log says why"),
        ("502 Bad Gateway", "has answered with status 502; its log says why"),
    ],
)
def test_an_answer_that_asks_for_patience_may_be_another_one_later(status: str, expected: str) -> None:
    with serving(answering(answer(status, f"<html>{CANARY}</html>"))) as server:
        assert refusal(f"http://127.0.0.1:{server.port}", SourceUnavailable) == f"Vault at HOST {expected}"


HUGE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with serving(flooding(HUGE, piece)) as server:
        assert refusal(f"http://127.0.0.1:{server.port}") == (
            "Vault at HOST has answered with more than 1048576 bytes; set VAULT_ADDR to the address of the server, "
            "such as https://vault.example:8200"
        )


def test_a_head_without_end_is_no_answer() -> None:
    with serving(flooding(b"HTTP/1.1 200 OK\r\n", b"X-Many: canary\r\n")) as server:
        text = refusal(f"http://127.0.0.1:{server.port}", SourceUnavailable)
    assert text == UNREACHED.format("its answer is not HTTP")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has hung up"),
        (f"{CANARY}\r\n\r\n".encode(), "its answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{}", "it has hung up"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{", None),
    ],
)
def test_an_answer_that_is_none(data: bytes, reason: str | None) -> None:
    with serving(answering(data)) as server:
        text = refusal(f"http://127.0.0.1:{server.port}", SourceUnavailable if reason else ResolveError)
    if reason is not None:
        assert text == UNREACHED.format(reason)


SLOW = "Vault at HOST has not answered in time; check that the server is well"
DRIPPED = answer("200 OK", json.dumps({"data": {"x": CANARY * 200}}), f"X-Long: {CANARY * 100}\r\n")


@pytest.mark.parametrize("data", [b"", DRIPPED, DRIPPED[DRIPPED.index(b"\r\n\r\n") :]], ids=["frozen", "head", "body"])
def test_the_time_ends_an_answer_that_comes_byte_by_byte(data: bytes) -> None:
    def script(peer: Peer) -> None:
        if not data.startswith(b"HTTP"):
            peer.send(DRIPPED.partition(b"\r\n\r\n")[0] if data else b"")
        dripping(data)(peer)
        peer.drained()

    with serving(script) as server:
        begin = time.monotonic()
        assert refusal(f"http://127.0.0.1:{server.port}", SourceUnavailable, seconds=1.0) == SLOW
        assert time.monotonic() - begin >= 1.0
        eventually(lambda: server._scripts[0].dead)  # The connection has been closed.


UNPATCHED = """
import sys, time
from ssmd.errors import SourceUnavailable
from ssmd.resolver.vault.client import Client
begin = time.monotonic()
try:
    Client({"VAULT_ADDR": sys.argv[1]}, begin + 1.0).ask("secret/data/kalshi", token="t")
except SourceUnavailable as error:
    print(error)
assert "gevent" not in sys.modules
"""


def test_the_time_ends_it_without_gevent_too() -> None:
    """As in `ssmd ship`. Without it, the answer would be read to its end, as each byte comes in time."""
    with serving(dripping(DRIPPED)) as server:
        address = f"http://127.0.0.1:{server.port}"
        done = subprocess.run(
            [sys.executable, "-c", UNPATCHED, address], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
    assert done.stderr == ""
    assert done.stdout.replace(address.partition("://")[2], "HOST") == f"{SLOW}\n"


def test_hosts_that_are_not_there() -> None:
    for address, reason in {
        "https://vault.invalid:8200": "there is no such host",
        "http://127.0.0.1:9": "Connection refused",
    }.items():
        assert refusal(address, SourceUnavailable) == UNREACHED.format(reason)


def test_certificates_are_verified(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "Other Authority")
    script = answering(answer("200 OK", "{}"))
    with serving(script, tls=ours.context()) as server, serving(script, tls=ours.context("other.test")) as wrong:
        address = f"https://127.0.0.1:{server.port}"
        assert ask(address, VAULT_CACERT=str(ours.path)) == Answer(200, {})
        for authority in ("", str(other.path)):
            text = refusal(address, VAULT_CACERT=authority)
            assert text.startswith("Vault at HOST: its certificate is not accepted: ")
            assert text.endswith("; name the certificate of its authority in VAULT_CACERT")
        text = refusal(f"https://127.0.0.1:{wrong.port}", VAULT_CACERT=str(ours.path))
        assert "its certificate is not accepted: IP address mismatch" in text


def test_a_server_without_tls_is_named_as_such() -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.send(answer("400 Bad Request", "Client sent an HTTP request to an HTTPS server."))

    with serving(script) as server:
        assert refusal(f"https://127.0.0.1:{server.port}", SourceUnavailable) == (
            "Vault at HOST cannot be reached: it does not speak TLS; check VAULT_ADDR, and that the server is up"
        )


BAD_FILES = {
    "missing": "does not exist",
    "no.pem": "is no certificate in PEM form",
    "folder": "cannot be read: Is a directory; let the user that ssmd runs as read it",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_the_file_of_an_authority_must_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "no.pem").write_text("canary")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResolveError) as refused:
        Client({"VAULT_ADDR": "https://vault.example", "VAULT_CACERT": str(tmp_path / name)}, 0.0)
    assert str(refused.value) == f"VAULT_CACERT names a file that {BAD_FILES[name]}"


NO_ADDRESSES = ["vault.example:8200", "https://", "https://a b", "ftp://vault", "https://user:canary@vault"]
NO_ADDRESSES += ["https://vault:x", "https://vault:0", "https://vault?x=canary", "https://vault/#canary", "https://[::1"]


@pytest.mark.parametrize("address", [*NO_ADDRESSES, "https://vault/\ncanary"])
def test_an_address_that_is_none_is_not_shown(address: str) -> None:
    with pytest.raises(ResolveError, match=r"^VAULT_ADDR is no address of a server; set it to the address") as refused:
        Client({"VAULT_ADDR": address}, 0.0)
    assert "canary" not in str(refused.value)


def test_without_an_address_it_says_which_variable_to_set() -> None:
    for environ in ({}, {"VAULT_ADDR": " "}):
        with pytest.raises(ResolveError, match=r"^VAULT_ADDR is not set; set it to the address of the server, such as"):
            Client(environ, 0.0)


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("http://vault.example:8200", True),
        ("http://localhost.example", True),
        ("https://vault.example", False),
        ("http://127.0.0.2:8200", False),
        ("http://localhost:8200", False),
        ("http://[::1]:8200", False),
    ],
)
def test_only_a_network_can_be_listened_to(address: str, is_open: bool) -> None:
    assert Client({"VAULT_ADDR": address}, 0.0).is_open is is_open
