"""The values of several keys, found by the resolvers of their sources."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ssmd.contracts.resolver import Found, KeyResolver
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.metadata.keys import KeySpec
from ssmd.metadata.problem import excerpt
from ssmd.resolver import RESOLVERS

__all__ = ["SECONDS", "LookedUp", "Lookup", "gravest"]

_NO_TEXT = re.compile("[\0\ud800-\udfff]")

SECONDS = 15.0
"""How long all sources together may take."""


@dataclass
class LookedUp:
    """What became of the keys that were looked up."""

    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """The fields of the keys that were found, by the keys' type."""
    found: dict[str, Found] = field(default_factory=dict)
    """The keys that were found, by name."""
    missing: dict[str, ResolveError] = field(default_factory=dict)
    """Why a required key was not found, by its name."""
    unavailable: dict[str, SourceUnavailable] = field(default_factory=dict)
    """Why it is not known whether there is a key that is not required, by its name."""


class Lookup:
    """Looks up keys. Whatever is asked of one, each source is asked with one login, and all in SECONDS."""

    def __init__(self, environ: Mapping[str, str], seconds: float = SECONDS) -> None:
        self._environ = environ
        self._seconds = seconds
        self._until: float | None = None
        self._resolvers: dict[str, KeyResolver] = {}

    def look_up(self, keys: Mapping[str, KeySpec]) -> LookedUp:
        """Return what becomes of these keys, given by name. The time begins with the first call."""
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        result = LookedUp()
        for name, key in keys.items():
            try:
                found = self._resolver(key.source_scheme, self._until).resolve(key.at(name))
                _require_text(found)
            except ResolveError as error:
                if key.required:
                    result.missing[name] = error
                elif isinstance(error, SourceUnavailable):
                    result.unavailable[name] = error
                continue
            result.found[name] = found
            result.values.setdefault(key.type, {}).update(found.values)
        return result

    def _resolver(self, scheme: str, until: float) -> KeyResolver:
        if scheme not in self._resolvers:
            self._resolvers[scheme] = RESOLVERS[scheme](self._environ, until)
        return self._resolvers[scheme]


def _require_text(found: Found) -> None:
    """Raise ResolveError for a value that no process and no server can be given. Vault and commands write JSON, which
    can write such.
    """
    for name, value in found.values.items():
        if _NO_TEXT.search(value):
            raise ResolveError(f"`{excerpt(name)}` has a character that no key has: NUL, or half a surrogate pair")


def gravest(errors: Mapping[str, ResolveError]) -> type[ResolveError]:
    """Return the error to raise for several: SourceUnavailable only where another attempt may find all the keys."""
    if all(isinstance(error, SourceUnavailable) for error in errors.values()):
        return SourceUnavailable
    return ResolveError
