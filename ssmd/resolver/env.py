"""The resolver for keys in environment variables, or in the files that the variables name."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import KeyNotSet, ResolveError
from ssmd.resolver.in_time import disk_in_time
from ssmd.resolver.key_file import KeyFile, Unusable, cannot_be_read, kind_of, newest, open_to_all, read_key_file
from ssmd.resolver.named import not_one_each

__all__ = ["EnvResolver", "value_of", "variables"]

_REMEDY = "set {} to the value, or to the absolute path of a file that contains the value"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_ALPHANUMERIC = re.compile("[^A-Z0-9]")


class EnvResolver:
    """Resolves `env:VAR1,VAR2`, and `env`; keeps the KeyResolver contract of contracts/resolver.py.

    When a variable's value is the absolute path of a file, the key is the content of the file, as with mounted secrets.
    """

    def __init__(self, environ: Mapping[str, str], until: float) -> None:
        self._environ = environ
        self._until = until

    @classmethod
    def check(cls, key: KeySource) -> Iterator[FieldProblem]:
        # Two fields whose names differ in punctuation alone would share one variable.
        names: dict[str, int] = {}
        for index, field in enumerate(key.fields):
            if (first := names.setdefault(_upper(field), index)) != index:
                yield FieldProblem(("fields", index), f"is the same name as fields[{first}]; give each field its own")
        if key.source != "env":
            yield from _variable_problems(key)

    def resolve(self, key: KeySource) -> Found:
        names = variables(key)
        missing = [name for name in names if not self._environ.get(name, "").strip()]
        if missing:
            verb, them = ("is", "it") if len(missing) == 1 else ("are", "each")
            raise KeyNotSet(f"{', '.join(missing)} {verb} not set in the environment; {_REMEDY.format(them)}")
        values, files = {}, {}
        for field, name in zip(key.fields, names, strict=True):
            file = files[name] = file_of(name, self._environ[name], self._until)
            values[field] = self._environ[name] if file is None else file.text
        found = {name: file for name, file in files.items() if file is not None}
        return Found(values, newest(file.changed for file in found.values()), open_to_all(found))


def variables(key: KeySource) -> list[str]:
    """Return the environment variables that hold a key, one for each field and in the fields' order."""
    if key.source == "env":
        return [f"SSMD_{_upper(key.name)}_{_upper(field)}" for field in key.fields]
    return [name.strip() for name in key.source.removeprefix("env:").split(",")]


def _variable_problems(key: KeySource) -> Iterator[FieldProblem]:
    names = variables(key)
    if not key.source.startswith("env:") or not all(map(_VARIABLE.fullmatch, names)):
        message: str | None = (
            "must name environment variables, as in `env:KALSHI_API_KEY,KALSHI_API_SECRET`; never put a key here"
        )
    else:
        message = not_one_each(names, "variable", key.fields)
    if message is not None:
        yield FieldProblem(("source",), message)


def _upper(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("_", name.upper())


def value_of(name: str, value: str, until: float) -> str:
    """Return the content of the file that a variable's value names, or the value itself when it names none.

    Raises ResolveError for a file that is no key, and SourceUnavailable for one that is not read by `until`.
    """
    file = file_of(name, value, until)
    return value if file is None else file.text


def file_of(name: str, value: str, until: float) -> KeyFile | None:
    """Return the file that a variable's value names, None when it names none. Raises what value_of() raises."""
    named = os.path.expanduser(value.strip().strip("\"'"))
    if not named.startswith("/") or "\n" in named or "\0" in named or len(named) > 4096:
        return None
    path = Path(named)
    try:
        return disk_in_time(lambda: read_key_file(path) if path.is_file() else None, until)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None  # No file can have such a name: it is a key that happens to begin with a slash.
        raise kind_of(error)(f"{name} names a file that {cannot_be_read(error)}") from None
    except Unusable as error:
        raise ResolveError(f"{name} names a file that {error}") from None
