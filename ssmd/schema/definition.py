"""The definition of a schema: a file of one of several formats, from which a JSON Schema is made."""

from __future__ import annotations

from typing import NamedTuple

from ssmd.errors import ConfigError
from ssmd.schema.translating import TRANSLATORS, translate

__all__ = ["FORMATS", "Definition", "json_schema_of", "missing_library"]

FORMATS = {".json": "json_schema", ".proto": "protobuf", ".capnp": "capnp"}
"""The format of a definition by the ending of its file."""


class Definition(NamedTuple):
    name: str
    """What errors call the file, such as `schemas/kalshi-v2.json`."""
    format: str
    """The `format` of schemas/<name>.yaml, such as `json_schema`."""
    content: bytes


def json_schema_of(definition: Definition) -> bytes:
    """Return the JSON Schema that says what a definition says.

    Raises ConfigError, which names the file and the line, for one of another format that is not valid, and when the
    library for its format is not installed. A JSON Schema is returned as it is.
    """
    translator = TRANSLATORS.get(definition.format)
    if translator is None:
        return definition.content
    return translate(definition.content, definition.name, translator)


def missing_library(definition: Definition) -> str | None:
    """Return what to install before a definition can be read; None when it is there."""
    translator = TRANSLATORS.get(definition.format)
    try:
        if translator is not None:
            translator.extra.require("its format")
    except ConfigError as error:
        return str(error)
    return None
