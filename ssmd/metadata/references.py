"""Follows the references of an environment to its feed and its schema, and reports those that lead nowhere.

A file with errors is followed as far as it can be read, so that all problems are reported at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from ssmd.errors import printable
from ssmd.metadata.definition import check_definition
from ssmd.metadata.fields import NAME, Freeform
from ssmd.metadata.folder import Folder, MetadataFile
from ssmd.metadata.model import MESSAGE_TYPES, Environment, Feed, FeedVersion, Schema, SchemaVersion, describe
from ssmd.metadata.problem import quoted
from ssmd.metadata.versions import latest
from ssmd.spelling import nearest

__all__ = ["FeedInUse", "feed_of", "schema_of"]

_MOST = 20
"""How many names a message lists."""

@dataclass(frozen=True)
class FeedInUse:
    """The feed of an environment, and its version in force."""

    file: MetadataFile[Feed]
    index: int | None
    """The position of the version in the file."""
    version: FeedVersion | None
    """None when there is none, or when the file has too many errors to know it."""

    @property
    def description(self) -> dict[str, Any]:
        """What the version in force says of the exchange's messages, as far as it can be read."""
        types = self.file.field(Freeform, MESSAGE_TYPES) or {}
        return {} if self.version is None else describe(self.version, types)


def feed_of(environment: MetadataFile[Environment], feeds: Folder[Feed], today: date) -> FeedInUse | None:
    """Return the feed of an environment, None when there is none of the name."""
    name = environment.text("feed")
    # The model has reported a name that is not valid.
    if name is None or not NAME.fullmatch(name):
        return None
    if missing := feeds.missing(name):
        environment.report(("feed",), missing)
        return None
    feed = feeds.file(name)
    where = f"{feed.file}:{feed.line_map().line(('status',))}"
    status = feed.text("status")
    if status == "disabled":
        environment.report(("feed",), f"`{name}` is disabled; enable it in {where}, or name another feed")
    elif status == "deprecated":
        environment.report(("feed",), f"`{name}` is deprecated (in {where}); name its successor", warning=True)
    versions = feed.versions(FeedVersion)
    version = latest([each for each in versions.values() if each.in_force(today)])
    if version is not None:
        [index] = [index for index, each in versions.items() if each is version]
        return FeedInUse(feed, index, version)
    if versions and len(versions) == len(feed.value("versions")):
        spans = ", ".join(each.span() for each in list(versions.values())[:10])
        message = f"`{name}` has no version in force on {today}: {spans}; correct the dates in {feed.file}"
        environment.report(("feed",), message)
    return FeedInUse(feed, None, None)


def schema_of(
    environment: MetadataFile[Environment], schemas: Folder[Schema], today: date
) -> tuple[MetadataFile[Schema] | None, SchemaVersion | None]:
    """Return the schema of an environment and its version, each None when it cannot be had or none is named."""
    name, _, label = (environment.text("schema") or "").partition(":")
    if not name or not label:
        return None, None
    if missing := schemas.missing(name):
        environment.report(("schema",), missing)
        return None, None
    schema = schemas.file(name)
    versions = schema.versions(SchemaVersion)
    found = [index for index, each in versions.items() if each.version == label]
    if not found:
        _report_missing(environment, schema, label)
        return schema, None
    version = versions[found[0]]
    check_definition(schema, found[0], schemas.path)
    shown = f"version {printable(label, 40)} of `{name}`"
    if version.status != "active":
        message = f"{shown} has the status {version.status}; name one that is active"
        environment.report(("schema",), message, warning=True)
    elif not version.in_force(today):
        message = f"{shown} is not in force on {today}: {version.span()}; name one that is"
        environment.report(("schema",), message, warning=True)
    return schema, version


def _report_missing(environment: MetadataFile[Environment], schema: MetadataFile[Schema], label: str) -> None:
    """Report that the schema has no version of this label, unless the label is that of a version with errors."""
    versions = schema.value("versions")
    if not isinstance(versions, list):
        return
    labels = [str(item.get("version")) for item in versions if isinstance(item, dict) and item.get("version")]
    if label not in labels:
        named = f"version `{printable(label, 40)}`{nearest(label, labels)} (it has {quoted(labels[:_MOST])})"
        environment.report(("schema",), f"`{schema.name}` has no {named}")
