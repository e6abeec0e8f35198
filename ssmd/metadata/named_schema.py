"""One schema of the tree by its reference, without an environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

from ssmd.errors import ConfigError, printable
from ssmd.metadata.definition import LARGEST, check_definition, check_definitions
from ssmd.metadata.document import read_bytes, why_unusable
from ssmd.metadata.folder import Folder
from ssmd.metadata.model import Schema, SchemaVersion
from ssmd.metadata.problem import quoted
from ssmd.schema.definition import Definition
from ssmd.spelling import nearest

__all__ = ["definition_in", "definition_of", "definitions_in"]


def definition_in(config_dir: FilePath, reference: str) -> Definition:
    """Return the definition that a reference names, such as `kalshi:v2`.

    Raises ConfigError when there is none, and for everything that is wrong with the file of the schema.
    """
    name, _, label = reference.partition(":")
    if not name or not label:
        raise ConfigError(f"`{printable(reference, 100)}` names no schema; write <name>:<version>, such as kalshi:v2")
    folder: Folder[Schema] = Folder(config_dir, "schemas", Schema, check=check_definitions)
    if missing := folder.missing(name):
        raise ConfigError(f"{printable(str(config_dir))}: {missing}")
    file = folder.file(name)
    labels = {version.version: index for index, version in file.versions(SchemaVersion).items()}
    if label in labels:
        check_definition(file, labels[label], folder.path)
    if errors := [str(problem) for problem in file.problems if not problem.warning]:
        raise ConfigError("\n".join(errors))
    if label not in labels or file.model is None:
        hint = f"{nearest(label, labels)} (it has {quoted(list(labels)[:20])})"
        raise ConfigError(f"{file.file}: there is no version `{printable(label, 40)}`{hint}")
    return definition_of(config_dir, file.model, file.model.versions[labels[label]])


def definitions_in(config_dir: FilePath, name: str) -> Iterator[tuple[str, Definition]]:
    """Yield each definition of a sound schema, with the field that names its file.

    A version that shares the schema's file with a newer one describes an earlier content of it, which is not there.
    """
    schema = Folder(config_dir, "schemas", Schema).file(name).model
    if schema is not None:
        for index, version in enumerate(schema.versions):
            if version.schema_file is not None or version == schema.latest():
                at = "schema_file" if version.schema_file is None else f"versions[{index}].schema_file"
                yield at, definition_of(config_dir, schema, version)


def definition_of(config_dir: FilePath, schema: Schema, version: SchemaVersion) -> Definition:
    """Return the definition of a version of a schema. Raises ConfigError when its file cannot be read."""
    name = f"schemas/{version.schema_file or schema.schema_file}"
    try:
        return Definition(name, schema.format, read_bytes(config_dir / name, LARGEST))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{printable(name)} cannot be read: {why_unusable(error)}; put the file there") from None
