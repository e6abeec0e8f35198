"""The definition files that schemas name: there, inside the tree, and of the content that their hashes say."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path as FilePath
from pathlib import PurePosixPath

from ssmd.errors import printable
from ssmd.metadata.document import read_bytes, why_unusable
from ssmd.metadata.folder import Part
from ssmd.metadata.model import Schema

__all__ = ["verify", "verify_all"]

_HASH = re.compile("sha256:[0-9a-f]{64}")
_LARGEST = 16 << 20


def verify_all(schema: Part[Schema], folder: FilePath) -> None:
    """Report every version whose hash is not its definition file's.

    A version that shares the schema's file with a newer one describes what the file used to hold, so that
    its hash cannot agree any more; it is verified only when an environment asks for it.
    """
    if schema.model is None:
        return
    for index, version in enumerate(schema.model.versions):
        if version.schema_file is not None or version is schema.model.latest():
            verify(schema, index, folder)


def verify(schema: Part[Schema], index: int, folder: FilePath) -> None:
    """Report what is wrong with the definition file of one version."""
    if schema.model is None:
        return
    version = schema.model.versions[index]
    own = version.schema_file is not None
    name = version.schema_file or schema.model.schema_file
    at = ("versions", index, "schema_file") if own else ("schema_file",)
    shown = printable(name, 100)
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or "\\" in name:
        schema.report(at, f"`{shown}` leads out of schemas/; name a file within it")
        return
    try:
        content = read_bytes(folder / inside, _LARGEST)
    except (OSError, ValueError) as error:
        schema.report(at, f"schemas/{shown} cannot be read: {why_unusable(error)}")
        return
    actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
    at = ("versions", index, "hash")
    expected = (version.hash or "").lower()
    if not expected:
        schema.report(at, f"is missing, so no change would be noticed; add `hash: {actual}`", warning=True)
    elif not _HASH.fullmatch(expected):
        schema.report(at, f"must be `sha256:` and 64 hexadecimal digits; for the file as it is, `{actual}`")
    elif expected != actual:
        remedy = "restore the file, or write the actual hash here"
        if not own:
            remedy += f"; if {printable(version.version, 40)} had another file, give it a `schema_file` of its own"
        schema.report(at, f"schemas/{shown} has changed: expected {expected}, actual {actual}; {remedy}")
