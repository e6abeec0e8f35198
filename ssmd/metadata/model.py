"""What the metadata says: a feed, a schema, and the environment that brings them together.

The fields and their meaning are those of the existing ssmd metadata, so that a tree written for it loads
unchanged. Which types of feed, storage, transport and key source a program serves is not for the model to
know: those are plain names here, and the catalogs of the parts decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

from ssmd.envelope import LARGEST_MESSAGE
from ssmd.metadata.endpoint import endpoint_fault
from ssmd.metadata.fields import Amount, Fault, FeedName, Filled, Freeform, Model, Name, Prose, Seconds, Text
from ssmd.metadata.keys import KeySpec
from ssmd.metadata.markers import After, Before, Complaint, Within
from ssmd.metadata.problem import excerpt
from ssmd.metadata.versions import Versioned, latest, timeline_faults

__all__ = [
    "Cache",
    "Calendar",
    "CaptureLocation",
    "Environment",
    "Feed",
    "FeedVersion",
    "KeySpec",
    "Protocol",
    "Schedule",
    "Schema",
    "SchemaVersion",
    "Storage",
    "Transport",
]


@dataclass(frozen=True, kw_only=True)
class Protocol(Model):
    """How a feed's messages travel and what they are written in."""

    transport: Text | None = None
    message: Text | None = None
    version: Text | None = None


def _protocol(value: Any) -> Any:
    # The short form: `protocol: wss`.
    return {"transport": value} if isinstance(value, str) and value else value


@dataclass(frozen=True, kw_only=True)
class CaptureLocation(Model):
    """Where a feed is recorded; for people, ssmd does not act on it."""

    datacenter: Text | None = None
    provider: Text | None = None
    region: Text | None = None
    site: Text | None = None
    type: Text | None = None
    clock: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Calendar(Model):
    """When a feed trades; for people, ssmd does not act on it."""

    timezone: Text | None = None
    holiday_calendar: Text | None = None
    open_time: Text | None = None
    close_time: Text | None = None


@dataclass(frozen=True, kw_only=True)
class FeedVersion(Versioned):
    """How to reach a feed, from one day to another."""

    protocol: Annotated[Protocol | None, Before(_protocol)] = None
    endpoint: Text
    auth_method: Text = "none"
    exchange: Name | None = None
    """The dialect; when left out, the feed's own name if there is such a dialect."""
    idle_timeout_seconds: Seconds = 30.0
    """The longest silence, pings included, before the connection counts as dead."""
    max_message_bytes: Annotated[int, Within(gt=0, le=LARGEST_MESSAGE)] = 16 << 20
    coalesce_seconds: Annotated[float, Within(ge=0, le=1)] = 0.002
    """While messages come faster than this they are read together, about so often: the less CPU, the later."""
    rate_limit_per_second: Amount | None = None
    max_symbols_per_connection: Annotated[int, Within(gt=0)] | None = None
    supports_orderbook: bool = False
    supports_trades: bool = False
    supports_historical: bool = False
    parser_config: Freeform = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Feed(Model):
    """A source of market data, and how to reach it over time."""

    name: FeedName
    display_name: Prose | None = None
    type: Text
    status: Literal["active", "deprecated", "disabled"] = "active"
    capture_locations: tuple[CaptureLocation, ...] = ()
    calendar: Calendar | None = None
    versions: Annotated[tuple[FeedVersion, ...], Filled]
    defaults: Any = None
    """For the operators of other programs; known here only in order not to be reported."""

    def faults(self) -> Iterator[Fault]:
        return self.version_faults(self.type, dict(enumerate(self.versions)))

    @staticmethod
    def version_faults(kind: str, versions: Mapping[int, Any]) -> Iterator[Fault]:
        """What is wrong with the versions of a feed of this type, by their position in the file."""
        yield from timeline_faults(versions)
        if kind == "websocket":
            for index, version in versions.items():
                if fault := endpoint_fault(version.endpoint):
                    yield ("versions", index, "endpoint"), fault

    def version_in_force(self, today: date) -> FeedVersion | None:
        """Of the versions whose dates include today, the one that began last."""
        return latest([version for version in self.versions if version.in_force(today)])


@dataclass(frozen=True, kw_only=True)
class SchemaVersion(Versioned):
    """What messages look like, from one day to another."""

    status: Literal["draft", "active", "deprecated"] = "active"
    hash: Text | None = None
    """`sha256:<hex>` of the definition file."""
    schema_file: Text | None = None
    """This version's own definition, when it is not the schema's."""
    compatible_with: tuple[Text, ...] = ()
    breaking_changes: Prose | None = None


@dataclass(frozen=True, kw_only=True)
class Schema(Model):
    """The form of a feed's messages; kept beside the data, for whoever reads them."""

    name: Name
    format: Literal["capnp", "protobuf", "json_schema"]
    schema_file: Text
    versions: Annotated[tuple[SchemaVersion, ...], Filled]

    def faults(self) -> Iterator[Fault]:
        return timeline_faults(dict(enumerate(self.versions)))

    def version(self, label: str) -> SchemaVersion | None:
        """The version of this label."""
        return next((version for version in self.versions if version.version == label), None)

    def latest(self) -> SchemaVersion | None:
        """The version that describes the schema's own file: of those without a file to themselves, the newest."""
        return latest([version for version in self.versions if version.schema_file is None])


@dataclass(frozen=True, kw_only=True)
class Transport(Model):
    """Where messages go while they are on their way."""

    type: Text
    url: Text | None = None
    stream: Text | None = None
    subject_prefix: Text | None = None

    def faults(self) -> Iterator[Fault]:
        if self.type in ("nats", "mqtt") and self.url is None:
            yield ("url",), f"is required when the type is {self.type}; add the server's URL"


@dataclass(frozen=True, kw_only=True)
class Storage(Model):
    """Where messages are kept."""

    type: Text
    path: Text | None = None
    bucket: Text | None = None
    region: Text | None = None
    fsync_interval_seconds: Seconds = 1.0
    """What a power failure may take: the lines of the last so many seconds."""

    def faults(self) -> Iterator[Fault]:
        if self.path is not None and self.path.startswith("~"):
            yield ("path",), "begins with `~`, which stands for no one's home here; write the whole path"
        for name in {"local": ("path",), "s3": ("bucket", "region")}.get(self.type, ()):
            if getattr(self, name) is None:
                yield (name,), f"is required when the type is {self.type}; add it"


@dataclass(frozen=True, kw_only=True)
class Schedule(Model):
    """When to collect; known to other programs, ssmd collects until it is stopped."""

    timezone: Text = "UTC"
    day_start: Text | None = None
    day_end: Text | None = None
    auto_roll: bool = False


@dataclass(frozen=True, kw_only=True)
class Cache(Model):
    """Where other programs keep what they look up; ssmd has no use for it."""

    type: Text
    max_size: Text | None = None
    url: Text | None = None


def _schema_reference(text: str) -> str:
    name, _, version = text.partition(":")
    if not name or not version:
        raise Complaint(f"must be `name:version`, such as trade:v1, not `{excerpt(text)}`")
    return text


@dataclass(frozen=True, kw_only=True)
class Environment(Model):
    """One collection: which feed, with which keys, kept where."""

    name: Name
    feed: Name
    schema: Annotated[Text, After(_schema_reference)] | None = None
    """`name:version`."""
    schedule: Schedule | None = None
    keys: dict[Name, KeySpec] = field(default_factory=dict)
    transport: Transport = Transport(type="memory")
    storage: Storage
    cache: Cache | None = None
    subscribe: Freeform = field(default_factory=dict)
    """What to ask the exchange for, in its dialect's own terms."""
    data_timeout_seconds: Seconds | None = None
    """The longest time without a message before the feed counts as dead; when left out, no limit."""
