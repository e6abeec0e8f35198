"""Finds keys that are written out in the metadata, where a placeholder should name them. Pure.

What is found is a guess: a long random text, or a URL with one, under a name that keys usually have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ssmd.contracts.configuration import FieldProblem
from ssmd.metadata.problem import Path

__all__ = ["written_out"]

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_OF_KEYS = {"apikey", "auth", "authorization", "jwt", "key", "sig", "sign", "signature", "token"}
"""The last word of a name under which keys stand; what is under `tokenId` is no secret."""
_OF_PASSWORDS = {"passphrase", "password", "secret"}
"""The same, for names under which nothing else stands."""
_SHORTEST_PASSWORD = 8

_SCHEME = re.compile(r"(?:basic|bearer|token) +", re.IGNORECASE)
_RANDOM = re.compile(r"[A-Za-z0-9+/]{16,}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FEWEST_CHARACTERS = 8
"""How many different characters a random text has at least."""

_MESSAGE = (
    "looks like a key that is written out; move it to `keys` of the environment, and write `${key.<field>}` here"
)
_DEEPEST = 50


def written_out(value: Any, name: str = "", at: Path = (), depth: int = 0) -> Iterator[FieldProblem]:
    """Yield a warning for each text of a value that looks like a key; none of them has the text itself.

    `name`: of the field that has the value. `at`: its path.
    """
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for field, inner in value.items():
            yield from written_out(inner, str(field), (*at, field), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from written_out(inner, name, (*at, index), depth + 1)
    elif isinstance(value, str) and (_is_key(name, value) or any(_is_key(*each) for each in _query(value))):
        yield FieldProblem(at, _MESSAGE, warning=True)


def _query(text: str) -> list[tuple[str, str]]:
    """Return the names and values in the query of a URL; none for another text."""
    try:
        return parse_qsl(urlsplit(text).query) if "://" in text else []
    except ValueError:
        return []


def _is_key(name: str, text: str) -> bool:
    words = _WORD.findall(name)
    last = words[-1].lower() if words else ""
    if "${" in text or last not in _OF_KEYS | _OF_PASSWORDS:
        return False
    if last in _OF_PASSWORDS:
        return len(text) >= _SHORTEST_PASSWORD
    text = text[found.end() :] if (found := _SCHEME.match(text)) else text
    return bool(_UUID.fullmatch(text)) or (" " not in text and any(map(_is_random, _RANDOM.findall(text))))


def _is_random(text: str) -> bool:
    has_both = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return has_both and len(set(text)) >= _FEWEST_CHARACTERS
