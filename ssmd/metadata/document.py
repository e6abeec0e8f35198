"""Reads a YAML file as data in which every scalar keeps its source text.

YAML guesses what an unquoted scalar means: 2025-12-22 becomes a date, 10:30 becomes 630, `no` becomes False, 1.10
becomes 1.1, 010 becomes 8. Nothing is guessed here: an unquoted scalar arrives as Plain, a quoted one as str, and the
model, which knows the type of each field, converts it. Where the model leaves the form of a section open, freeform()
decides by the few rules of YAML 1.2.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from ssmd.errors import ConfigError
from ssmd.metadata.line_map import LineMap
from ssmd.metadata.problem import Problem
from ssmd.metadata.scalars import Plain, freeform
from ssmd.metadata.tree import TOO_DEEP, RefusedError, build

__all__ = ["MAX_BYTES", "Document", "DocumentError", "Plain", "freeform", "parse", "read", "read_bytes", "why_unusable"]

MAX_BYTES = 1 << 20

# libyaml's parser is ten times faster. Where PyYAML was built without it, PyYAML's own does the same.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# By a part of the two parsers' messages, what they mean in plain words.
_PLAIN_WORDS = (
    ("mapping values are not allowed", "a `:` where none can be; put the text in quotes, or correct the indentation"),
    ("could not find expected ':'", "this is neither `key: value` nor a list entry (`- value`)"),
    ("unexpected end of stream", "a quote is opened and never closed"),
    ("expected ',' or", "a bracket is opened and never closed, or a comma is missing"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("expected key", "the indentation does not fit the lines above"),
    ("expected '-' indicator", "the indentation does not fit the list above"),
    ("invalid indentation", "the indentation does not fit the lines above"),
    ("cannot start any token", "a value cannot begin with this character; put quotes around it"),
    ("alphabetic or numeric", "a `*` or `&` where it has a meaning of its own in YAML; put quotes around the value"),
    ("escape", "a double-quoted text has a `\\` escape that YAML does not know; use single quotes, or write `\\\\`"),
    ("expected <document start>", "text follows where the document should end"),
    ("expected '<document start>'", "text follows where the document should end"),
    ("incompatible YAML document", "the %YAML line asks for another version than 1; remove it"),
    ("node content", "a value is missing, or a bracket or comma is out of place"),
    ("exceeded maximum nesting depth", TOO_DEEP),
)

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PATH_WITH_BRACKETS = re.compile(r"\w\[(?:[0-9]+|\*)\]|\[(?:[0-9]+|\*)\]\.?\w")
"""As in `params.channels[*]` and `[0].event`."""


class DocumentError(ConfigError):
    """A file that cannot be used at all; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class Document(LineMap):
    """The data of one file, with its lines."""

    data: dict[str, Any]

    def line_map(self) -> LineMap:
        """Return the lines without the data."""
        return LineMap(self.file, self.start, self.entries)


def read(path: FilePath, name: str) -> Document:
    """Return the document in a file. Raises DocumentError, whose message has `name` for the file."""
    try:
        content = read_bytes(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        message = f"cannot be read: {why_unusable(error)}; correct or remove it"
        raise DocumentError(Problem(name, None, "", message)) from None
    return parse(content, name)


def why_unusable(error: OSError | ValueError) -> str:
    """Return the reason for which a path cannot be used; a ValueError is what Python raises for a NUL in it."""
    return error.strerror or str(error) if isinstance(error, OSError) else "its path contains a NUL character"


def read_bytes(path: FilePath, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. Raises OSError.

    A pipe or a device, which might never end, is not opened.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise OSError(0, "it is a directory, not a file")
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is not a regular file")
    with open(path, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(0, f"it is larger than {limit} bytes")
    return content


def parse(content: bytes, name: str) -> Document:
    """Return the document in these bytes. Raises DocumentError, whose message has `name` for the file."""

    def refuse(line: int | None, reason: str) -> DocumentError:
        return DocumentError(Problem(name, line, "", reason))

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refuse(line, "is not UTF-8 text; save it in that encoding") from None
    if found := _NOT_ALLOWED.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise refuse(line, f"contains the control character U+{ord(found[0]):04X}; remove it")
    try:
        root = build(_events(text))
    except RefusedError as error:
        raise refuse(error.line, error.reason) from None
    except yaml.MarkedYAMLError as error:
        raise refuse(*_explain(error, text)) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML's own parser raises ValueError and OverflowError for escapes and versions that are not numbers.
        raise refuse(None, f"is not valid YAML: {error}") from None
    if root is None or (root.kind is str and root.text is None):
        raise refuse(None, "is empty; it must have `key: value` lines")
    if root.kind is not dict:
        what = "a list" if root.kind is list else "text"
        raise refuse(root.line, f"must be a mapping (`key: value` lines), not {what}")
    return Document(name, root.line, root.entries(), root.value())


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
    return events


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int | None, str]:
    """Return the line of a parser's error and what it means in plain words."""
    problem, context = str(error.problem or ""), str(error.context or "")
    # An unclosed quote or bracket is noticed at the end of the file. The line where it begins is more useful.
    unclosed = "quoted scalar" in context or "flow" in context or "simple key" in context
    mark = (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark
    if mark is None:
        return None, f"is not valid YAML: {problem}"
    lines = text.splitlines()
    bracketed = [each for each in (error.problem_mark, mark) if each and _has_path_with_brackets(lines, each.line)]
    mark = bracketed[0] if bracketed else mark
    source = lines[mark.line] if mark.line < len(lines) else ""
    if "cannot start any token" in problem and "\t" in source[: mark.column + 1]:
        return mark.line + 1, "a tab where YAML wants spaces; indent with spaces"
    remedy = "; if it is a path with brackets, put it in quotes" if bracketed else ""
    for part, words in _PLAIN_WORDS:
        if part in problem:
            return mark.line + 1, words + remedy
    return mark.line + 1, f"is not valid YAML: {' '.join(filter(None, (context, problem)))}{remedy}"


def _has_path_with_brackets(lines: Sequence[str], at: int) -> bool:
    return at < len(lines) and _PATH_WITH_BRACKETS.search(_QUOTED.sub("", lines[at])) is not None
