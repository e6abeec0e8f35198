"""Functions of the standard library as they are without gevent, which replaces some in most commands."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["unpatched"]


def unpatched(module: str, name: str) -> Any:
    """Return a function or a class of a module. A process that runs without gevent does not load it for this."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(importlib.import_module(module), name)
    return monkey.get_original(module, name)
