"""The client of nats-py, extended by what it lacks, and its errors in words for people.

It uses three private names of the library's client: _process_info, _public_nkey and _transport. setup.py names the
versions with which they were tried.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nats import errors
from nats.aio.client import Client

from ssmd.errors import EngineAuthError, printable
from ssmd.shipping.nats.address import Server
from ssmd.shipping.nats.login import Login

__all__ = ["CONNECT_SECONDS", "FAILURES", "NatsClient", "refusal", "words"]

CONNECT_SECONDS = 5.0
"""How long one server has to take a connection."""

_OWN_FAULTS = (AttributeError, AssertionError, RuntimeError)
"""What the library raises by mistake, as when the connection ends while it is used."""
FAILURES = (OSError, errors.Error, asyncio.TimeoutError, ValueError, *_OWN_FAULTS)
"""What the library raises. ValueError: a host name that cannot be one."""

_NEVER = 10**9
"""Seconds between the library's own pings: a request that is not answered in time says the same."""

_OF_KEYS = ("authorization violation", "authentication expired", "authentication revoked", "permissions violation")


# What both log is of no use to people: tracebacks of errors that are reported here in words, and how a connection with
# TLS ends.
for _name in ("nats", "asyncio"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


class NatsClient(Client):
    """A connection to one server. The library does not open it again, because it would send some messages twice."""

    def __init__(self, server: Server, login: Login) -> None:
        super().__init__()
        self._server = server
        self._login = login
        self._public_nkey = login.public_key or None

    async def open(
        self,
        name: str,
        context: ssl.SSLContext | None,
        heard: Callable[[Exception], Awaitable[None]],
        closed: Callable[[], Awaitable[None]],
    ) -> None:
        """Connect. `heard` gets each error, for which the library would print a traceback otherwise."""
        options: Mapping[str, Any] = {"tls": context, "name": name, "error_cb": heard, "closed_cb": closed}
        once: Mapping[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
        connecting = self.connect([self._server.url], ping_interval=_NEVER, **once, **options, **self._login.options)
        await asyncio.wait_for(connecting, CONNECT_SECONDS)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # The library encrypts only when the server demands it. So somebody between the two could remove the demand, and
        # read the password.
        if initial_connection and self._server.tls:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise errors.Error("the server offers no TLS; write nats:// in transport.url if it needs none")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    async def write(self, data: bytes) -> None:
        """Send bytes of the protocol as they are."""
        transport: Any = self._transport
        transport.write(data)
        await transport.drain()

    def abort(self) -> None:
        """Close the socket at once."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


def refusal(text: str) -> EngineAuthError | None:
    """Return the error for the text with which a server refuses the keys; None for any other text."""
    if any(phrase in text.lower() for phrase in _OF_KEYS):
        return EngineAuthError(f"{text}; check the environment's key of the type nats, and what its user may do")
    return None


def words(error: Exception) -> str:
    """Return an error of the library in words for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}; see transport.ca_file"
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if isinstance(error, asyncio.TimeoutError) and not isinstance(error, errors.Error):
        return f"no answer within {CONNECT_SECONDS:g} s"
    if isinstance(error, OSError) and error.errno and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    if isinstance(error, _OWN_FAULTS):
        return printable(f"nats-py failed: {type(error).__name__}: {error}")
    return printable(str(error).removeprefix("nats: ").strip("'")) or type(error).__name__
