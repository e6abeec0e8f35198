"""Checks what an environment asks for with `schema_check`."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Literal

from ssmd.errors import ConfigError
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.model import Environment, Schema, SchemaVersion
from ssmd.metadata.named_schema import definition_of
from ssmd.schema.definition import Definition, json_schema_of

__all__ = ["definition_to_check"]

_AT = ("schema_check",)


def definition_to_check(
    environment: MetadataFile[Environment],
    schema: MetadataFile[Schema] | None,
    version: SchemaVersion | None,
    config_dir: FilePath,
) -> Definition | None:
    """Return the definition that messages are to be checked against, as a JSON Schema; None when they are not, and when
    something is wrong, which is reported.
    """
    if environment.field(Literal["off", "sample", "count"], "schema_check") in (None, "off"):
        return None
    if environment.value("schema") in (None, ""):
        environment.report(_AT, "needs a schema; name one in `schema`, such as kalshi:v1, or set this to `off`")
    if schema is None or schema.model is None or version is None:
        return None
    from ssmd.schema.check import make_checker  # Only such environments need jsonschema-rs.

    try:
        definition = definition_of(config_dir, schema.model, version)
        content = json_schema_of(definition)
        make_checker(content, definition.name)
    except ConfigError as error:
        environment.report(("schema",), str(error))
        return None
    return definition._replace(format="json_schema", content=content)
