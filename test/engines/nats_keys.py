"""Keys of NATS as `nsc` makes them: nkeys, and the credentials file of a user, with the server's configuration for it.

Source: https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt and https://github.com/nats-io/nkeys.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SEED, KINDS = 18 << 3, {"operator": 14 << 3, "account": 0, "user": 20 << 3}
NO_LIMITS = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1) | {"wildcards": True}
WITH_STREAMS = NO_LIMITS | dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Nkey:
    """A new key. `kind` is operator, account or user."""

    def __init__(self, kind: str) -> None:
        self._key = Ed25519PrivateKey.generate()
        prefix = KINDS[kind]
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        private = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        self.public = _text(bytes([prefix]) + public)
        self.seed = _text(bytes([SEED | prefix >> 5, (prefix & 31) << 3]) + private)

    def sign_about(self, subject: Nkey, name: str, **claims: Any) -> str:
        """Return a JWT in which this key says something about another."""
        body = {"jti": name, "iat": 1, "iss": self.public, "sub": subject.public, "name": name, "nats": claims}
        text = ".".join(_part(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        return f"{text}.{_part(self._key.sign(text.encode()))}"


def with_credentials() -> tuple[str, str]:
    """Return the content of a credentials file, and the configuration of a server that takes it."""
    operator, system, account, user = Nkey("operator"), Nkey("account"), Nkey("account"), Nkey("user")
    of_operator = operator.sign_about(operator, "O", type="operator", version=2)
    of_system = operator.sign_about(system, "SYS", type="account", version=2, limits=NO_LIMITS)
    of_account = operator.sign_about(account, "A", type="account", version=2, limits=WITH_STREAMS)
    of_user = account.sign_about(user, "U", type="user", version=2, subs=-1, data=-1, payload=-1)
    accounts = f"{{ {system.public}: {of_system}, {account.public}: {of_account} }}"
    server = f"operator: {of_operator}\nsystem_account: {system.public}\nresolver: MEMORY\nresolver_preload: {accounts}"
    return (
        f"-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\nNKEY Seed printed below is a secret.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n",
        server,
    )


def _text(data: bytes) -> str:
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
