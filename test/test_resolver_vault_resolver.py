"""Keys in a real server of OpenBao: found, or one line that says what to do and has no value in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vault_server import VaultServer

from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.resolver import RESOLVERS
from ssmd.resolver.vault.resolver import VaultResolver

KEY_ID, SECRET = "canary-7c41-id", "canary-7c41-secret\n-----\n"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    """A server with TLS and these secrets."""
    server = VaultServer(tmp_path_factory.mktemp("vault"), tls=True)
    try:
        server.put("kalshi", {"api_key": "canary-7c41-old", "api_secret": "canary-7c41-old"})
        server.put("kalshi", {"api_key": KEY_ID, "api_secret": SECRET})
        server.put("deep/in/the%20folder", {"a": "canary-7c41-deep"})
        server.do("sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        server.do("old/kalshi", {"api_key": KEY_ID})
        server.do("sys/mounts/team/a/secret", {"type": "kv-v2"})
        server.do("team/a/secret/data/kalshi", {"data": {"api_key": KEY_ID}})
        yield server
    finally:
        server.stop()


def resolve(vault: VaultServer, source: str, *fields: str, **variables: str) -> Found:
    return VaultResolver(vault.environ | variables, time.monotonic() + 60).resolve(
        KeySource("kalshi", source, fields or ("api_key", "api_secret"))
    )


def refusal(vault: VaultServer, source: str, *fields: str, **variables: str) -> str:
    """Return the message of a refusal, one line without a value, and without the server's address."""
    with pytest.raises(ResolveError) as refused:
        resolve(vault, source, *fields, **variables)
    text = str(refused.value)
    assert "canary" not in text
    assert "\n" not in text
    assert not any(token in text for token in (vault.root, variables.get("VAULT_TOKEN", vault.root)))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return text.replace(vault.address.partition("://")[2], "HOST")


def test_the_catalog_has_it(vault: VaultServer) -> None:
    assert RESOLVERS["vault"] is VaultResolver


@pytest.mark.parametrize("source", ["vault:secret/kalshi", "vault/secret/kalshi", "vault:secret:kalshi"])
def test_each_field_is_an_entry_of_the_secret(vault: VaultServer, source: str) -> None:
    found = resolve(vault, source)
    assert found.values == {"api_key": KEY_ID, "api_secret": SECRET}
    assert found.changed == pytest.approx(time.time(), abs=120)
    assert found.warnings == []


@pytest.mark.parametrize("source", ["vault:team/a/secret/kalshi", "vault:team/a/secret:kalshi"])
def test_the_path_of_a_mount_may_have_slashes(vault: VaultServer, source: str) -> None:
    assert resolve(vault, source, "api_key").values == {"api_key": KEY_ID}


def test_a_path_may_have_folders_and_spaces(vault: VaultServer) -> None:
    assert resolve(vault, "vault:secret/deep/in/the folder", "a").values == {"a": "canary-7c41-deep"}


def test_a_store_of_version_1_does_not_say_when_it_was_written(vault: VaultServer) -> None:
    assert resolve(vault, "vault:old/kalshi", "api_key") == Found({"api_key": KEY_ID}, None, [])


def test_an_older_version_is_read_where_the_source_names_it(vault: VaultServer) -> None:
    assert resolve(vault, "vault:secret/kalshi?version=1", "api_key").values == {"api_key": "canary-7c41-old"}
    assert resolve(vault, "vault:secret/kalshi?version=2", "api_key").values == {"api_key": KEY_ID}


def test_each_secret_is_read_once(vault: VaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = VaultResolver(vault.environ, time.monotonic() + 60)
    resolver.resolve(KeySource("one", "vault:secret/kalshi", ["api_key"]))
    monkeypatch.setattr("ssmd.resolver.vault.client.Client.ask", None)
    assert resolver.resolve(KeySource("two", "vault:secret/kalshi", ["api_secret"])).values == {"api_secret": SECRET}


READ = 'path "secret/data/kalshi" { capabilities = ["read"] }'


def test_the_policy_of_the_documents_is_enough(vault: VaultServer) -> None:
    token = vault.token(READ)
    assert resolve(vault, "vault:secret/kalshi", VAULT_TOKEN=token).values["api_key"] == KEY_ID


def test_a_wrong_token_and_an_expired_one_are_named_as_such(vault: VaultServer) -> None:
    short = vault.token(READ, ttl="1s", explicit_max_ttl="1s")
    while vault.call("GET", "auth/token/lookup-self", token=short)[0] == 200:
        time.sleep(0.1)
    for token in ("s.canary0123456789abcdef", short):
        assert refusal(vault, "vault:secret/kalshi", VAULT_TOKEN=token) == (
            "Vault at HOST refuses the token: it is wrong, or has expired, or is of another namespace; renew "
            "VAULT_TOKEN"
        )


def test_a_token_that_may_not_read_needs_a_policy(vault: VaultServer) -> None:
    token = vault.token('path "secret/data/other" { capabilities = ["read"] }')
    assert refusal(vault, "vault:secret/kalshi", VAULT_TOKEN=token) == (
        "Vault at HOST does not let the token read the secret; correct the path, or give the token a policy with "
        "`read` on `<mount>/data/<path>`"
    )
    token = vault.token('path "old/other" { capabilities = ["read"] }')
    assert refusal(vault, "vault:old/kalshi", VAULT_TOKEN=token).endswith("with `read` on `<mount>/<path>`")


NO_MOUNT = (
    "Vault at HOST has no store at the mount that the source names, or the token may use nothing in it; check the "
    "mount, VAULT_NAMESPACE and the policies of the token"
)


def test_a_mount_that_is_missing_looks_like_one_that_may_not_be_used(vault: VaultServer) -> None:
    assert refusal(vault, "vault:missing/kalshi") == NO_MOUNT
    assert refusal(vault, "vault:secret/kalshi", VAULT_TOKEN=vault.token()) == NO_MOUNT


def test_a_missing_path_is_named_as_such(vault: VaultServer) -> None:
    expected = (
        "Vault at HOST has no secret at this path; write it as for `vault kv get`, without `data/`, and check "
        "VAULT_NAMESPACE"
    )
    for source in ("vault:secret/missing", "vault:old/missing", "vault:secret/data/kalshi", "vault:secret/deep"):
        assert refusal(vault, source) == expected


def test_missing_fields_are_all_named(vault: VaultServer) -> None:
    assert refusal(vault, "vault:secret/kalshi", "a", "api_key", "b") == (
        "the secret in Vault has no `a`, `b`; each of `fields` is the name of one of its entries"
    )


@pytest.mark.parametrize("value", ["", " \n", 7, None, ["canary"], {"canary": "canary"}])
def test_an_entry_that_is_no_text_is_refused(vault: VaultServer, value: Any) -> None:
    vault.put("odd", {"api_key": value})
    assert refusal(vault, "vault:secret/odd", "api_key") == (
        "`api_key` of the secret in Vault is empty, or is not a text"
    )


def test_versions_that_are_missing_deleted_and_destroyed(vault: VaultServer) -> None:
    for number in (1, 2, 3):
        vault.put("versions", {"a": f"canary-{number}"})
    vault.do("secret/destroy/versions", {"versions": [1]})
    vault.do("secret/delete/versions", {"versions": [3]})
    assert resolve(vault, "vault:secret/versions?version=2", "a").values == {"a": "canary-2"}
    assert refusal(vault, "vault:secret/versions", "a") == (
        "of the secret in Vault, its newest version is deleted; restore it with `vault kv undelete`, or write a new "
        "one with `vault kv put`"
    )
    assert refusal(vault, "vault:secret/versions?version=3", "a").startswith(
        "of the secret in Vault, version 3 is deleted; restore it"
    )
    assert refusal(vault, "vault:secret/versions?version=1", "a") == (
        "of the secret in Vault, version 1 is destroyed; write a new one with `vault kv put`"
    )
    assert refusal(vault, "vault:secret/versions?version=4", "a") == (
        "the secret in Vault has no version 4; name another, or none for the newest"
    )
    assert refusal(vault, "vault:secret/missing?version=4", "a").startswith("Vault at HOST has no secret at this path")
    assert refusal(vault, "vault:old/kalshi?version=1") == (
        "the store in Vault is of version 1, which keeps no versions; remove `?version=`"
    )


def test_only_the_key_value_store_is_read(vault: VaultServer) -> None:
    vault.do("sys/mounts/transit", {"type": "transit"})
    assert refusal(vault, "vault:transit/keys/x") == (
        "its source names a secret of another engine of Vault than `kv`, and only `kv` has keys that stay"
    )


def test_a_namespace_is_asked_where_it_is_set(vault: VaultServer) -> None:
    vault.do("sys/namespaces/desk")
    vault.do("sys/mounts/secret", {"type": "kv-v2"}, namespace="desk")
    vault.put("kalshi", {"api_key": "canary-7c41-team"}, namespace="desk")
    for name in ("desk", "desk/"):
        found = resolve(vault, "vault:secret/kalshi", "api_key", VAULT_NAMESPACE=name)
        assert found.values == {"api_key": "canary-7c41-team"}
    wrong = refusal(vault, "vault:secret/kalshi", VAULT_NAMESPACE="other")
    assert wrong.startswith("Vault at HOST")
    assert "VAULT_NAMESPACE" in wrong or "namespace" in wrong
    assert refusal(vault, "vault:secret/kalshi", VAULT_NAMESPACE="a b") == (
        "VAULT_NAMESPACE is no name of a namespace, such as team-a/"
    )


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[VaultServer]:
    """A server without TLS, for one test."""
    server = VaultServer(tmp_path)
    try:
        server.put("kalshi", {"api_key": KEY_ID, "api_secret": SECRET})
        yield server
    finally:
        server.stop()


def test_a_server_that_is_sealed_then_frozen_then_down(plain: VaultServer) -> None:
    assert resolve(plain, "vault:secret/kalshi").values["api_key"] == KEY_ID
    plain.freeze()
    begin = time.monotonic()
    resolver = VaultResolver(plain.environ, begin + 1.5)
    with pytest.raises(SourceUnavailable, match="has not answered in time; check that the server is well"):
        resolver.resolve(KeySource("kalshi", "vault:secret/kalshi", ["api_key"]))
    assert time.monotonic() - begin >= 1.5
    plain.thaw()
    plain.do("sys/seal")
    with pytest.raises(SourceUnavailable, match=r"is sealed, or is not ready \(503\); unseal it"):
        resolve(plain, "vault:secret/kalshi")
    plain.stop()
    with pytest.raises(SourceUnavailable, match="cannot be reached: Connection refused; check VAULT_ADDR, and that"):
        resolve(plain, "vault:secret/kalshi")


WRONG = ["vault", "vault:", "vault:secret", "vault:secret/", "vault:/kalshi", "vault:secret//kalshi", "vault:a/../b"]
WRONG += ["vault:a/b?version=0", "vault:a/b?version=x", "vault:a/b?", "vault:a/b?x=1", "vault:a/b#1", "vault:a/*"]
WRONG += ["vault:hunter2", "vault:a/hunter2\nb", "vaults:a/b", "vault/", "vault:a/b?version=1&version=2", "vault: /a"]


@pytest.mark.parametrize("source", WRONG)
def test_a_source_without_its_form_is_refused_without_showing_it(source: str) -> None:
    [problem] = VaultResolver.check(KeySource("kalshi", source, ["a"]))
    assert problem.path == ("source",)
    assert problem.message == (
        "must name a secret in Vault: `vault:<mount>/<path>`, with `?version=<n>` for an older version; never put a "
        "key here"
    )


@pytest.mark.parametrize("source", ["vault:secret/kalshi", "vault/rates/x.y", "vault:a/b:c/d?version=12"])
def test_a_source_with_its_form_is_accepted(source: str) -> None:
    assert list(VaultResolver.check(KeySource("kalshi", source, ["a"]))) == []
