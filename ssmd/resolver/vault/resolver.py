"""The resolver for keys in Vault's key-value store, version 2 and 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError
from ssmd.metadata.problem import excerpt, quoted
from ssmd.resolver.vault.client import Answer, Client
from ssmd.resolver.vault.login import Token, log_in
from ssmd.resolver.vault.source import SOURCE_FORM, Secret, read_source

__all__ = ["VaultResolver"]

_AS_KV_GET = "write it as for `vault kv get`, without `data/`"


class _Content(NamedTuple):
    """A secret that was read."""

    entries: Mapping[str, Any]
    created: float | None
    """When this version was written, Unix seconds; None when Vault does not say."""


class VaultResolver:
    """Resolves `vault:<mount>/<path>`; keeps the KeyResolver contract of contracts/resolver.py.

    The names of a key's fields are those of the secret's entries. It logs in once, and reads each secret once.
    """

    def __init__(self, environ: Mapping[str, str], until: float) -> None:
        self._environ = environ
        self._until = until
        self._client: Client | None = None
        self._token: Token | None = None
        self._read: dict[Secret, _Content] = {}

    @classmethod
    def check(cls, key: KeySource) -> Iterator[FieldProblem]:
        if read_source(key.source) is None:
            message = f"must name a secret in Vault: {SOURCE_FORM}; never put a key here"
            yield FieldProblem(("source",), message)

    def resolve(self, key: KeySource) -> Found:
        secret = read_source(key.source)
        if secret is None:
            raise ResolveError(f"its source must be {SOURCE_FORM}")
        if self._client is None:
            self._client = Client(self._environ, self._until)
        if secret not in self._read:
            self._token = self._token or log_in(self._client, self._environ)
            self._read[secret] = _Reading(self._client, self._token, secret).read()
        content = self._read[secret]
        missing = [field for field in key.fields if field not in content.entries]
        if missing:
            raise ResolveError(
                f"the secret in Vault has no {quoted(missing)}; each of `fields` is the name of one of its entries"
            )
        values = {field: content.entries[field] for field in key.fields}
        for field, value in values.items():
            if not isinstance(value, str) or not value.strip():
                raise ResolveError(f"`{excerpt(field)}` of the secret in Vault is empty, or is not a text")
        warning = f"{self._client.server} is asked over http://, which anybody on the way can read; use https://"
        return Found(values, content.created, [warning] if self._client.is_open else [])


class _Reading:
    """Reads one secret, as `vault kv get` does: the mount says which version of the store it is."""

    def __init__(self, client: Client, token: Token, secret: Secret) -> None:
        self._client = client
        self._token = token
        self._secret = secret

    def read(self) -> _Content:
        """Return the entries of the secret. Raises ResolveError."""
        mount = self._mount()
        kind = mount.get("data", "type")
        if mount.status == 200 and kind not in ("kv", "generic"):
            raise ResolveError(
                "its source names a secret of another engine of Vault than `kv`, and only `kv` has keys that stay"
            )
        path = mount.get("data", "path")
        if mount.get("data", "options", "version") == "2" and isinstance(path, str):
            return self._version_2(path)
        return self._version_1()

    def _mount(self) -> Answer:
        """Return where the store is mounted, and its version: Vault's own CLI asks the same.

        A Vault before 0.10 has no such answer, and only version 1.
        """
        answer = self._ask(f"sys/internal/ui/mounts/{quote(self._secret.path)}")
        if answer.status == 403 and not answer.says("preflight"):
            raise ResolveError(
                f"{self._client.server} refuses the token: it is wrong, or has expired, or is of another namespace; "
                f"renew {self._token.origin}"
            )
        if answer.status == 403:
            raise ResolveError(
                f"{self._client.server} has no store at the mount that the source names, or the token may use nothing "
                "in it; check the mount, VAULT_NAMESPACE and the policies of the token"
            )
        if answer.status not in (200, 404):
            raise self._refusal(answer, "sys/internal/ui/mounts/<mount>")
        return answer

    def _version_2(self, mount: str) -> _Content:
        """See https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version."""
        path = quote(f"{mount}data/{self._secret.path.removeprefix(mount)}")
        version = self._secret.version
        answer = self._ask(path if version is None else f"{path}?version={version}")
        entries, metadata = answer.get("data", "data"), answer.get("data", "metadata")
        if answer.status == 200 and isinstance(entries, dict):
            return _Content(entries, _seconds(answer.get("data", "metadata", "created_time")))
        if isinstance(metadata, dict):
            which = "its newest version" if version is None else f"version {version}"
            gone, undo = "is deleted", "restore it with `vault kv undelete`, or "
            if metadata.get("destroyed"):
                gone, undo = "is destroyed", ""
            raise ResolveError(f"of the secret in Vault, {which} {gone}; {undo}write a new one with `vault kv put`")
        if answer.status == 404 and version is not None and self._ask(path).get("data", "metadata") is not None:
            raise ResolveError(f"the secret in Vault has no version {version}; name another, or none for the newest")
        raise self._refusal(answer, "<mount>/data/<path>")

    def _version_1(self) -> _Content:
        """See https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#read-secret."""
        if self._secret.version is not None:
            raise ResolveError("the store in Vault is of version 1, which keeps no versions; remove `?version=`")
        answer = self._ask(quote(self._secret.path))
        entries = answer.get("data")
        if answer.status == 200 and isinstance(entries, dict):
            return _Content(entries, None)
        raise self._refusal(answer, "<mount>/<path>")

    def _ask(self, path: str) -> Answer:
        return self._client.ask(path, token=self._token.text)

    def _refusal(self, answer: Answer, path: str) -> ResolveError:
        """Return the error for an answer without the secret. `path`: what a policy has to allow."""
        server = self._client.server
        if answer.status == 403:
            return ResolveError(
                f"{server} does not let the token read the secret; correct the path, or give the token a policy with "
                f"`read` on `{path}`"
            )
        if answer.status == 404:
            return ResolveError(f"{server} has no secret at this path; {_AS_KV_GET}, and check VAULT_NAMESPACE")
        return ResolveError(f"{server} has answered with status {answer.status}; check VAULT_ADDR")


def _seconds(created: object) -> float | None:
    """Return a time of Vault in Unix seconds; None when it is none."""
    try:
        return datetime.fromisoformat(str(created)).timestamp()
    except (ValueError, OverflowError):
        return None
