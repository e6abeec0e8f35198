"""The transport `kafka`: the fields of its configuration, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from ssmd.metadata.fields import Fault, Text
from ssmd.metadata.problem import excerpt
from ssmd.shipping.transport import EngineTransport, ServerConfig

__all__ = ["Kafka", "KafkaConfig", "is_tls", "servers_of"]

_BROKER = r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}"
_URL = re.compile(rf"kafka(\+ssl)?://{_BROKER}(,{_BROKER})*")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,240}")
"""At most 249 characters are allowed, and the names of the other two topics are longer by up to 9."""


@dataclass(frozen=True, kw_only=True)
class KafkaConfig(ServerConfig):
    """`url`: `kafka://` and the addresses of one or more brokers; `kafka+ssl://` for TLS."""

    topic: Text | None = None
    """Which topic gets the messages; None for `{environment}.{feed}`."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How the user and the password are shown to the broker. It is of no use without a key."""

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if not _URL.fullmatch(self.url):
            yield ("url",), (
                f"`{excerpt(self.url)}` is not a list of brokers; write `kafka://` and their addresses, such as "
                "`kafka://kafka-1:9092,kafka-2:9092`, with TLS `kafka+ssl://kafka-1:9093`"
            )
        if self.topic is not None and (not _TOPIC.fullmatch(self.topic) or not self.topic.strip(".")):
            yield ("topic",), (
                f"`{excerpt(self.topic)}` is no valid topic; use letters, digits, `.`, `_` and `-`, 240 at most"
            )
        if self.ca_file is not None and not is_tls(self.url):
            yield ("ca_file",), "is for TLS, so the url must begin with `kafka+ssl://`"


def is_tls(url: str) -> bool:
    return url.startswith("kafka+ssl://")


def servers_of(url: str) -> str:
    """Return the addresses of the brokers as Kafka's own programs take them: `host:port`, with commas between."""
    return url.partition("://")[2]


class Kafka(EngineTransport):
    """Keeps the Transport contract of contracts/transport.py."""

    Config: ClassVar = KafkaConfig
    credentials: ClassVar = (("user", "password"),)
    library: ClassVar = "confluent-kafka"
    module: ClassVar = "ssmd.shipping.kafka.sink"
