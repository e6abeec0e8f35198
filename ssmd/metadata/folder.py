"""One folder of the tree: its files by name, each read and judged once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from ssmd.errors import ConfigError, printable
from ssmd.metadata.document import Document, DocumentError, read
from ssmd.metadata.fields import NAME, Model, Sections
from ssmd.metadata.problem import Path, Problem, quoted
from ssmd.metadata.validation import validate
from ssmd.spelling import nearest

__all__ = ["Folder", "Part"]

M = TypeVar("M", bound=Model)

_ENDINGS = (".yaml", ".yml")


@dataclass
class Part(Generic[M]):
    """One file: what it holds, as far as it can be read, and what is wrong with it."""

    name: str
    file: str
    document: Document | None = None
    model: M | None = None
    sections: Mapping[Path, Model] = field(default_factory=dict)
    """The parts' own configuration, by the path of its section; see Validated."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether it can be used; warnings do not count."""
        return self.model is not None and all(problem.warning for problem in self.problems)

    def report(self, path: Path, message: str, warning: bool = False) -> None:
        """Add a problem, once. Without a document there is a problem already, and this one has no line."""
        if self.document is not None:
            problem = self.document.problem(path, message, warning)
            if problem not in self.problems:
                self.problems.append(problem)

    def text(self, key: str) -> str | None:
        """A field at the top, as it was written: there even when other fields keep the model from loading."""
        value = self.document.data.get(key) if self.document else None
        return str(value).strip() if isinstance(value, str) and value.strip() else None


class Folder(Generic[M]):
    """One of environments/, feeds/ and schemas/."""

    def __init__(
        self,
        config_dir: FilePath,
        folder: str,
        model: type[M],
        sections: Callable[[Mapping[str, Any]], Sections] = lambda data: {},
    ) -> None:
        """`sections`: returns, for the data of a file, the models of the parts that extend its sections."""
        self.path = config_dir / folder
        self.folder = folder
        self.kind = folder.removesuffix("s")
        self._model = model
        self._sections = sections
        self._files = self._list()
        self._parts: dict[str, Part[M]] = {}

    @property
    def names(self) -> list[str]:
        """Every name that there is, in alphabetical order."""
        return sorted(self._files)

    def _list(self) -> dict[str, list[str]]:
        # Hidden entries are not ours: a ConfigMap's mount keeps the files in `..data`, and links to them.
        files: dict[str, list[str]] = {}
        try:
            entries = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return files
        except OSError as error:
            raise ConfigError(f"{printable(str(self.path))}: cannot be listed: {error.strerror}") from None
        for entry in entries:
            stem, ending = os.path.splitext(entry)
            if ending in _ENDINGS and not entry.startswith("."):
                files.setdefault(stem, []).append(entry)
        return files

    def missing(self, name: str) -> str | None:
        """Why there is nothing of this name, and what was perhaps meant; None when there is."""
        if name in self._files:
            return None
        there = f"there are {quoted(self.names[:20])}" if self.names else "there are none"
        return f"there is no {self.kind} `{printable(name, 60)}` in {self.folder}/{nearest(name, self.names)} ({there})"

    def part(self, name: str) -> Part[M]:
        """The file of this name, one of `names`; read at the first call."""
        if name not in self._parts:
            self._parts[name] = self._read(name, self._files[name])
        return self._parts[name]

    @property
    def parts(self) -> list[Part[M]]:
        """What has been read so far, in alphabetical order."""
        return [self._parts[name] for name in sorted(self._parts)]

    def _read(self, name: str, entries: list[str]) -> Part[M]:
        part: Part[M] = Part(name, f"{self.folder}/{entries[0]}")
        if len(entries) > 1:
            other = f"{self.folder}/{printable(entries[1])}"
            part.problems.append(Problem(part.file, None, "", f"there is also {other}; keep one of the two"))
            return part
        if not NAME.fullmatch(name):
            part.problems.append(
                Problem(part.file, None, "", "the file's name must be letters, digits, `.`, `_` and `-`; rename it")
            )
            return part
        try:
            part.document = read(self.path / entries[0], part.file)
        except DocumentError as error:
            part.problems.append(error.problem)
            return part
        found = validate(part.document, self._model, self._sections(part.document.data))
        part.model, part.sections, part.problems = found
        written = part.text("name")
        if written is not None and NAME.fullmatch(written) and written != name:
            part.report(("name",), f"is `{written}` in a file named {entries[0]}; make the two agree")
        return part
