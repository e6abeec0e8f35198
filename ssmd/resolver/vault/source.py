"""The text of a `source` that names a secret in Vault."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["SOURCE_FORM", "Secret", "read_source"]

SOURCE_FORM = "`vault:<mount>/<path>`, with `?version=<n>` for an older version"

_PREFIX = re.compile("vault[:/]")
_VERSION = re.compile(r"version=([1-9][0-9]{0,8})")
_STEP = re.compile(r"[\w.,;@=&()!~$'-][\w.,;@=&()!~$' -]*")
"""A name between slashes. Vault allows more, but `+` and `*` stand for other names in its policies."""


class Secret(NamedTuple):
    """A secret, as `vault kv get` names it: without `data/`."""

    path: str
    """The path of the mount, which may have slashes, and in it the path of the secret: `secret/kalshi`."""
    version: int | None
    """None for the newest."""


def read_source(source: str) -> Secret | None:
    """Return the secret that a `source` names; None when the text has not the form."""
    where, mark, query = _PREFIX.sub("", source, count=1).strip().partition("?")
    version = _VERSION.fullmatch(query)
    steps = where.replace(":", "/").split("/")
    well_formed = len(steps) > 1 and all(_STEP.fullmatch(step) and step.strip(".") for step in steps)
    if not _PREFIX.match(source) or not well_formed or (mark and version is None):
        return None
    return Secret("/".join(steps), int(version[1]) if version else None)
