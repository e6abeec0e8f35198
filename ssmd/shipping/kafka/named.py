"""Under what a topic keeps a message: its key, and the partition that belongs to this key."""

from __future__ import annotations

from confluent_kafka import murmur2

__all__ = ["Named", "name_of"]


def name_of(topic: str, key: bytes | None) -> str:
    """Return topic and key, for people."""
    return f"topic {topic}, {'no key' if key is None else 'key ' + key.decode('utf-8', 'backslashreplace')}"


class Named:
    """The names of the messages of one topic, which come in the order in which they were written.

    A topic may have got more partitions: what was written before is in the partition that its key had then. So a
    message is where it belongs when that is right for the number of partitions now, or for an earlier one that is not
    below those of the messages before it.
    """

    def __init__(self, topic: str, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions
        self._fewest = 1
        """How many partitions there were by now, at least."""

    def of(self, key: bytes | None, partition: int) -> str:
        """Return the name of a message; it has the partition in it when that is not the one of its key."""
        name = name_of(self._topic, key)
        for count in range(self._fewest, self._partitions + 1):
            if murmur2(key or b"", count) == partition:
                self._fewest = count
                return name
        return f"{name}, partition {partition}"
