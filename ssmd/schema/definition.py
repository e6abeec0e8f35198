"""The definition of a schema: a file of one of several formats, from which a JSON Schema is made."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FORMATS", "Definition", "json_schema_of"]

FORMATS = {".json": "json_schema"}
"""The format of a definition by the ending of its file."""


class Definition(NamedTuple):
    name: str
    """What errors call the file, such as `schemas/kalshi-v2.json`."""
    format: str
    """The `format` of schemas/<name>.yaml, such as `json_schema`."""
    content: bytes


def json_schema_of(definition: Definition) -> bytes:
    """Return the JSON Schema that says what a definition says."""
    return definition.content
