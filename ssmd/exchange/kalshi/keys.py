"""Kalshi's keys: how their fields are named, and what their values may be.

Kalshi signs every connection, that to public channels too (https://docs.kalshi.com/getting_started/api_keys).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ssmd.contracts.configuration import FieldProblem
from ssmd.errors import ConfigError
from ssmd.spelling import misspelling, nearest

if TYPE_CHECKING:
    from ssmd.exchange.kalshi.signing import PrivateKey

__all__ = ["problems_of_fields", "read_key_id", "read_keys"]

_ID = "api_key"
_SECRETS = ("api_secret", "private_key")
"""The names of the private key; the second is Kalshi's own word for it."""

_LONGEST_KEY_ID = 63
"""A key id is a UUID, and is sent as it is. The shortest private key, Ed25519, has 64 characters."""


def problems_of_fields(fields: Sequence[str]) -> Iterator[FieldProblem]:
    """Report what is wrong with the names of an environment's key fields."""
    known = (_ID, *_SECRETS)
    secrets = [field for field in fields if field in _SECRETS]
    missing = [name for name in known if name not in fields and not (secrets and name in _SECRETS)]
    guesses = ""
    for index, field in enumerate(fields):
        if field not in known:
            # While a field is missing, an unknown one is probably that, so the guess may be a loose one.
            guess = misspelling(field, known, fields) or nearest(field, missing)
            guesses += guess
            message = "is not a key field of Kalshi" + (guess or ", and has no effect; remove it")
            yield FieldProblem((index,), message, warning=not guess)
    if len(set(secrets)) > 1:
        message = f"is another name of `{secrets[0]}`; keep one of the two"
        yield FieldProblem((fields.index(secrets[-1]),), message)
    needed = []
    if _ID in missing and f"`{_ID}`" not in guesses:
        needed.append(f"`{_ID}` (the key's id)")
    if not secrets and not any(f"`{name}`" in guesses for name in _SECRETS):
        needed.append(f"`{_SECRETS[0]}` (its private key)")
    if needed:
        yield FieldProblem(
            (), f"Kalshi signs every connection; a key of the type api_key must have {' and '.join(needed)} in `fields`"
        )


def read_keys(keys: Mapping[str, str]) -> tuple[str, PrivateKey]:
    """Return the key id and the private key. Raises ConfigError, which never shows a value."""
    # Here, because its library takes 6 MB, and the dialect of a run may be another one.
    from ssmd.exchange.kalshi.signing import read_private_key

    given = {name for name, value in keys.items() if value.strip()}
    secrets = [name for name in _SECRETS if name in given]
    missing = [name for name, there in ((_ID, _ID in given), (_SECRETS[0], secrets)) if not there]
    if missing:
        raise ConfigError(f"Kalshi signs every connection; give a value to {' and '.join(missing)}")
    return read_key_id(keys[_ID]), read_private_key(keys[secrets[0]])


def read_key_id(text: str) -> str:
    """Return the key id in a text without white space and quotes around it, which `docker --env-file` keeps.

    Raises ConfigError, which never shows the value.
    """
    key_id = text.strip().strip("\"'").strip()
    if not key_id or not key_id.isascii() or not key_id.isprintable():
        raise ConfigError("the key id (api_key) is not plain text; give one that looks like 01234567-89ab-cdef-...")
    if key_id.startswith(("/", "~", ".")):
        raise ConfigError(
            "the key id (api_key) looks like the path of a file, but ssmd finds no such file; give the id, or the "
            "absolute path of a file that exists"
        )
    if len(key_id) > _LONGEST_KEY_ID:
        raise ConfigError("the key id (api_key) is too long for a key id; is it the private key? give the id")
    return key_id
