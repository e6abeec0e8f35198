"""How to log in at a NATS server: a user, a token, an nkey, or a credentials file.

An nkey is an Ed25519 key as text: base32 of a prefix that says what it is for, the key, and a CRC-16.
Source: https://docs.nats.io/using-nats/developer/connecting/nkey and .../creds; https://github.com/nats-io/nkeys.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ssmd.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Login", "login_of"]

_SEED = 18 << 3
_USER = 20 << 3
_SEED_BYTES = 2 + 32 + 2

_CREDS = re.compile(
    r"-+BEGIN NATS USER JWT-+\s+(?P<jwt>\S+)\s+-+END NATS USER JWT-+"
    r".*-+BEGIN USER NKEY SEED-+\s+(?P<seed>\S+)\s+-+END USER NKEY SEED-+",
    re.DOTALL,
)


class Login(NamedTuple):
    """What the client needs to log in."""

    options: Mapping[str, Any] = {}
    """Arguments of nats-py's connect()."""
    public_key: str = ""
    """The public key of an nkey; empty without one."""


def login_of(keys: Mapping[str, str]) -> Login:
    """Return the login for the fields of an engine's keys. Raises ConfigError, which does not show their values."""
    if "creds" in keys:
        found = _CREDS.search(keys["creds"])
        if found is None:
            raise ConfigError(
                "the field `creds` of the key for nats is no credentials file, or not all of it; give the content of "
                "the file that `nsc` or `nats auth` wrote, with both of its blocks"
            )
        key, jwt = _key_of(found["seed"], "creds"), found["jwt"].encode("ascii", "replace")
        return Login({"user_jwt_cb": lambda: bytearray(jwt), "signature_cb": _signer(key)})
    if "nkey_seed" in keys:
        key = _key_of(keys["nkey_seed"], "nkey_seed")
        public = key.public_key().public_bytes_raw()
        return Login({"signature_cb": _signer(key)}, _as_text(bytes([_USER]) + public))
    return Login({name: keys[name] for name in ("user", "password", "token") if name in keys})


def _signer(key: Ed25519PrivateKey) -> Callable[[str], bytes]:
    return lambda nonce: base64.b64encode(key.sign(nonce.encode()))


def _key_of(seed: str, field: str) -> Ed25519PrivateKey:
    seed = seed.strip()
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except ValueError:
        raw = b""
    if len(raw) != _SEED_BYTES or binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") != raw[-2:]:
        raise ConfigError(
            f"the seed in the field `{field}` of the key for nats cannot be read; give the one that begins with SU, "
            "with all of its 58 characters"
        )
    # The first 5 bits say that it is a seed, the next 8 bits whose.
    if raw[0] & 0xF8 != _SEED or (raw[0] & 7) << 5 | raw[1] >> 3 != _USER:
        raise ConfigError(
            f"the seed in the field `{field}` of the key for nats is not that of a user; give the one that begins "
            "with SU"
        )
    # Not at the top: it takes 6 MB, and a relay that logs in with a password does not need it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(raw[2:-2])


def _as_text(data: bytes) -> str:
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode("ascii").rstrip("=")
