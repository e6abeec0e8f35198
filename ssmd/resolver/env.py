"""Keys from environment variables, or from the files they name."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from ssmd.errors import ResolveError

__all__ = ["EnvResolver"]

_MAX_FILE_BYTES = 64 * 1024


class EnvResolver:
    """Resolves `env:VAR1,VAR2`; keeps the KeyResolver contract of runtime/interfaces.py.

    A value that is the absolute path of a file stands for what is in it, which suits mounted secrets.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def resolve(self, source: str) -> dict[str, str]:
        names = [name.strip() for name in source.removeprefix("env:").split(",")]
        missing = [name for name in names if not self._environ.get(name, "").strip()]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise ResolveError(f"{', '.join(missing)} {verb} not set in the environment")
        return {name: _from_file(name, self._environ[name]) for name in names}


def _from_file(name: str, value: str) -> str:
    named = os.path.expanduser(value.strip().strip("\"'"))
    if not named.startswith("/") or "\n" in named or "\0" in named or len(named) > 4096:
        return value
    path = Path(named)
    try:
        if not path.is_file():
            return value
        with open(path, "rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ResolveError(f"{name} names a file of more than {_MAX_FILE_BYTES} bytes, which cannot be a key")
        if not content.strip():
            raise ResolveError(f"{name} names an empty file")
        return content.decode("utf-8")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return value  # No file has such a name: it is a key that happens to begin with a slash.
        raise ResolveError(f"{name} names a file that cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ResolveError(f"{name} names a file that is not text; a PEM file is needed") from None
