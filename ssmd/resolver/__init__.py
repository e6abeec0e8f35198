"""Where keys come from.

A new one is one file here, with a class that keeps the KeyResolver contract of runtime/interfaces.py and
takes the process's environment variables, and one line in this catalog. Its key is what a key's `source`
begins with, up to the colon or slash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ssmd.resolver.env import EnvResolver
from ssmd.runtime.interfaces import KeyResolver

__all__ = ["RESOLVERS"]

RESOLVERS: dict[str, Callable[[Mapping[str, str]], KeyResolver]] = {
    "env": EnvResolver,
}
