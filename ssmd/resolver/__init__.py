"""Key resolvers, which find the values of keys.

A new one is one file here, or one package, with a class that keeps the KeyResolver contract of contracts/resolver.py,
and one line in this catalog. Its key is the scheme of a key's `source`, the text up to
the first colon or slash.
"""

from __future__ import annotations

from typing import Any

from ssmd.resolver.env import EnvResolver
from ssmd.resolver.exec import ExecResolver
from ssmd.resolver.file import FileResolver
from ssmd.resolver.vault.resolver import VaultResolver

__all__ = ["RESOLVERS"]

RESOLVERS: dict[str, Any] = {
    "env": EnvResolver,
    "exec": ExecResolver,
    "file": FileResolver,
    "vault": VaultResolver,
}
