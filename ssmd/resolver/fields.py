"""The values of several keys, found by the resolvers of their sources."""

from __future__ import annotations

from collections.abc import Mapping

from ssmd.errors import ResolveError
from ssmd.metadata.keys import KeySpec
from ssmd.resolver import RESOLVERS

__all__ = ["fields_of"]


def fields_of(
    keys: Mapping[str, KeySpec], environ: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the fields of all keys that can be found, by type; and by the name of a required key why it cannot be."""
    found: dict[str, dict[str, str]] = {}
    missing = {}
    for name, key in keys.items():
        try:
            values = RESOLVERS[key.source_scheme](environ).resolve(key.at(name))
        except ResolveError as error:
            if key.required:
                missing[name] = str(error)
            continue
        found.setdefault(key.type, {}).update(values)
    return found, missing
