"""The values of several keys, found by the resolvers of their sources."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ssmd.contracts.resolver import Found, KeyResolver
from ssmd.errors import KeyNotSet, ResolveError, SourceUnavailable
from ssmd.metadata.keys import KeySpec
from ssmd.metadata.problem import excerpt
from ssmd.resolver import RESOLVERS

__all__ = ["SECONDS", "KeyWarning", "LookedUp", "Lookup", "gravest"]

_NO_TEXT = re.compile("[\0\ud800-\udfff]")

SECONDS = 15.0
"""How long all sources together may take."""

_DAY_SECONDS = 86400


class KeyWarning(NamedTuple):
    """What people should do about a key that was looked up, or know of it."""

    name: str
    """Of the key."""
    message: str
    field: str = ""
    """Of the key's section; empty for the key as a whole."""
    lenient: bool = False
    """Whether `validate --strict` passes all the same."""


@dataclass
class LookedUp:
    """What became of the keys that were looked up."""

    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """The fields of the keys that were found, by the keys' type."""
    found: dict[str, Found] = field(default_factory=dict)
    """The keys that were found, by name."""
    missing: dict[str, ResolveError] = field(default_factory=dict)
    """Why a required key was not found, by its name."""
    warnings: list[KeyWarning] = field(default_factory=list)


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
                elif not isinstance(error, KeyNotSet):
                    reason = f"is not used, because it is not required: {error}"
                    result.warnings.append(KeyWarning(name, reason))
                continue
            result.found[name] = found
            result.warnings += [KeyWarning(name, warning) for warning in found.warnings]
            result.warnings += _of_age(name, key.rotation_days, found.changed)
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


def _of_age(name: str, rotation_days: int | None, changed: float | None) -> Iterator[KeyWarning]:
    """Yield a warning for a key that is older than `rotation_days`, or when that is not known."""
    if not rotation_days:
        return
    if changed is None:
        message = "has no effect here: the key's source does not say how old the key is"
        yield KeyWarning(name, message, "rotation_days", lenient=True)
    elif (age := time.time() - changed) > rotation_days * _DAY_SECONDS:
        days = int(age // _DAY_SECONDS)
        yield KeyWarning(name, f"is {rotation_days}, and the key is {days} days old; replace the key", "rotation_days")


def gravest(errors: Mapping[str, ResolveError]) -> type[ResolveError]:
    """Return the error to raise for several: SourceUnavailable only where another attempt may find all the keys."""
    if all(isinstance(error, SourceUnavailable) for error in errors.values()):
        return SourceUnavailable
    return ResolveError
