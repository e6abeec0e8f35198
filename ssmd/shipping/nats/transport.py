"""The transport `nats`: the fields of its configuration. A stream must exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from ssmd.metadata.fields import Fault, Text
from ssmd.metadata.markers import After, Complaint
from ssmd.metadata.problem import excerpt
from ssmd.shipping.nats.address import servers_of
from ssmd.shipping.subjects import fault_of_prefix
from ssmd.shipping.transport import EngineTransport, ServerConfig

__all__ = ["Nats", "NatsConfig"]

_STREAM = re.compile(r"[^\s.*>/\\]{1,255}")


def _stream(text: str) -> str:
    if not _STREAM.fullmatch(text):
        raise Complaint(f"`{excerpt(text)}` is no valid stream: it may not have spaces or any of `. * > / \\`")
    return text


def _prefix(text: str) -> str:
    if fault := fault_of_prefix(text):
        raise Complaint(f"`{excerpt(text)}` {fault}")
    return text


@dataclass(frozen=True, kw_only=True)
class NatsConfig(ServerConfig):
    """`url`: one server or, with commas, several of a cluster: `nats://a:4222,nats://b:4222`; `tls://` for TLS."""

    stream: Annotated[Text, After(_stream)] | None = None
    """Which stream gets the messages; None for the one that has the subjects."""
    subject_prefix: Annotated[Text, After(_prefix)] | None = None
    """How the subjects begin; None for `{environment}.{feed}`."""

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        try:
            servers = servers_of(self.url)
        except ValueError as error:
            yield ("url",), str(error)
        else:
            if self.ca_file is not None and not all(server.tls for server in servers):
                yield ("ca_file",), "is for TLS, so each server in the url must begin with `tls://`"


class Nats(EngineTransport):
    """Keeps the Transport contract of contracts/transport.py."""

    Config: ClassVar = NatsConfig
    credentials: ClassVar = (("user", "password"), ("token",), ("nkey_seed",), ("creds",))
    library: ClassVar = "nats-py"
    module: ClassVar = "ssmd.shipping.nats.sink"
