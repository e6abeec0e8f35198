"""What the transports of all engines have in common: the fields of their configuration, and the companion that ships.

An engine is a package or a file of its own here: a subclass of EngineConfig for the environment's `transport` section,
a subclass of EngineTransport, which is in the catalog, and a module with its sink, which alone imports the engine's
library. So an environment that uses another engine, or none, needs no library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

from ssmd.contracts.companion import SHIP, Companion
from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Sink
from ssmd.errors import ConfigError
from ssmd.extras import Extra
from ssmd.metadata.fields import Fault, Model, Text
from ssmd.metadata.markers import After, Complaint
from ssmd.metadata.problem import excerpt

__all__ = ["EngineConfig", "EngineTransport", "ServerConfig"]

_STARTS = ("today", "now", "oldest")
_PLACE = ("url", "path", "stream", "topic")
"""The fields that say where messages go."""
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_USER = re.compile(r"^([a-z0-9+.-]+://)?[^/,]*@|,([a-z0-9+.-]+://)?[^/,]*@", re.IGNORECASE)
"""What is before the host in one of the URLs of a list."""


def _start(text: str) -> str:
    if text in _STARTS:
        return text
    if _DAY.fullmatch(text):
        try:
            date.fromisoformat(text)
        except ValueError:
            raise Complaint(f"`{text}` is not a day of the calendar") from None
        return text
    raise Complaint(f"must be one of {', '.join(_STARTS)}, or a day such as 2025-12-22, not `{excerpt(text)}`")


def _url(text: str) -> str:
    if _USER.search(text):
        # The message does not show the value: it has a password.
        raise Complaint(
            "has a user in it; write only the address, and put user and password into a key of the engine's type"
        )
    return text


@dataclass(frozen=True, kw_only=True)
class EngineConfig(Model):
    """The fields that the `transport` section has with every engine."""

    type: Text
    start: Annotated[Text, After(_start)] = "today"
    """Where the copy begins in an engine that has nothing of the feed yet: at the beginning of `today`, of the `oldest`
    day that there is, or of a day, YYYY-MM-DD; or behind the last line that there is `now`."""
    relay: Literal["companion", "external"] = "companion"
    """Whether `ssmd run` starts the relay as a companion, or it is started by something else."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig(EngineConfig):
    """The fields that it has with every engine that is a server."""

    url: Annotated[Text, After(_url)]
    ca_file: Text | None = None
    """A PEM file with the certificates of the authorities to trust; None for those of the system."""

    def faults(self) -> Iterator[Fault]:
        if self.ca_file is not None and ("$" in self.ca_file or self.ca_file.startswith("~")):
            yield ("ca_file",), "has a `$` or begins with `~`, but neither is replaced here; write the whole path"


class EngineTransport:
    """The base class of the transports that have an engine; keeps the Transport contract of contracts/transport.py.

    A subclass says what is its engine's own, in the variables below.
    """

    Config: ClassVar[type[EngineConfig]]
    credentials: ClassVar[Sequence[Sequence[str]]] = ()
    """Which fields a key of the engine's type may have, each a way to log in: (("user", "password"), ("token",))."""
    library: ClassVar[str] = ""
    """The name on PyPI of the library that the engine needs; empty for none. The extra has the engine's name."""
    module: ClassVar[str]
    """The module that imports the library. It has a function
    `connect(config, environment, feed, shard, keys) -> Sink`, with the arguments of __init__() and open()."""

    def __init__(self, config: Any, environment: str, config_dir: str) -> None:
        self.config = config
        self.environment = environment
        self._config_dir = config_dir

    def companions(self, shard: Shard) -> Sequence[Companion]:
        if self.config.relay == "external":
            return ()
        kind: str = self.config.type
        arguments = [SHIP, self.environment, "--config-dir", self._config_dir, "--engine", kind, "--shard", str(shard)]
        return (Companion(SHIP, tuple(arguments), keys=(kind,) if self.credentials else ()),)

    def open(self, feed: str, shard: Shard, keys: Mapping[str, str]) -> Sink:
        """Connect to the engine, and return the sink for a feed or shard. `keys`: the fields of the engine's keys.

        Raises EngineError, and ConfigError when its library is not installed.
        """
        sink: Sink = self._load().connect(self.config, self.environment, feed, shard, keys)
        return sink

    def described(self) -> str:
        """Return where messages go, for people."""
        fields = ((name, getattr(self.config, name, None)) for name in _PLACE)
        return ", ".join([self.config.type, *(f"{name} {value}" for name, value in fields if value is not None)])

    def lack(self) -> str | None:
        """Return what has to be installed before messages can be shipped; None when nothing has."""
        try:
            self._load()
        except ConfigError as error:
            return str(error)
        return None

    def _load(self) -> ModuleType:
        """Import the engine's module. Raises ConfigError when the library is not installed."""
        kind: str = self.config.type
        return Extra(kind, self.library).load(self.module, f"the transport `{kind}`")
