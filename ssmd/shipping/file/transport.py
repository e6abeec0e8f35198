"""The transport `file`: its part of the metadata, and its place in the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ssmd.metadata.fields import Fault, Text
from ssmd.shipping.transport import EngineConfig, EngineTransport

__all__ = ["File", "FileConfig"]


@dataclass(frozen=True, kw_only=True)
class FileConfig(EngineConfig):
    """The `transport` section for the type `file`."""

    path: Text
    """The folder of the copy, which must exist: so a disk that is not mounted gets no copy under its name. Relative to
    the working directory."""

    def faults(self) -> Iterator[Fault]:
        if self.path.startswith("~") or "$" in self.path:
            yield ("path",), "has a `$` or begins with `~`, but neither is replaced here; write the whole path"
        if "://" in self.path:
            yield ("path",), "is an address, but the copy is kept in a folder; write the path of a folder"


class File(EngineTransport):
    """Keeps the Transport contract of contracts/transport.py."""

    Config: ClassVar = FileConfig
    module: ClassVar = "ssmd.shipping.file.sink"
