"""The topics of an environment: that they exist, and that their settings lose nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from ssmd.errors import EngineError, EngineMismatch
from ssmd.shipping.kafka.client import CONNECT_SECONDS, Client, now

__all__ = ["LARGEST", "Names", "Place", "Topics"]

Place = tuple[str, int]
"""A topic, and the number of a partition."""

LARGEST = 1_048_588
"""Kafka's own default of `max.message.bytes`: https://kafka.apache.org/documentation/#topicconfigs_max.message.bytes"""

_POSITION = {
    "cleanup.policy": "compact",
    # Only segments that are closed are compacted, and by default that would be once a week.
    "segment.ms": str(3600 * 1000),
    "segment.bytes": str(16 * 1024 * 1024),
}

_LOOK_AGAIN = 0.05
"""In seconds."""


class Names(NamedTuple):
    """The topics of one environment."""

    data: str
    private: str
    """For messages that only the owner of the exchange's account may see."""
    position: str
    """Where the copy of each feed or shard ends; a record for each block, keyed by the stem."""

    @classmethod
    def of(cls, topic: str) -> Names:
        return cls(topic, f"{topic}.private", f"{topic}.position")


class Topics:
    """Asks the brokers about the topics, and creates those that are missing. Its methods raise EngineError."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client = client
        self.names = names
        self._admin = client.make(AdminClient)

    def close(self) -> None:
        """End the connections. They end when nothing refers to the library's object any more."""
        self._admin = None

    def partitions(self, name: str) -> dict[int, int]:
        """Return how many replicas each partition of a topic has; empty when there is no such topic."""
        doing = f"ask for the topic {name}"
        # Asked for all topics, because a broker may create a topic that it is asked for by name.
        found = self._client.wait(lambda seconds: self._admin.list_topics(timeout=seconds), self._admin, doing)
        topic = found.topics.get(name)
        if topic is None:
            return {}
        if topic.error is not None:
            raise self._client.error(topic.error, doing)
        return {number: len(partition.replicas) for number, partition in topic.partitions.items()}

    def check_pair(self) -> tuple[bool, bool]:
        """Return whether the topics for data and for positions exist.

        Raises EngineMismatch when there are positions but no data: it was there.
        """
        data, position = bool(self.partitions(self.names.data)), bool(self.partitions(self.names.position))
        if position and not data:
            raise EngineMismatch(
                f"kafka has the topic {self.names.position}, which says what was shipped to {self.names.data}, but "
                f"no topic {self.names.data}; to begin again, delete {self.names.position} too"
            )
        return data, position

    def prepare(self) -> None:
        """Create the topics for data and for positions when they do not exist. Raises what check_pair() raises."""
        data, position = self.check_pair()
        # In this order: when it is interrupted in between, the topic for positions is still missing.
        if not data:
            self.create(self.names.data)
        if not position:
            self.create(self.names.position)

    def create(self, name: str, only_ask: bool = False) -> None:
        """Create a topic with the brokers' own settings, and return when it can be used; nothing happens when it is
        there. `only_ask`: create nothing, and only ask whether it may be created.
        """
        new = NewTopic(name, 1, -1, config=_POSITION) if name == self.names.position else NewTopic(name, -1, -1)
        doing = f"create the topic {name}, which does not exist"
        futures = self._admin.create_topics([new], validate_only=only_ask, request_timeout=CONNECT_SECONDS)
        try:
            self._client.result(futures[name], doing)
        except EngineError:
            if not self.partitions(name):  # Otherwise another relay was faster.
                raise
        end = now() + CONNECT_SECONDS
        while not only_ask and not self.partitions(name):
            if now() > end:
                raise EngineError(f"kafka has created the topic {name}, but does not list it")
            time.sleep(_LOOK_AGAIN)

    def settings(self, name: str) -> dict[str, str]:
        """Return the settings of a topic that exists, by name, such as `cleanup.policy`. The brokers' defaults count as
        its own.
        """
        asked = ConfigResource(ConfigResource.Type.TOPIC, name)
        futures = self._admin.describe_configs([asked], request_timeout=CONNECT_SECONDS)
        found = self._client.result(futures[asked], f"ask for the settings of the topic {name}")
        return {key: entry.value for key, entry in found.items() if entry.value is not None}

    def largest(self, name: str) -> int:
        """Return how many bytes the brokers take in one batch of a topic."""
        try:
            return int(self.settings(name)["max.message.bytes"])
        except (EngineError, LookupError, ValueError):
            return LARGEST  # A relay need not have the right to ask.

    def offsets(self, places: Iterable[Place], at: OffsetSpec, committed: bool = True) -> dict[Place, int]:
        """Return the offset of each partition at a point, such as OffsetSpec.earliest(); -1 where there is no record
        behind it. `committed`: the latest is where the first open transaction begins; otherwise, behind all records.
        """
        asked = {TopicPartition(*place): at for place in places}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        futures = self._admin.list_offsets(asked, isolation_level=level, request_timeout=CONNECT_SECONDS)
        return {
            (place.topic, place.partition): self._client.result(future, f"ask how long {place.topic} is").offset
            for place, future in futures.items()
        }
