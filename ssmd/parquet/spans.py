"""Where the values of a JSON document stand in its text. Pure.

It is used for a few lines of a table, from which the layouts of all others are learned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

__all__ = ["Path", "Span", "spans_of"]

Span = tuple[int, int, int]
"""The first character of a value, the first one after it, and where its key begins, with the comma before it: a member
of an object may be left out from there on. The last equals the first for what may not be left out."""

Path = tuple[str, ...]

_SPACE = re.compile(r"[ \t\n\r]*")
_skip = json.JSONDecoder().raw_decode
_string = json.decoder.scanstring  # type: ignore[attr-defined]


def spans_of(text: str, paths: Collection[Path]) -> dict[Path, Span]:
    """Return the span of each path that the document has; of a key that occurs twice, the last one's.

    Raises ValueError for what is no JSON document, and RecursionError for one that is nested too deeply.
    """
    inner = {path[:end] for path in paths for end in range(len(path))}
    found: dict[Path, Span] = {}
    _value(text, _after_space(text, 0), (), inner, found)
    return {path: found[path] for path in paths if path in found}


def _after_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # It matches everywhere.


def _value(text: str, at: int, path: Path, inner: set[Path], found: dict[Path, Span]) -> int:
    """Find the spans in the value that begins at `at`; return where it ends."""
    if path in inner and text.startswith("{", at):
        return _members(text, at + 1, path, inner, found)
    return _skip(text, at)[1]


def _members(text: str, at: int, path: Path, inner: set[Path], found: dict[Path, Span]) -> int:
    comma = None
    at = _after_space(text, at)
    if text.startswith("}", at):
        return at + 1
    while True:
        at = _after_space(text, at)
        if not text.startswith('"', at):
            raise ValueError(f"no key at {at}")
        key, end = _string(text, at + 1)
        end = _after_space(text, end)
        if not text.startswith(":", end):
            raise ValueError(f"no colon at {end}")
        start = _after_space(text, end + 1)
        end = _value(text, start, (*path, key), inner, found)
        found[(*path, key)] = (start, end, start if comma is None else comma)
        at = _after_space(text, end)
        if text.startswith("}", at):
            return at + 1
        if not text.startswith(",", at):
            raise ValueError(f"no comma at {at}")
        comma, at = at, at + 1
