"""The token for Vault: found where Vault's own tools look for one, or given for a login."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.resolver.env import value_of
from ssmd.resolver.in_time import disk_in_time
from ssmd.resolver.key_file import Unusable, cannot_be_read, kind_of, read_key_file
from ssmd.resolver.vault.client import Client, sendable

__all__ = ["Token", "log_in"]

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes puts the token of a pod's service account:
https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"""

_MOUNT = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")

_WAYS = "VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_K8S_ROLE"


class Token(NamedTuple):
    """What Vault is asked with."""

    text: str
    origin: str
    """Where it is from, and so what to renew when Vault refuses it."""


def log_in(client: Client, environ: Mapping[str, str]) -> Token:
    """Return a token: VAULT_TOKEN, or one given for an AppRole or for a service account, or that of `vault login`.

    Raises ResolveError.
    """
    if environ.get("VAULT_TOKEN", "").strip():
        return Token(_variable(environ, "VAULT_TOKEN", client.until), "VAULT_TOKEN")
    if environ.get("VAULT_ROLE_ID", "").strip():
        return _by_approle(client, environ)
    if role := environ.get("VAULT_K8S_ROLE", "").strip():
        return _by_service_account(client, environ, role)
    return _of_vault_login(environ, client.until)


def _by_approle(client: Client, environ: Mapping[str, str]) -> Token:
    """See https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle."""
    if not environ.get("VAULT_SECRET_ID", "").strip():
        raise ResolveError("VAULT_ROLE_ID is set, and VAULT_SECRET_ID is not; set it to the secret ID of the role")
    body = {name: _variable(environ, f"VAULT_{name.upper()}", client.until) for name in ("role_id", "secret_id")}
    return _token(client, _mount(environ, "approle"), body, "VAULT_ROLE_ID and VAULT_SECRET_ID")


def _by_service_account(client: Client, environ: Mapping[str, str], role: str) -> Token:
    """See https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login."""
    name = environ.get("VAULT_K8S_TOKEN_FILE", "").strip() or _SERVICE_ACCOUNT
    body = {"role": role, "jwt": _file(Path(name), "the token file of the service account", client.until)}
    return _token(client, _mount(environ, "kubernetes"), body, "VAULT_K8S_ROLE and the pod's service account")


def _token(client: Client, mount: str, body: Mapping[str, str], origin: str) -> Token:
    answer = client.ask(f"auth/{mount}/login", body=body)
    token = answer.get("auth", "client_token")
    if isinstance(token, str) and token and sendable(token):
        return Token(token, origin)
    raise ResolveError(
        f"{client.server} refuses the login at `auth/{mount}` (status {answer.status}); check {origin}, the role in "
        "Vault, and VAULT_AUTH_PATH if the method is enabled at another path"
    )


def _mount(environ: Mapping[str, str], usual: str) -> str:
    mount = environ.get("VAULT_AUTH_PATH", "").strip().strip("/") or usual
    if not _MOUNT.fullmatch(mount):
        raise ResolveError("VAULT_AUTH_PATH is no path of a login method, such as kubernetes-prod")
    return mount


def _of_vault_login(environ: Mapping[str, str], until: float) -> Token:
    path = Path(environ.get("HOME") or os.path.expanduser("~"), ".vault-token")
    try:
        exists = disk_in_time(path.exists, until)
    except TimeoutError as error:
        raise SourceUnavailable(f"~/.vault-token {cannot_be_read(error)}") from None
    except OSError:
        exists = False
    if not exists:
        raise ResolveError(f"there is no token for Vault: set {_WAYS}, or run `vault login`")
    return Token(_file(path, "~/.vault-token", until), "~/.vault-token")


def _file(path: Path, what: str, until: float) -> str:
    try:
        text = disk_in_time(lambda: read_key_file(path), until).text.strip()
    except OSError as error:
        raise kind_of(error)(f"{what} {cannot_be_read(error)}") from None
    except Unusable as error:
        raise ResolveError(f"{what} {error}") from None
    return _checked(text, what)


def _variable(environ: Mapping[str, str], name: str, until: float) -> str:
    """Return the value of a variable, or the content of the file that it names."""
    return _checked(value_of(name, environ[name], until).strip(), name)


def _checked(text: str, what: str) -> str:
    if not sendable(text):
        raise ResolveError(f"{what} has spaces, line breaks or other characters that no such value has")
    return text
