"""The catalogs of parts, as far as the loader has to know them. wiring.py makes this of the catalogs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmd.contracts.dialect import Dialect
from ssmd.contracts.resolver import KeyResolver
from ssmd.metadata.fields import Model
from ssmd.metadata.known_keys import Sections

__all__ = ["Parts"]


@dataclass(frozen=True)
class Parts:
    """The parts by the names that the metadata uses: the Model of the fields that each declares, or, for exchanges and
    resolvers, the part itself.
    """

    connectors: Mapping[str, type[Model]]
    """By a feed's `type`: fields of each of its `versions[]`."""
    writers: Mapping[str, type[Model]]
    """By `storage.type`: fields of the `storage` section."""
    transports: Mapping[str, type[Model]]
    """By `transport.type`: fields of the `transport` section."""
    credentials: Mapping[str, Sequence[Sequence[str]]]
    """By `transport.type` and `storage.type`, of those that take keys: the fields of a key, each a way to log in."""
    exchanges: Mapping[str, Dialect]
    """By a feed version's `exchange`."""
    dialects: Mapping[str, Callable[[Dialect], Dialect]]
    """By a feed's `type`, where its connector needs another dialect than the exchange's own: what makes it of that."""
    resolvers: Mapping[str, type[KeyResolver]]
    """By the scheme of a key's `source`."""
    endpoints: Mapping[str, Callable[[str, str], str | None]]
    """By the scheme of a feed version's `endpoint`: returns what is wrong with an endpoint for a dialect of this name,
    or None."""
    lists: Mapping[str, Callable[[str], bool]]
    """By the same scheme: returns whether what is behind an endpoint lists its markets."""

    def of_environment(self, data: Mapping[str, Any]) -> Sections:
        """Return the models that extend the sections of an environment's file, given its data."""
        catalogs = {"storage": self.writers, "transport": self.transports}
        return {
            (name,): catalog.get(str(data[name].get("type")))
            for name, catalog in catalogs.items()
            if isinstance(data.get(name), dict) and data[name].get("type")
        }

    def of_feed(self, data: Mapping[str, Any]) -> Sections:
        """Return the models that extend the versions in a feed's file, given its data."""
        versions = data.get("versions")
        model = self.connectors.get(str(data.get("type")))
        return {("versions", index): model for index in range(len(versions) if isinstance(versions, list) else 0)}

    def dialect(self, name: str, feed_type: str | None) -> Any:
        """Return the dialect of this name as a feed of a type needs it; None when there is none."""
        found = self.exchanges.get(name)
        make = self.dialects.get(feed_type or "")
        return found if found is None or make is None else make(found)

    def dialect_name(self, feed: str, exchange: str | None) -> str:
        """Return the name of the dialect of a feed version, given the feed's name and the version's `exchange`."""
        return exchange or (feed if feed in self.exchanges else "generic")
