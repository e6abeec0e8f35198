"""Where messages are kept.

A new one is one file here, with a class that keeps the Writer contract of runtime/interfaces.py and is
made like FileWriter is, and one line in this catalog. Its key is the environment's `storage.type`.
"""

from __future__ import annotations

from collections.abc import Callable

from ssmd.runtime.interfaces import Writer
from ssmd.writer.file import FileWriter

__all__ = ["WRITERS"]

WRITERS: dict[str, Callable[..., Writer]] = {
    "local": FileWriter,
}
