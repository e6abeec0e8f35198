"""Kalshi's signatures: reading a private key in whatever form it was pasted, and signing with it."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ssmd.errors import ConfigError

__all__ = ["PrivateKey", "read_private_key", "sign"]

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

_SMALLEST_RSA_BITS = 1024
_PATHS = ("/", "~", ".")
"""How a path begins. No key does: base64 of DER begins with M, and base64 of PEM with L."""
_OPENSSH = b"openssh-key-v1\0"
_ENCRYPTED = (
    "the private key is encrypted; give it without a passphrase, as `openssl pkey -in <file> -out <new file>` writes it"
)
_CHANGED = "the private key cannot be read: it is cut off or changed; paste the PEM again"
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


def read_private_key(text: str) -> PrivateKey:
    r"""Return the key in `text`: PEM or DER, PKCS#1, PKCS#8 or OpenSSH, RSA or Ed25519.

    Environment variables and secret stores damage PEM, so all these forms are accepted: real newlines, the two
    characters `\n`, spaces or nothing in their place, quotes around the whole, base64 of the whole PEM, and base64 of
    the DER alone. Raises ConfigError, which never shows the value.
    """
    text = text.strip().strip("\"'").replace("\\r", "").replace("\\n", "\n").strip()
    if text.startswith(_PATHS) and "\n" not in text:
        raise ConfigError(
            "the private key looks like the path of a file, but ssmd finds no such file or may not look into its "
            "folder; give the absolute path of a file that exists"
        )
    der = _from_pem(text)
    if der is None:
        der = _from_base64(text)
        nested = _from_pem(der.decode("ascii", "replace"))
        der = nested if nested is not None else der
    if der.startswith(_OPENSSH):
        der = _from_openssh(der)
    try:
        # The label of a PEM is not trusted: PKCS#1 under a PKCS#8 label is a known mistake. The DER is what counts.
        key = serialization.load_der_private_key(der, password=None)
    except TypeError:
        raise ConfigError(_ENCRYPTED) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(_CHANGED) from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ConfigError("the private key is neither RSA nor Ed25519; give the one that belongs to the key id")
    if isinstance(key, RSAPrivateKey) and key.key_size < _SMALLEST_RSA_BITS:
        raise ConfigError(f"the private key is RSA of {key.key_size} bits, too short to sign with; make another one")
    return key


def _from_pem(text: str) -> bytes | None:
    match = _PEM.search(text)
    if match is None:
        return None
    label, body = match.groups()
    if "ENCRYPTED" in label or "ENCRYPTED" in body:
        raise ConfigError(_ENCRYPTED)
    if "PRIVATE KEY" not in label:
        # The label is part of the value, so it is named only when it is one of these.
        kind = next((kind for kind in ("certificate", "public key") if kind.upper() in label), "PEM of another kind")
        raise ConfigError(f"this is a {kind}, where a private key is needed; give the PEM that says PRIVATE KEY")
    return _from_base64(body)


def _from_openssh(data: bytes) -> bytes:
    """Return the DER of a key in OpenSSH's own format, in which the cipher follows the name
    (https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key).
    """
    if not data.startswith(_OPENSSH + b"\0\0\0\4none"):
        remedy = "remove the passphrase: `ssh-keygen -p -N '' -f <copy of the file>`"
        raise ConfigError(f"the private key is encrypted; {remedy}")
    pem = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.encodebytes(data) + b"-----END OPENSSH PRIVATE KEY-----\n"
    try:
        key = serialization.load_ssh_private_key(pem, password=None)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(_CHANGED) from None
    der, pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return key.private_bytes(der, pkcs8, serialization.NoEncryption())


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(
            "the private key is neither PEM nor base64, nor the absolute path of a file that exists; paste the whole "
            "PEM, or name the file that contains it"
        ) from None


def sign(key: PrivateKey, message: bytes) -> str:
    """Return the signature in base64.

    With an RSA key it is RSA-PSS with SHA-256, MGF1 over SHA-256 and a salt as long as the digest
    (https://docs.kalshi.com/getting_started/api_keys). With an Ed25519 key it is plain Ed25519: users report that this
    works, although the documentation does not mention it.
    """
    if isinstance(key, Ed25519PrivateKey):
        signature = key.sign(message)
    else:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        signature = key.sign(message, pss, hashes.SHA256())
    return base64.b64encode(signature).decode("ascii")
