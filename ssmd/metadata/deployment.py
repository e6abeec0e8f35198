"""What a run is to do: an environment with what it refers to; plain data, without what has judged it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.places import Places
from ssmd.metadata.problem import Path, Problem

__all__ = ["Deployment"]


@dataclass(frozen=True)
class Deployment:
    """An environment and what it refers to, all sound and in force."""

    environment: Environment
    feed: Feed
    version: FeedVersion
    """The feed's version in force."""
    version_index: int
    """Its position in the feed's file, for the path of a problem: ("versions", version_index, "endpoint")."""
    schema: Schema | None
    schema_version: SchemaVersion | None
    warnings: list[Problem]
    _places: dict[str, Places] = field(repr=False, compare=False)

    def problem(self, path: Path, message: str, of: str = "environment", warning: bool = False) -> Problem:
        """A problem with a field of the environment or the feed, on the line where that field stands."""
        return self._places[of].problem(path, message, warning)
