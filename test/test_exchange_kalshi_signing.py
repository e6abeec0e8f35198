"""A private key is read in every form in which it may be pasted, and never shown."""

from __future__ import annotations

import base64
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ssmd.errors import ConfigError
from ssmd.exchange.kalshi.signing import read_private_key, sign

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()


def dump(key, form=PrivateFormat.PKCS8, encoding=Encoding.PEM, encryption=None) -> bytes:
    return key.private_bytes(encoding, form, encryption or NoEncryption())


PKCS1 = dump(RSA, PrivateFormat.TraditionalOpenSSL).decode()
PKCS8 = dump(RSA).decode()
ED = dump(ED25519).decode()
KEYS = {
    "PKCS#1": (PKCS1, RSA),
    "OpenSSH, RSA": (dump(RSA, PrivateFormat.OpenSSH).decode(), RSA),
    "OpenSSH, Ed25519": (dump(ED25519, PrivateFormat.OpenSSH).decode(), ED25519),
    "PKCS#8": (PKCS8, RSA),
    "Ed25519": (ED, ED25519),
    "PKCS#1 under the label of PKCS#8": (PKCS1.replace(" RSA ", " "), RSA),
    "PKCS#8 under the label of PKCS#1": (PKCS8.replace(" PRIVATE", " RSA PRIVATE"), RSA),
}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


FORMS = {
    "as it is": lambda pem: pem,
    "without the last newline": lambda pem: pem.rstrip(),
    "white space around": lambda pem: f" \n\t{pem}\n\n ",
    "Windows line ends": lambda pem: pem.replace("\n", "\r\n"),
    "escaped newlines": lambda pem: pem.replace("\n", "\\n"),
    "escaped Windows line ends": lambda pem: pem.replace("\n", "\\r\\n"),
    "spaces for newlines": lambda pem: pem.replace("\n", " "),
    "nothing for newlines": lambda pem: pem.replace("\n", ""),
    "quoted": lambda pem: f'"{pem}"',
    "quoted once": lambda pem: f"'{pem}'",
    "quoted, with escapes": lambda pem: '"' + pem.replace("\n", "\\n") + '"\n',
    "lines indented": lambda pem: pem.replace("\n", "\n    "),
    "text around": lambda pem: f"Bag Attributes\n    friendlyName: key\n{pem}\nend of file\n",
    "byte order mark": lambda pem: "\ufeff" + pem,
    "base64 of the PEM": lambda pem: base64_of(pem.encode()),
    "base64 of the PEM, in lines": lambda pem: base64.encodebytes(pem.encode()).decode(),
    "quoted base64 of the PEM": lambda pem: f'"{base64_of(pem.encode())}"',
    "base64 of the DER": lambda pem: base64_of(der(pem)),
    "base64 of the DER, in lines": lambda pem: "\n".join(pem.splitlines()[1:-1]),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("pem", "key"), KEYS.values(), ids=KEYS)
def test_every_form_of_a_key_is_read(pem, key, form):
    assert dump(read_private_key(form(pem))) == dump(key)


EC = ec.generate_private_key(ec.SECP256R1())
ENCRYPTED = BestAvailableEncryption(b"a passphrase")
PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
# The beginning of what `ssh-keygen -t ed25519` makes: without a passphrase, and with one.
OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA{}\n-----END OPENSSH PRIVATE KEY-----\n"
OPENSSH_CUT_OFF = OPENSSH.format("AAAABG5vbmU=")
OPENSSH_ENCRYPTED = OPENSSH.format("AAAACmFlczI1Ni1jdHI=")
CERTIFICATE = PKCS8.replace("PRIVATE KEY", "CERTIFICATE")
# Made by OpenSSL: the library no longer makes RSA keys of so few bits.
SHORT_RSA = """-----BEGIN RSA PRIVATE KEY-----
MIIBOwIBAAJBANNb6wyRzRG56g6KZIH0IzUE75NPmr6eFDKZdypLcUa5wtju4YpB
gol3fMNFsam7jJNp2++DBH2tsbZdeMx2MgsCAwEAAQJBAI+ovXW4sDspM6aYeEJA
L6H87d4h0FtZ1P6jgvSzfJYFttjFksHqqTsqUT0MEoTvv65c0rhO2Fg42Pm52ZiS
HlECIQDt3zwke6qEo1sXyOmIj0McT9fRUda7kXRelc+toql60wIhAON3bbhC3LI/
E7hLvFbMN8IeJ5Vnt4iiMhxw8aJkQ/jpAiAoKjuDhYYjY1nsSDZ2oooYa7rrU0BI
56SYm/83OHIZlQIgf51hUR8x8k6xIZRb9dZc8es5CflGXsGgm5RB/HmEKQECIQDf
P4wt+s0T5hA4V6EMh8SCTnlRJjsCbdoKvKJ1iL+ang==
-----END RSA PRIVATE KEY-----
"""
REFUSED = {
    "encrypted PKCS#8": (dump(RSA, encryption=ENCRYPTED).decode(), "is encrypted"),
    "encrypted PKCS#8, DER": (base64_of(dump(RSA, encoding=Encoding.DER, encryption=ENCRYPTED)), "is encrypted"),
    "encrypted PKCS#1": (
        dump(RSA, PrivateFormat.TraditionalOpenSSL, encryption=ENCRYPTED).decode(),
        "is encrypted",
    ),
    "base64 of encrypted": (base64_of(dump(RSA, encryption=ENCRYPTED)), "is encrypted"),
    "public key": (PUBLIC, "this is a public key"),
    "public key in one line": (PUBLIC.replace("\n", "\\n"), "this is a public key"),
    "base64 of a public key": (base64_of(PUBLIC.encode()), "this is a public key"),
    "certificate": (CERTIFICATE, "this is a certificate"),
    "another kind of PEM": (PKCS8.replace("PRIVATE KEY", "0123456789 TOKEN"), "PEM of another kind"),
    "EC key": (dump(EC).decode(), "neither RSA nor Ed25519"),
    "SEC 1 key": (dump(EC, PrivateFormat.TraditionalOpenSSL).decode(), "neither RSA nor Ed25519"),
    "X25519 key": (dump(x25519.X25519PrivateKey.generate()).decode(), "neither RSA nor Ed25519"),
    "OpenSSH key that is cut off": (OPENSSH_CUT_OFF, "cannot be read"),
    "encrypted OpenSSH key": (OPENSSH_ENCRYPTED, "`ssh-keygen -p -N '' -f <copy of the file>`"),
    "RSA of 512 bits": (SHORT_RSA, "512 bits"),
    "cut off at the end": (PKCS8[: len(PKCS8) // 2], "neither PEM nor base64"),
    "cut off at the front": (PKCS8[len(PKCS8) // 2 :], "neither PEM nor base64"),
    "a line missing": ("\n".join(PKCS8.splitlines()[:5] + PKCS8.splitlines()[6:]), "cannot be read"),
    "a character missing": (PKCS8.replace("\nMII", "\nMI"), "neither PEM nor base64"),
    "DER cut off": (base64_of(der(PKCS8)[:600]), "cannot be read"),
    "labels alone": ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "cannot be read"),
    "empty": ("", "cannot be read"),
    "quotes alone": ('""', "cannot be read"),
    "hexadecimal": ("deadbeef" * 40 + "x", "neither PEM nor base64"),
    "an id": ("7d1c2a52-16b4-4f0b-9d53-21a94f0c7a10", "neither PEM nor base64"),
    "a path that is none": ("/var/run/keys/kalshi.pem", "looks like the path of a file"),
    "a path of base64's letters": ("/var/run/keys", "looks like the path of a file"),
    "a path at home": ("~/kalshi.pem", "looks like the path of a file"),
    "a relative path": ("./kalshi.pem", "looks like the path of a file"),
    "not ASCII": ("Schlüsselbund-geheim", "neither PEM nor base64"),
    "surrogates": ("abcdefgh\udcff\udcfe", "neither PEM nor base64"),
    "NUL": ("\0" * 20, "neither PEM nor base64"),
}


def pieces(text: str) -> set[str]:
    return {text[start : start + 8] for start in range(len(text) - 7)}


@pytest.mark.parametrize(("value", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_is_not_a_usable_key_is_refused_without_being_shown(value, reason):
    with pytest.raises(ConfigError, match=re.escape(reason)) as refusal:
        read_private_key(value)
    assert not [piece for piece in pieces(value) if piece in str(refusal.value)]
    assert "\n" not in str(refusal.value)
    # A cause would be printed with a traceback, and may quote the value.
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_rsa_signatures_are_pss_with_a_salt_as_long_as_the_digest():
    signature = base64.b64decode(sign(RSA, b"1790000000000GET/ws"), validate=True)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    RSA.public_key().verify(signature, b"1790000000000GET/ws", pss, hashes.SHA256())


def test_ed25519_signatures_are_plain():
    signature = base64.b64decode(sign(ED25519, b"1790000000000GET/ws"), validate=True)
    ED25519.public_key().verify(signature, b"1790000000000GET/ws")
