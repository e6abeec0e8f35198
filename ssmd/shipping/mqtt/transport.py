"""The transport `mqtt`: the fields of its configuration, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

from ssmd.metadata.fields import Fault, Text
from ssmd.metadata.markers import After, Complaint
from ssmd.metadata.problem import excerpt
from ssmd.shipping.subjects import fault_of_prefix
from ssmd.shipping.transport import EngineTransport, ServerConfig

__all__ = ["Address", "Mqtt", "MqttConfig", "address_of"]

_URL = re.compile(r"(mqtts?)://(?:([A-Za-z0-9._-]+)|\[([0-9a-fA-F:.]+)\])(?::([0-9]{1,5}))?")
_PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Those that are registered: https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901246"""


class Address(NamedTuple):
    """Where a broker is."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """Return the address in a `url`. Raises ValueError, with what is wrong as a phrase."""
    match = _URL.fullmatch(url)
    port = 0 if match is None else int(match[4] or _PORTS[match[1]])
    if match is None or not 0 < port < 65536:
        raise ValueError(
            f"`{excerpt(url)}` is not the address of a broker; write one such as `mqtt://broker:1883`, with TLS "
            "`mqtts://broker:8883`"
        )
    return Address(match[2] or match[3], port, match[1] == "mqtts")


def _prefix(text: str) -> str:
    if fault := fault_of_prefix(text, "/"):
        raise Complaint(f"`{excerpt(text)}` {fault}")
    return text


@dataclass(frozen=True, kw_only=True)
class MqttConfig(ServerConfig):
    """`url`: `mqtt://host:port`, or `mqtts://host:port` for TLS."""

    subject_prefix: Annotated[Text, After(_prefix)] | None = None
    """How the topics begin; None for `{environment}/{feed}`."""

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        try:
            address = address_of(self.url)
        except ValueError as error:
            yield ("url",), str(error)
        else:
            if self.ca_file is not None and not address.tls:
                yield ("ca_file",), "is for TLS, so the url must begin with `mqtts://`"


class Mqtt(EngineTransport):
    """Keeps the Transport contract of contracts/transport.py."""

    Config: ClassVar = MqttConfig
    credentials: ClassVar = (("user", "password"),)
    library: ClassVar = "paho-mqtt"
    module: ClassVar = "ssmd.shipping.mqtt.sink"
