"""Logging in to a real server of OpenBao in each way that it is done: with a token, an AppRole, a service account."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from exchange_server import Authority, Peer, serving
from vault_server import VaultServer

from ssmd.errors import ResolveError
from ssmd.resolver.vault.client import Client
from ssmd.resolver.vault.login import Token, log_in

POLICY = 'path "secret/data/kalshi" { capabilities = ["read"] }'


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    """A server with a policy, an AppRole at two paths, and nothing else."""
    server = VaultServer(tmp_path_factory.mktemp("vault"))
    try:
        server.do("sys/policies/acl/ssmd", {"policy": POLICY})
        server.put("kalshi", {"a": "b"})
        for path in ("approle", "machines/approle"):
            server.do(f"sys/auth/{path}", {"type": "approle"})
            server.do(f"auth/{path}/role/ssmd", {"token_policies": "ssmd", "token_ttl": "5m"})
        yield server
    finally:
        server.stop()


def login(vault: VaultServer, **variables: str) -> Token:
    environ = {"VAULT_ADDR": vault.address, "HOME": "/nonexistent", **variables}
    return log_in(Client(environ, time.monotonic() + 60), environ)


def refusal(vault: VaultServer, **variables: str) -> str:
    with pytest.raises(ResolveError) as refused:
        login(vault, **variables)
    text = str(refused.value)
    assert "canary" not in text
    assert "\n" not in text
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return text.replace(vault.address.partition("://")[2], "HOST")


def can_read(vault: VaultServer, token: Token) -> bool:
    return vault.call("GET", "secret/data/kalshi", token=token.text)[0] == 200


def role(vault: VaultServer, path: str = "approle") -> dict[str, str]:
    """Return the variables of an AppRole with a new secret ID."""
    role_id = vault.call("GET", f"auth/{path}/role/ssmd/role-id")[1]["data"]["role_id"]
    secret_id = vault.do(f"auth/{path}/role/ssmd/secret-id")["data"]["secret_id"]
    return {"VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": secret_id}


def test_a_token_is_taken_as_it_is_or_from_the_file_that_its_variable_names(vault: VaultServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s.from-a-file\n")
    assert login(vault, VAULT_TOKEN=" s.given\n") == Token("s.given", "VAULT_TOKEN")
    assert login(vault, VAULT_TOKEN=str(file)) == Token("s.from-a-file", "VAULT_TOKEN")


def test_without_any_other_way_the_token_of_vault_login_is_taken(vault: VaultServer, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("s.of-a-person")
    assert login(vault, HOME=str(tmp_path)) == Token("s.of-a-person", "~/.vault-token")
    assert login(vault, HOME=str(tmp_path), VAULT_TOKEN="s.given").text == "s.given"
    assert login(vault, HOME=str(tmp_path), **role(vault)).text not in ("s.of-a-person", "")
    (tmp_path / ".vault-token").write_text("")
    assert refusal(vault, HOME=str(tmp_path)) == "~/.vault-token is empty; write the value to it"
    (tmp_path / ".vault-token").unlink()
    (tmp_path / ".vault-token").mkdir()
    assert refusal(vault, HOME=str(tmp_path)) == "~/.vault-token is a folder; name a file in it"


def test_without_any_way_all_ways_are_named(vault: VaultServer, tmp_path: Path) -> None:
    assert refusal(vault, HOME=str(tmp_path)) == (
        "there is no token for Vault: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_K8S_ROLE, or run "
        "`vault login`"
    )


@pytest.mark.parametrize("token", ["s.canary\r\nX-Forged: canary", "s.canary canary", "s.canaryé"])
def test_a_token_that_could_not_be_sent_is_not_sent(vault: VaultServer, token: str) -> None:
    assert refusal(vault, VAULT_TOKEN=token) == (
        "VAULT_TOKEN has spaces, line breaks or other characters that no such value has"
    )


def test_an_approle_logs_in(vault: VaultServer, tmp_path: Path) -> None:
    variables = role(vault)
    assert can_read(vault, login(vault, **variables))
    file = tmp_path / "secret-id"
    file.write_text(variables["VAULT_SECRET_ID"] + "\n")
    assert can_read(vault, login(vault, **variables | {"VAULT_SECRET_ID": str(file)}))


def test_a_method_may_be_enabled_at_another_path(vault: VaultServer) -> None:
    variables = role(vault, "machines/approle")
    for path in ("machines/approle", "/machines/approle/"):
        assert can_read(vault, login(vault, VAULT_AUTH_PATH=path, **variables))
    assert refusal(vault, **variables).startswith("Vault at HOST refuses the login at `auth/approle` (status 400)")
    for path in ("../sys", "a b", "canary?", "a//b"):
        assert refusal(vault, VAULT_AUTH_PATH=path, **variables) == (
            "VAULT_AUTH_PATH is no path of a login method, such as kubernetes-prod"
        )


def test_an_approle_that_is_refused(vault: VaultServer) -> None:
    variables = role(vault)
    for wrong in ({"VAULT_ROLE_ID": "canary"}, {"VAULT_SECRET_ID": "canary"}):
        assert refusal(vault, **variables | wrong) == (
            "Vault at HOST refuses the login at `auth/approle` (status 400); check VAULT_ROLE_ID and VAULT_SECRET_ID, "
            "the role in Vault, and VAULT_AUTH_PATH if the method is enabled at another path"
        )
    assert refusal(vault, VAULT_ROLE_ID=variables["VAULT_ROLE_ID"]) == (
        "VAULT_ROLE_ID is set, and VAULT_SECRET_ID is not; set it to the secret ID of the role"
    )
    text = refusal(vault, VAULT_AUTH_PATH="nowhere", **variables)
    assert text.startswith("Vault at HOST refuses the login at `auth/nowhere` (status 4")


ACCOUNT = "system:serviceaccount:market-data:ssmd"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def service_account_token() -> str:
    """Return a token as Kubernetes gives one to a pod: a JWT, signed with ES256."""
    account = {"namespace": "market-data", "serviceaccount": {"name": "ssmd", "uid": "canary-uid"}}
    times = {"iat": int(time.time()), "nbf": int(time.time()), "exp": int(time.time()) + 3600}
    claims = {"iss": "https://kubernetes.default.svc", "sub": ACCOUNT, "kubernetes.io": account, **times}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    signature = ec.generate_private_key(ec.SECP256R1()).sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(signature)
    return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def reviewing(token: str) -> object:
    """Answer as the API server of Kubernetes does, which knows one token:
    https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
    """

    def script(peer: Peer) -> None:
        request = peer.request()
        assert request.line == "POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1"
        review = json.loads(peer.read(int(request.headers["Content-Length"])))
        known = review["spec"]["token"] == token
        user = {"username": ACCOUNT, "uid": "canary-uid", "groups": ["system:serviceaccounts"]}
        review["status"] = {"authenticated": True, "user": user} if known else {"error": "no such token"}
        body = json.dumps(review).encode()
        head = f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        peer.send(head.encode() + body)

    return script


def test_the_service_account_of_a_pod_logs_in(vault: VaultServer, tmp_path: Path) -> None:
    authority, token, file = Authority(tmp_path), service_account_token(), tmp_path / "sa-token"
    file.write_text(token)
    with serving(reviewing(token), tls=authority.context()) as kubernetes:  # type: ignore[arg-type]
        vault.do("sys/auth/kubernetes", {"type": "kubernetes"})
        config = {"kubernetes_host": f"https://127.0.0.1:{kubernetes.port}", "token_reviewer_jwt": "reviewer"}
        vault.do("auth/kubernetes/config", config | {"kubernetes_ca_cert": authority.path.read_text()})
        bound = {"bound_service_account_names": "ssmd", "bound_service_account_namespaces": "market-data"}
        vault.do("auth/kubernetes/role/ssmd", bound | {"token_policies": "ssmd", "token_ttl": "5m"})
        given = login(vault, VAULT_K8S_ROLE="ssmd", VAULT_K8S_TOKEN_FILE=str(file))
        assert given.origin == "VAULT_K8S_ROLE and the pod's service account"
        assert can_read(vault, given)
        refused = "Vault at HOST refuses the login at `auth/kubernetes` (status 4"
        assert refusal(vault, VAULT_K8S_ROLE="other", VAULT_K8S_TOKEN_FILE=str(file)).startswith(refused)
        file.write_text(service_account_token())
        assert refusal(vault, VAULT_K8S_ROLE="ssmd", VAULT_K8S_TOKEN_FILE=str(file)).startswith(refused)


def test_outside_of_a_pod_there_is_no_token_file(vault: VaultServer) -> None:
    assert refusal(vault, VAULT_K8S_ROLE="ssmd") == "the token file of the service account does not exist"
