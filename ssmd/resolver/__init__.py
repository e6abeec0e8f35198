"""Key resolvers, which find the values of keys.

A new one is one file here, or one package, with a class that keeps the KeyResolver contract of contracts/resolver.py,
and one line in this catalog. Its key is the scheme of a key's `source`, the text up to
the first colon or slash.
"""

from __future__ import annotations

from ssmd.catalog import Catalog

__all__ = ["RESOLVERS"]

RESOLVERS = Catalog(
    {
        "env": "ssmd.resolver.env:EnvResolver",
        "exec": "ssmd.resolver.exec:ExecResolver",
        "file": "ssmd.resolver.file:FileResolver",
        "vault": "ssmd.resolver.vault.resolver:VaultResolver",
    }
)
