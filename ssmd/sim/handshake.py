"""The check of a handshake's signature, as Kalshi does it. Pure.

https://docs.kalshi.com/getting_started/quick_start_websockets and .../api_keys: the signature in
KALSHI-ACCESS-SIGNATURE is base64 of RSA-PSS (SHA-256, MGF1 over SHA-256, a salt of 32 bytes). What is signed is the
text of KALSHI-ACCESS-TIMESTAMP, which is Unix milliseconds, then "GET", then the path without its query. Those pages do
not mention Ed25519 keys, but others report that the production exchange accepts them; the same text is signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["KEY", "SIGNATURE", "SKEW_MS", "TIMESTAMP", "PublicKey", "Unauthorized", "verify"]

PublicKey = RSAPublicKey | Ed25519PublicKey

KEY: Final = "KALSHI-ACCESS-KEY"
TIMESTAMP: Final = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE: Final = "KALSHI-ACCESS-SIGNATURE"

SKEW_MS: Final = 30_000
"""How many milliseconds a timestamp may differ from the clock. Kalshi publishes no limit; according to public
measurements it accepts 30 s before and after, and refuses 60 s."""

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


class Unauthorized(NamedTuple):
    """The HTTP response that refuses a handshake."""

    status: int
    body: bytes


def verify(headers: Mapping[str, str], path: str, now_ms: int, keys: Mapping[str, PublicKey]) -> Unauthorized | None:
    """Return None when the three headers are a recent and valid signature for `path`, otherwise the refusal.

    `keys`: public key by key id.
    """
    key_id, timestamp, signature = (headers.get(name, "").strip() for name in (KEY, TIMESTAMP, SIGNATURE))
    for name, value in ((KEY, key_id), (TIMESTAMP, timestamp), (SIGNATURE, signature)):
        if not value:
            return _unauthorized("authentication_error", f"MISSING_{name.replace('-', '_')}")
    key = keys.get(key_id)
    if key is None:
        return _unauthorized("authentication_error", "NOT_FOUND")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):
        return _unauthorized("authentication_error", "INVALID_TIMESTAMP")
    if abs(int(timestamp) - now_ms) > SKEW_MS:
        return _unauthorized("header_timestamp_expired", "HEADER_TIMESTAMP_EXPIRED")
    if not _signed(key, signature, f"{timestamp}GET{path.partition('?')[0]}".encode()):
        return _unauthorized("authentication_error", "INCORRECT_API_KEY_SIGNATURE")
    return None


def _signed(key: PublicKey, signature: str, text: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(raw, text)
        else:
            key.verify(raw, text, _PSS, hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _unauthorized(code: str, details: str) -> Unauthorized:
    error = {"code": code, "message": code.replace("_", " "), "details": details}
    return Unauthorized(401, json.dumps({"error": error}, separators=(",", ":")).encode())
