"""The file writer's own configuration: the environment's `storage` section for the type `local`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ssmd.metadata.fields import Fault, Model, Seconds, Text

__all__ = ["LocalStorage"]


@dataclass(frozen=True, kw_only=True)
class LocalStorage(Model):
    """Messages are kept in files of a folder on this host."""

    type: Text
    path: Text
    """The folder; relative to the working directory."""
    fsync_interval_seconds: Seconds = 1.0
    """What a power failure may take: the lines of the last so many seconds."""
    format: Literal["jsonl.zst", "parquet"] = "jsonl.zst"
    """What `ssmd compact` makes of sealed days."""

    def faults(self) -> Iterator[Fault]:
        if self.path.startswith("~"):
            yield ("path",), "begins with `~`, which stands for no one's home here; write the whole path"
        if "$" in self.path:
            yield ("path",), "has a `$`, but no variables are replaced here; write the whole path"
        if "://" in self.path:
            yield ("path",), "is an address, but the data is kept in a folder of this host; write the path of a folder"
