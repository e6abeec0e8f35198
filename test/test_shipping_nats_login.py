"""How the relay logs in at a NATS server."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nats_keys import Nkey, with_credentials

from ssmd.errors import ConfigError
from ssmd.shipping.nats.login import login_of

# From the documentation of https://github.com/nats-io/nkeys.
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def signed(login, nonce: str = "nonce") -> bytes:
    return base64.b64decode(login.options["signature_cb"](nonce))


def verify(public: str, signature: bytes) -> None:
    raw = base64.b32decode(public + "=" * (-len(public) % 8))[1:-2]
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, b"nonce")


def test_a_seed_gives_the_public_key_and_signs():
    login = login_of({"nkey_seed": f" {SEED}\n"})
    assert login.public_key == PUBLIC
    verify(PUBLIC, signed(login))


def test_a_new_seed():
    nkey = Nkey("user")
    assert login_of({"nkey_seed": nkey.seed}).public_key == nkey.public


def test_a_credentials_file_gives_its_jwt_and_signs_with_its_seed():
    content, _ = with_credentials()
    login = login_of({"creds": content})
    assert login.options["user_jwt_cb"]() == content.splitlines()[1].encode()
    assert len(signed(login)) == 64
    assert login.public_key == ""


def test_a_user_a_token_and_nothing():
    assert login_of({"user": "a", "password": "b"}).options == {"user": "a", "password": "b"}
    assert login_of({"token": "t"}).options == {"token": "t"}
    assert login_of({}).options == {}


@pytest.mark.parametrize("seed", ["", "x", SEED[:-1], SEED[:-1] + "X", SEED.replace("C", "D", 1), "é" * 58, PUBLIC])
def test_a_seed_that_cannot_be_read_is_not_shown(seed):
    with pytest.raises(ConfigError, match=r"the seed in the field `nkey_seed` .* cannot be read") as wrong:
        login_of({"nkey_seed": seed})
    assert len(seed) < 2 or seed not in str(wrong.value)


@pytest.mark.parametrize("kind", ["account", "operator"])
def test_the_seed_of_something_else_is_refused(kind):
    with pytest.raises(ConfigError, match="is not that of a user"):
        login_of({"nkey_seed": Nkey(kind).seed})


@pytest.mark.parametrize("part", ["", "/path/to/file.creds", "jwt", "seed"])
def test_a_credentials_file_without_one_of_its_parts_is_refused(part):
    content, _ = with_credentials()
    jwt, seed = content.split("\n\n")[0], content.split("\n\n")[2]
    text = {"jwt": jwt, "seed": seed}.get(part, part)
    with pytest.raises(ConfigError, match="is no credentials file, or not all of it"):
        login_of({"creds": text})


def test_a_credentials_file_with_a_damaged_seed_is_refused():
    content, _ = with_credentials()
    with pytest.raises(ConfigError, match="the seed in the field `creds`"):
        login_of({"creds": content.replace("\nSU", "\nSV")})
