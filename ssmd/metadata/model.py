"""The models of the metadata: a feed, a schema, and the environment that refers to both.

The fields and their meaning are those of the existing ssmd metadata, so that a tree written for it loads unchanged. The
models do not know which types of feed, storage, transport and key source exist. Those are plain names here, and each
part in a catalog declares the fields that it adds to a section (see parts.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from ssmd.metadata.fields import (
    WEEK,
    Amount,
    Fault,
    FeedName,
    Filled,
    Freeform,
    Model,
    Name,
    Prose,
    Seconds,
    Subscribe,
    Text,
)
from ssmd.metadata.keys import KeySpec
from ssmd.metadata.markers import NO_EFFECT, After, Before, Complaint, Within
from ssmd.metadata.problem import excerpt
from ssmd.metadata.sections import (
    Cache,
    Calendar,
    ExpectedSilence,
    Schedule,
    Snapshots,
    Storage,
    Transport,
    is_enforced,
)
from ssmd.metadata.versions import Versioned, latest, timeline_faults

__all__ = [
    "MESSAGE_TYPES",
    "CaptureLocation",
    "Environment",
    "Feed",
    "FeedVersion",
    "KeySpec",
    "Protocol",
    "Schema",
    "SchemaVersion",
    "describe",
]

SILENT_AFTER_SECONDS = 900.0
WITHOUT_ENFORCE = "has no effect without `enforce: true` in the environment's `schedule`"

MESSAGE_TYPES = "message_types"
"""The field of a feed, and its name in a description."""


@dataclass(frozen=True, kw_only=True)
class Protocol(Model):
    """A record of how a feed's messages are carried and encoded."""

    transport: Text | None = None
    message: Text | None = None
    version: Text | None = None


def _protocol(value: Any) -> Any:
    # The short form is `protocol: wss`.
    return {"transport": value} if isinstance(value, str) and value else value


@dataclass(frozen=True, kw_only=True)
class CaptureLocation(Model):
    """A record of where a feed is captured."""

    datacenter: Text | None = None
    provider: Text | None = None
    region: Text | None = None
    site: Text | None = None
    type: Text | None = None
    clock: Text | None = None


@dataclass(frozen=True, kw_only=True)
class FeedVersion(Versioned):
    """How to connect to a feed, from one day to another."""

    protocol: Annotated[Protocol | None, Before(_protocol)] = None
    endpoint: Text
    rest_endpoint: Text | None = None
    """The URL below which the exchange's REST interface is; None for the dialect's own."""
    auth_method: Text = "none"
    exchange: Name | None = None
    """The dialect; when left out, the one that has the feed's name, or else `generic`."""
    rate_limit_per_second: Amount | None = None
    """The most messages that ssmd sends in a second."""
    max_symbols_per_connection: Annotated[int, Within(gt=0)] | None = None
    supports_orderbook: bool = False
    supports_trades: bool = False
    supports_historical: bool = False
    dialect: Freeform = field(default_factory=dict)
    """How the exchange speaks, for dialects that do not know it themselves."""
    parser_config: Annotated[Freeform, NO_EFFECT] = field(default_factory=dict)

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        yield from super().without_effect(data)
        method = data.get("auth_method")
        if isinstance(method, str) and method.strip() not in ("api_key", "none", ""):
            yield ("auth_method",), "has no effect in this version: the exchange's dialect decides how to sign"

    @property
    def endpoint_scheme(self) -> str:
        """The text before the endpoint's first `:`, in lower case."""
        return self.endpoint.partition(":")[0].lower()


def describe(version: FeedVersion, message_types: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a version and the `message_types` of its feed say of the exchange's messages."""
    return version.dialect | ({MESSAGE_TYPES: message_types} if message_types else {})


@dataclass(frozen=True, kw_only=True)
class Feed(Model):
    """A source of market data, with its versions."""

    name: FeedName
    display_name: Prose | None = None
    type: Text
    status: Literal["active", "deprecated", "disabled"] = "active"
    capture_locations: tuple[CaptureLocation, ...] = ()
    calendar: Calendar | None = None
    versions: Annotated[tuple[FeedVersion, ...], Filled]
    message_types: Freeform = field(default_factory=dict)
    """What the messages of each type hold: instead of `paths` in the `dialect` of each version."""
    defaults: Annotated[Any, NO_EFFECT] = None
    """Settings of other programs."""

    @classmethod
    def misplaced(cls) -> Mapping[str, str]:
        ignored = " here, so the whole description would be ignored; move it into a version, beside `endpoint`"
        return {"dialect": ignored}

    def faults(self) -> Iterator[Fault]:
        return timeline_faults(dict(enumerate(self.versions)))

    def description(self, version: FeedVersion) -> dict[str, Any]:
        """Return all that the feed says of its exchange's messages, as the dialect takes it."""
        return describe(version, self.message_types)

    def version_in_force(self, today: date) -> FeedVersion | None:
        """Return the version whose dates include today, of several the one that began last; None without one."""
        return latest([version for version in self.versions if version.in_force(today)])

    def next_version(self, version: FeedVersion, today: date) -> tuple[date, FeedVersion] | None:
        """Return the version that comes into force next after `version`, which is in force today, and its first day;
        None when there is none.

        A day without any version in force is passed over: no run could start on it, but one may go on.
        """
        ends = [each.effective_to + timedelta(1) for each in self.versions if each.effective_to is not None]
        for day in sorted({*ends, *(each.effective_from for each in self.versions)}):
            following = self.version_in_force(day)
            if day > today and following is not None and following != version:
                return day, following
        return None


@dataclass(frozen=True, kw_only=True)
class SchemaVersion(Versioned):
    """The form of the messages, from one day to another."""

    status: Literal["draft", "active", "deprecated"] = "active"
    hash: Text | None = None
    """`sha256:` and the SHA-256 of the definition file, in hex."""
    schema_file: Text | None = None
    """The version's own definition file; None for the schema's."""
    compatible_with: tuple[Text, ...] = ()
    breaking_changes: Prose | None = None


@dataclass(frozen=True, kw_only=True)
class Schema(Model):
    """The form of a feed's messages, for those who read the data."""

    name: Name
    format: Literal["capnp", "protobuf", "json_schema"]
    schema_file: Text
    versions: Annotated[tuple[SchemaVersion, ...], Filled]

    def faults(self) -> Iterator[Fault]:
        return timeline_faults(dict(enumerate(self.versions)))

    def version(self, label: str) -> SchemaVersion | None:
        """Return the version with this label, None without one."""
        return next((version for version in self.versions if version.version == label), None)

    def latest(self) -> SchemaVersion | None:
        """Return the version that describes the schema's own file: the newest of those without a file of their own."""
        return latest([version for version in self.versions if version.schema_file is None])


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
    schema_check: Literal["off", "sample", "count"] = "off"
    """Whether messages are checked by the schema `name:version` as they come: a sample of them, or all."""
    schedule: Schedule | None = None
    keys: dict[Name, KeySpec] = field(default_factory=dict)
    transport: Transport = field(default_factory=lambda: Transport(type="memory"))
    storage: Storage
    cache: Annotated[Cache | None, NO_EFFECT] = None
    subscribe: Subscribe = field(default_factory=dict)
    """What to subscribe to, in the terms of the exchange's dialect; several subscriptions as a list."""
    data_timeout_seconds: Seconds | None = None
    """The longest time without a message before the feed counts as dead; None for no limit."""
    channel_timeout_seconds: dict[Text, Seconds] = field(default_factory=dict)
    """By channel, the longest time without a message of it before the run ends."""
    silent_after_seconds: Annotated[float, Within(ge=0, le=WEEK)] = SILENT_AFTER_SECONDS
    """After this time without a message a channel is reported as silent; 0 for never."""
    expected_silence: tuple[ExpectedSilence, ...] = ()
    """When no message is expected: then silence raises no alarm."""
    snapshots: Snapshots = field(default_factory=Snapshots)
    drift_check: Literal["off", "sample", "all"] = "off"
    """Whether the shape of messages is compared with the days before as they come."""
    keep_listing: bool = False
    """Whether the exchange's answers are kept by which the markets to follow are found."""

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        yield from super().without_effect(data)
        if (schedule := data.get("schedule")) not in (None, "") and not is_enforced(schedule):
            yield ("schedule",), f"{WITHOUT_ENFORCE}: ssmd collects until it is stopped"
