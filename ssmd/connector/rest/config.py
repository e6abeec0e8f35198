"""The REST connector's own configuration: fields of a feed's `versions[]` with the type `rest`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from ssmd.connector.endpoint import endpoint_fault
from ssmd.metadata.fields import Fault, Model, Text
from ssmd.metadata.markers import Within
from ssmd.store.line import LARGEST_MESSAGE

__all__ = ["RestConfig"]


@dataclass(frozen=True, kw_only=True)
class RestConfig(Model):
    """How answers over HTTP are read."""

    endpoint: Text
    """A https:// or http:// URL, below which the paths of the requests are."""
    request_timeout_seconds: Annotated[float, Within(gt=0, le=3600)] = 20.0
    """The longest time from the beginning of a request to the end of its answer."""
    max_message_bytes: Annotated[int, Within(gt=0, le=LARGEST_MESSAGE)] = 64 << 20
    """A request whose answer is longer has failed."""

    def faults(self) -> Iterator[Fault]:
        scheme, found, rest = self.endpoint.partition("://")
        if not found or scheme.lower() not in ("https", "http"):
            yield ("endpoint",), "must be the URL of a REST interface, such as https://host/path"
        # All other rules are those of any endpoint.
        elif fault := endpoint_fault(f"wss://{rest}"):
            yield ("endpoint",), fault.replace("a websocket", "a REST interface")
        elif urlsplit(self.endpoint).query:
            yield ("endpoint",), "must not have a query (`?...`); write it into `params` of the requests"
