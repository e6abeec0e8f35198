"""A folder of the tree: its files by name, each read and checked once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from ssmd.errors import ConfigError, printable
from ssmd.metadata.document import Document, DocumentError, read
from ssmd.metadata.fields import NAME, Model
from ssmd.metadata.known_keys import Sections
from ssmd.metadata.line_map import NOTHING, LineMap
from ssmd.metadata.problem import Path, Problem, quoted
from ssmd.metadata.validation import loaded, validate
from ssmd.metadata.versions import Versioned
from ssmd.spelling import nearest

__all__ = ["Folder", "MetadataFile"]

M = TypeVar("M", bound=Model)
V = TypeVar("V", bound=Versioned)

_ENDINGS = (".yaml", ".yml")


@dataclass
class MetadataFile(Generic[M]):
    """One file: what it contains, as far as it can be read, and what is wrong with it."""

    name: str
    """Without folder and ending: `kalshi-dev`."""
    file: str
    """Within the tree: `environments/kalshi-dev.yaml`."""
    document: Document | None = None
    model: M | None = None
    sections: Mapping[Path, Model] = field(default_factory=dict)
    """The parts' own configuration, by the path of its section; see Validated."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether a run can use the file; it may have warnings."""
        return self.model is not None and all(problem.warning for problem in self.problems)

    def report(self, path: Path, message: str, warning: bool = False, lenient: bool = False) -> None:
        """Add a problem with the field at this path, unless it is known.

        Without a document nothing is added: then there is a problem already, and this one would have no line.
        """
        if self.document is not None:
            problem = self.document.problem(path, message, warning, lenient)
            if problem not in self.problems:
                self.problems.append(problem)

    def line_map(self) -> LineMap:
        """Return the lines of its fields: of none without a document."""
        return LineMap(self.file, 1, NOTHING) if self.document is None else self.document.line_map()

    def value(self, *path: str | int) -> Any:
        """Return the data of a field as the file has it, even when the model does not load; None without one."""
        value: Any = self.document.data if self.document else None
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def field(self, annotation: Any, *path: str | int) -> Any:
        """Return a field of this type, even when other fields keep the model from loading. Then a field that is left
        out or not valid is None.
        """
        if self.model is None:
            value = self.value(*path)
            return None if value in (None, "") else loaded(annotation, value)
        found: Any = self.model
        for step in path:
            found = getattr(found, str(step)) if isinstance(found, Model) else found[step]
        return found

    def versions(self, kind: type[V]) -> dict[int, V]:
        """Return the versions of a feed or a schema by their position; of a file with errors, those that load."""
        versions = self.value("versions")
        count = len(versions) if isinstance(versions, list) else 0
        found = {index: self.field(kind, "versions", index) for index in range(count)}
        return {index: version for index, version in found.items() if version is not None}

    def text(self, key: str) -> str | None:
        """Return the text of a field at the top, even when the model does not load; None without one."""
        value = self.value(key)
        return str(value).strip() if isinstance(value, str) and value.strip() else None


class Folder(Generic[M]):
    """One of environments/, feeds/ and schemas/."""

    def __init__(
        self,
        config_dir: FilePath,
        folder: str,
        model: type[M],
        sections: Callable[[Mapping[str, Any]], Sections] = lambda data: {},
        check: Callable[[MetadataFile[M], FilePath], None] = lambda file, folder: None,
    ) -> None:
        """List the folder. Raises ConfigError when it is there and cannot be listed.

        `sections`: returns, for the data of a file, the models of the parts that extend its sections.
        `check`: called once with each file that has been read and the path of the folder, to report further problems.
        """
        self.path = config_dir / folder
        self._folder = folder
        self._kind = folder.removesuffix("s")
        self._model = model
        self._sections = sections
        self._check = check
        self._entries = self._list()
        self._files: dict[str, MetadataFile[M]] = {}

    @property
    def names(self) -> list[str]:
        """The names of all files, in alphabetical order."""
        return sorted(self._entries)

    def _list(self) -> dict[str, list[str]]:
        # Hidden entries are left out: a mounted ConfigMap has the files in `..data`, and links to them.
        found: dict[str, list[str]] = {}
        try:
            entries = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return found
        except OSError as error:
            reason = f"{error.strerror}; correct that first"
            raise ConfigError(f"{printable(str(self.path))}: cannot be listed: {reason}") from None
        for entry in entries:
            stem, ending = os.path.splitext(entry)
            if ending in _ENDINGS and not entry.startswith("."):
                found.setdefault(stem, []).append(entry)
        return found

    def missing(self, name: str) -> str | None:
        """Return a sentence that there is no file of this name, with the nearest one; None when there is one."""
        if name in self._entries:
            return None
        names = f"it has {quoted(self.names[:20])}" if self._entries else "it has none"
        hint = nearest(name, self.names)
        return f"there is no {self._kind} `{printable(name, 60)}` in {self._folder}/{hint} ({names})"

    def file(self, name: str) -> MetadataFile[M]:
        """Return the file of this name, one of `names`; the first call reads it."""
        if name not in self._files:
            self._files[name] = self._read(name, self._entries[name])
            self._check(self._files[name], self.path)
        return self._files[name]

    @property
    def files(self) -> list[MetadataFile[M]]:
        """The files that have been read so far, in alphabetical order."""
        return [self._files[name] for name in sorted(self._files)]

    def _read(self, name: str, entries: list[str]) -> MetadataFile[M]:
        file: MetadataFile[M] = MetadataFile(name, f"{self._folder}/{entries[0]}")
        if len(entries) > 1:
            other = f"{self._folder}/{printable(entries[1])}"
            file.problems.append(Problem(file.file, None, "", f"there is also {other}; keep one of the two"))
            return file
        if not NAME.fullmatch(name):
            message = "the file's name must be letters, digits, `.`, `_` and `-`; rename it"
            file.problems.append(Problem(file.file, None, "", message))
            return file
        try:
            file.document = read(self.path / entries[0], file.file)
        except DocumentError as error:
            file.problems.append(error.problem)
            return file
        validated = validate(file.document, self._model, self._sections(file.document.data))
        file.model, file.sections, file.problems = validated
        inside = file.text("name")
        if inside is not None and NAME.fullmatch(inside) and inside != name:
            file.report(("name",), f"is `{inside}` in a file named {entries[0]}; make the two agree")
        return file
