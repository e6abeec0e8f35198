"""One environment with everything it refers to: plain data, which a process can use without pydantic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ssmd.metadata.line_map import LineMap
from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.problem import Path, Problem
from ssmd.metadata.shown import shown_endpoint
from ssmd.schema.definition import Definition

__all__ = ["Deployment"]


@dataclass(frozen=True)
class Deployment:
    """An environment and what it refers to, all of it valid and in force."""

    environment: Environment
    feed: Feed
    version: FeedVersion
    """The feed's version in force."""
    version_index: int
    """Its position in the feed's file, for the path of a problem: ("versions", version_index, "endpoint")."""
    schema: Schema | None
    schema_version: SchemaVersion | None
    definition: Definition | None
    """What messages are checked against; None when they are not."""
    dialect: str
    """The name of the exchange's dialect in the catalog."""
    connection: Any
    """The connector's own configuration."""
    storage: Any
    """The writer's own configuration."""
    transport: Any
    """The transport's own configuration."""
    warnings: list[Problem]
    config_dir: str = field(compare=False)
    """The path of the metadata tree, as it was given."""
    _lines: dict[str, LineMap] = field(repr=False, compare=False)
    """The line maps of the files, by "environment" and "feed"."""

    @property
    def description(self) -> dict[str, Any]:
        """What the feed says of its exchange's messages."""
        return self.feed.description(self.version)

    @property
    def shown_endpoint(self) -> str:
        """The feed's endpoint, as people may see it."""
        return shown_endpoint(self.version.endpoint)

    @property
    def file(self) -> str:
        """The file of the environment, for people."""
        return self._lines["environment"].file

    def problem(self, path: Path, message: str, of: str = "environment", warning: bool = False) -> Problem:
        """Return a problem with a field of the environment or, with `of="feed"`, of the feed, with its line."""
        return self._lines[of].problem(path, message, warning)
