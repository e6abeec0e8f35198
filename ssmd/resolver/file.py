"""The resolver for keys in files, such as systemd's credentials and the mounted Secrets of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.metadata.problem import excerpt
from ssmd.resolver.in_time import disk_in_time
from ssmd.resolver.key_file import (
    KeyFile,
    Unusable,
    cannot_be_read,
    kind_of,
    newest,
    open_to_all,
    read_key_file,
    without_line_end,
)
from ssmd.resolver.named import not_one_each

__all__ = ["FileResolver"]

_CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Set by systemd: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Credentials"""


class FileResolver:
    """Resolves `file:<path>,<path>`, one for each field; keeps the KeyResolver contract of contracts/resolver.py.

    A path is absolute, or the name of a credential that systemd has put into the folder of CREDENTIALS_DIRECTORY.
    """

    def __init__(self, environ: Mapping[str, str], until: float) -> None:
        self._folder = environ.get(_CREDENTIALS, "")
        self._until = until

    @classmethod
    def check(cls, key: KeySource) -> Iterator[FieldProblem]:
        paths = _paths(key)
        if not key.source.startswith("file:") or not all(map(_is_path, paths)):
            message: str | None = (
                "must name files, as in `file:/run/secrets/api-key,/run/secrets/api-secret`: each an absolute path, or "
                "the name of a systemd credential; never put a key here"
            )
        else:
            message = not_one_each(paths, "file", key.fields)
        if message is not None:
            yield FieldProblem(("source",), message)

    def resolve(self, key: KeySource) -> Found:
        files: dict[str, KeyFile] = {}
        problems: list[str] = []
        kinds: set[type[ResolveError]] = set()
        for field, path in zip(key.fields, _paths(key), strict=True):
            try:
                whole = self._whole(path)
                files[field] = disk_in_time(partial(read_key_file, whole), self._until)
            except OSError as error:
                problems.append(f"the file of `{excerpt(field)}` {cannot_be_read(error)}")
                kinds.add(kind_of(error))
            except Unusable as error:
                problems.append(f"the file of `{excerpt(field)}` {error}")
                kinds.add(ResolveError)
        if problems:
            raise (ResolveError if ResolveError in kinds else SourceUnavailable)(", and ".join(problems))
        return Found(
            {field: without_line_end(file.text) for field, file in files.items()},
            newest(file.changed for file in files.values()),
            open_to_all(files),
        )

    def _whole(self, path: str) -> Path:
        if not path.startswith("/") and not self._folder:
            raise Unusable(
                f"is named as a credential of systemd, and {_CREDENTIALS} is not set; add LoadCredential= to the unit, "
                "or name the file with an absolute path"
            )
        return Path(self._folder, path)


def _paths(key: KeySource) -> list[str]:
    return [path.strip() for path in key.source.removeprefix("file:").split(",")]


def _is_path(path: str) -> bool:
    """Return whether a text is an absolute path, or the name of a credential."""
    if "\0" in path or "\n" in path or len(path) > 4096:
        return False
    return path.startswith("/") or ("/" not in path and path.strip(".") != "")
