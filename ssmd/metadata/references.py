"""Follows the references of an environment to its feed and its schema, and reports those that lead nowhere."""

from __future__ import annotations

from datetime import date

from ssmd.errors import printable
from ssmd.metadata.definition import check_definition
from ssmd.metadata.fields import NAME
from ssmd.metadata.folder import Folder, MetadataFile
from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.problem import quoted
from ssmd.spelling import nearest

__all__ = ["feed_of", "schema_of"]

_MOST = 20
"""How many names a message lists."""


def feed_of(
    environment: MetadataFile[Environment], feeds: Folder[Feed], today: date
) -> tuple[MetadataFile[Feed] | None, FeedVersion | None]:
    """Return the feed of an environment and its version in force, each None when it cannot be had."""
    name = environment.text("feed")
    # The model has reported a name that is not valid.
    if name is None or not NAME.fullmatch(name):
        return None, None
    if missing := feeds.missing(name):
        environment.report(("feed",), missing)
        return None, None
    feed = feeds.file(name)
    if feed.model is None:
        return feed, None
    where = f"{feed.file}:{feed.line_map().line(('status',))}"
    if feed.model.status == "disabled":
        environment.report(("feed",), f"`{name}` is disabled; enable it in {where}, or name another feed")
    elif feed.model.status == "deprecated":
        environment.report(("feed",), f"`{name}` is deprecated (in {where}); name its successor", warning=True)
    version = feed.model.version_in_force(today)
    if version is None:
        spans = ", ".join(each.span() for each in feed.model.versions[:10])
        message = f"`{name}` has no version in force on {today}: {spans}; correct the dates in {feed.file}"
        environment.report(("feed",), message)
    return feed, version


def schema_of(
    environment: MetadataFile[Environment], schemas: Folder[Schema]
) -> tuple[MetadataFile[Schema] | None, SchemaVersion | None]:
    """Return the schema of an environment and its version, each None when it cannot be had or none is named."""
    name, _, label = (environment.text("schema") or "").partition(":")
    if not name or not label:
        return None, None
    if missing := schemas.missing(name):
        environment.report(("schema",), missing)
        return None, None
    schema = schemas.file(name)
    if schema.model is None:
        return schema, None
    version = schema.model.version(label)
    if version is None:
        labels = [each.version for each in schema.model.versions]
        named = f"version `{printable(label, 40)}`{nearest(label, labels)} (it has {quoted(labels[:_MOST])})"
        environment.report(("schema",), f"`{name}` has no {named}")
        return schema, None
    check_definition(schema, schema.model.versions.index(version), schemas.path)
    if version.status != "active":
        message = f"version {printable(label, 40)} of `{name}` has the status {version.status}; name one that is active"
        environment.report(("schema",), message, warning=True)
    return schema, version
