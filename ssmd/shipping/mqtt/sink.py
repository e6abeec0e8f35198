"""The sink of MQTT: each message with QoS 1, and when all of a block is acknowledged, its end as a retained message.

A relay that ends in between sends the block again. So nothing is missing, and some messages may come twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block, Copied, End, Position, Traits
from ssmd.errors import EngineError, EngineMismatch
from ssmd.reading.ends import end_of
from ssmd.shipping.mqtt.connection import TOO_LARGE, Connection, Refused
from ssmd.shipping.mqtt.transport import MqttConfig, address_of
from ssmd.shipping.subjects import Subjects, default_prefix, token
from ssmd.store.head import TS

__all__ = ["MqttSink", "connect"]

_HEAD = 1 + 4 + 2 + 2
"""The bytes of a packet besides its topic, its properties and its message, at most: its type, its length, the length of
the topic, and its number."""
_MOST_AROUND = 10_000
"""More bytes than a packet has besides its topic and its message."""
_SMALL = 1_000_000


def connect(config: MqttConfig, environment: str, feed: str, shard: Shard, keys: Mapping[str, str]) -> MqttSink:
    """Connect to the broker, and return the sink for a feed or shard. Raises EngineError and ConfigError."""
    prefix = config.subject_prefix or default_prefix(environment, feed, "/")
    return MqttSink(config, keys, prefix, feed, shard)


class MqttSink:
    """Keeps the Sink contract of contracts/sink.py. The constructor connects; it raises EngineError and ConfigError."""

    traits = Traits(fences=False, atomic=False, exactly_once=False)
    most_lines = 1000
    most_bytes = 4 * 1024 * 1024
    lost = ""

    def __init__(self, config: MqttConfig, keys: Mapping[str, str], prefix: str, feed: str, shard: Shard) -> None:
        self._config = config
        self._keys = keys
        self._prefix = prefix
        self._feed = feed
        self._shard = shard
        self._stem = shard.stem(feed)
        self._subjects = Subjects(prefix, "/")
        self._position_topic = f"{prefix}/$position/{token(self._stem)}"
        # A name of its own: the relay that ships now is not to be disturbed by a check.
        self._connection = Connection(config, keys, f"ssmd-{secrets.token_hex(8)}")
        self._resumed = False
        self._may_publish = False

    def check(self) -> Sequence[str]:
        if lacks := self._connection.lacks:
            raise EngineError(f"mqtt: the broker has no {lacks}, which the relay needs; use another broker")
        warnings = []
        if self._keys and not address_of(self._config.url).tls:
            warnings.append("the password goes to the broker as plain text; write `mqtts://` in `transport.url`")
        largest = self._connection.largest
        if largest and largest < _SMALL:
            warnings.append(
                f"the broker takes {largest:,} bytes in one packet at most, and a longer message ends the shipping; "
                f"raise its limit to {_SMALL:,} or more, in mosquitto max_packet_size"
            )
        return warnings

    def resume(self) -> Position | None:
        self._resumed = self._may_publish = False
        self._connection.close()
        # Brokers end an older connection of the same name.
        self._connection = Connection(self._config, self._keys, f"ssmd-{self._prefix}-{self._stem}")
        end = self.end()
        self._resumed = True
        return end.position if end is not None else None

    def end(self) -> End | None:
        found = self._connection.retained(self._position_topic)
        if not found:
            return None
        try:
            end = End.decode(found)
        except ValueError as error:
            raise EngineMismatch(f"mqtt has no position in the topic {self._position_topic}: {error}") from None
        position = end.position
        if (position.feed, position.shard) != (self._feed, self._shard.label):
            raise EngineMismatch(
                f"mqtt has the position of {position.feed} {position.shard} in the topic {self._position_topic}, and "
                f"this is {self._stem}; set another subject_prefix"
            )
        return end

    def send(self, block: Block) -> None:
        if not self._resumed:
            raise EngineError("mqtt: a block can be sent only after resume()")
        self._resumed = False  # Until all is acknowledged: nothing may follow half of a block.
        try:
            self._publish(block)
        except Refused as error:
            if error.code == TOO_LARGE:
                largest = max(range(len(block.payloads)), key=lambda index: len(block.payloads[index]))
                raise self._too_large(block, largest) from None
            raise
        self._resumed = True

    def _publish(self, block: Block) -> None:
        """Send a block, and then its end."""
        self._connection.look()
        connection, before, number = self._connection, f"{block.start.day}/{self._stem}/", block.start.line
        for index, topic in enumerate(self._subjects.of(block.exchange, block.found)):
            payload = block.payloads[index]
            number += 1
            facts = Properties(PacketTypes.PUBLISH)
            facts.UserProperty = [
                ("Ssmd-Ts", block.lines[index][TS].decode("ascii", "replace")),
                ("Ssmd-Line", f"{before}{number}"),
                ("Ssmd-Session", block.session),
            ]
            if 0 < connection.largest < len(payload) + _MOST_AROUND + len(topic):
                size = _HEAD + len(topic) + len(facts.pack()) + len(payload)
                if size > connection.largest:
                    raise self._too_large(block, index, f", which makes {size:,} with its topic and properties")
            connection.publish(topic, payload, facts)
            if not self._may_publish:
                # Alone: with several on their way, an answer that it may not is lost when the broker hangs up.
                connection.flush()
                self._may_publish = True
        connection.flush()
        connection.publish(self._position_topic, end_of(block).encode(), retain=True)
        connection.flush()

    def _too_large(self, block: Block, index: int, more: str = "") -> EngineMismatch:
        largest = self._connection.largest
        takes = f"takes {largest:,} at most" if largest else "does not take that many"
        return EngineMismatch(
            f"line {block.start.line + index + 1} of {block.start.day}/{self._stem}.jsonl has a message of "
            f"{len(block.payloads[index]):,} bytes{more}, and the broker {takes}; raise its limit, in mosquitto "
            "max_packet_size"
        )

    def names(self, block: Block) -> Sequence[str]:
        return [f"topic {topic}" for topic in self._subjects.of(block.exchange, block.found)]

    def copies(self, first_day: str | None = None) -> Iterator[Copied]:
        raise EngineError(
            "a broker of MQTT keeps no messages that could be read back, so they cannot be compared with what is "
            "recorded; let a consumer compare their Ssmd-Line"
        )

    def close(self) -> None:
        self._connection.close()
