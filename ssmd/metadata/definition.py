"""Checks the definition files that schemas name: they are inside the tree, and their content has the stated hash."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path as FilePath
from pathlib import PurePosixPath

from ssmd.errors import printable
from ssmd.metadata.document import read_bytes, why_unusable
from ssmd.metadata.fields import Text
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.model import Schema, SchemaVersion

__all__ = ["LARGEST", "check_definition", "check_definitions"]

_HASH = re.compile("sha256:[0-9a-f]{64}")
LARGEST = 16 << 20
"""The most bytes that a definition may have."""


def check_definitions(schema: MetadataFile[Schema], folder: FilePath) -> None:
    """Report what is wrong with the definition files of a schema, which are in `folder`.

    A version that shares the schema's file with a newer one describes an earlier content of that file, so its hash
    cannot agree any more. It is checked only when an environment refers to it.
    """
    versions = schema.versions(SchemaVersion)
    newest = schema.model.latest() if schema.model else None
    for index, version in versions.items():
        if version.schema_file is not None or version == newest:
            check_definition(schema, index, folder)


def check_definition(schema: MetadataFile[Schema], index: int, folder: FilePath) -> None:
    """Report what is wrong with the definition file of the version at this position."""
    version = schema.versions(SchemaVersion)[index]
    name = version.schema_file or schema.field(Text, "schema_file")
    if name is None:
        return
    at = ("schema_file",) if version.schema_file is None else ("versions", index, "schema_file")
    shown = printable(name, 100)
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or "\\" in name:
        schema.report(at, f"`{shown}` leads out of schemas/; name a file within it")
        return
    try:
        content = read_bytes(folder / inside, LARGEST)
    except (OSError, ValueError) as error:
        schema.report(at, f"schemas/{shown} cannot be read: {why_unusable(error)}; put the file there, or name another")
        return
    _check_hash(schema, index, version, shown, f"sha256:{hashlib.sha256(content).hexdigest()}")


def _check_hash(
    schema: MetadataFile[Schema], index: int, version: SchemaVersion, definition: str, actual: str
) -> None:
    at = ("versions", index, "hash")
    expected = (version.hash or "").lower()
    if not expected:
        schema.report(at, f"is missing, so no change would be noticed; add `hash: {actual}`", warning=True)
    elif not _HASH.fullmatch(expected):
        schema.report(at, f"must be `sha256:` and 64 hexadecimal digits; for the file as it is, `{actual}`")
    elif expected != actual:
        remedy = "restore the file, or write the actual hash here"
        if version.schema_file is None:
            remedy += f"; if {printable(version.version, 40)} had another file, give it a `schema_file` of its own"
        schema.report(at, f"schemas/{definition} has changed: expected {expected}, actual {actual}; {remedy}")
