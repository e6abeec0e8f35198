"""One connection to a broker of MQTT 5, with a deadline for everything, and errors in plain words.

The protocol: https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html. The library's own loop in a thread is not
used: without one, a message costs half as much.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineFenced, printable
from ssmd.shipping.mqtt.transport import MqttConfig, address_of

__all__ = ["TOO_LARGE", "Connection", "Refused"]

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 15.0
"""How long the broker may acknowledge nothing while it should."""
_RETAINED_SECONDS = 2.0
"""How long to wait for a retained message. A broker does not say that it has none, and some send it a while after they
have confirmed the subscription."""
_SLICE = 0.25
"""How long one call into the library lasts at most, in seconds: signals are handled between two calls."""
_WINDOW = 1000
"""How many messages may be on their way at once, unless the broker takes fewer."""

_VERSION = (0x01, 0x84)
"""Unsupported Protocol Version; the first is the code of MQTT 3.1.1, in which such a broker answers."""
_LOGIN = {0x86: "the user or the password", 0x87: "this user", 0x8C: "this way to log in"}
_TAKEN_OVER = 0x8E
TOO_LARGE = 0x95


class Refused(EngineError):
    """The broker refuses a message, or ends the connection because of one."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code
        """The reason code of MQTT 5."""


class Connection:
    """Connects to the broker. Raises EngineError, and ConfigError for a `ca_file` that cannot be used.

    `name`: the client id. The broker ends an older connection of the same id.
    """

    def __init__(self, config: MqttConfig, keys: Mapping[str, str], name: str) -> None:
        self._address = address_of(config.url)
        self._hidden = tuple(keys.values())
        self._answered = False
        self._subscribed = False
        self._retained: bytes | None = None
        self._unacknowledged = 0
        self._refused: ReasonCode | None = None
        """The broker's first refusal."""
        self.largest = 0
        """The largest packet that the broker takes, in bytes; 0 when it has not named one."""
        self.lacks = ""
        """What the broker cannot do and the relay needs; empty when there is nothing."""
        self._window = _WINDOW
        self._client = client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
        client.connect_timeout = _CONNECT_SECONDS
        client.max_queued_messages_set(0)
        client.max_inflight_messages_set(_WINDOW)  # The library does not know how many the broker takes: see publish().
        if keys:
            client.username_pw_set(keys["user"], keys["password"])
        if self._address.tls:
            client.tls_set_context(_context(config.ca_file))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        try:
            self._connect()
        except EngineError:
            self.close()
            raise

    def retained(self, topic: str) -> bytes | None:
        """Return the retained message of a topic; None when there is none. Raises EngineError."""
        self._retained, self._subscribed = None, False
        self._client.subscribe(topic, qos=1)
        doing = f"read {topic}"
        self._wait_for(lambda: self._subscribed, doing)
        end = time.monotonic() + _RETAINED_SECONDS
        while self._retained is None and time.monotonic() < end:
            self._loop(doing)
        found = self._retained
        self._client.unsubscribe(topic)
        return found

    def look(self) -> None:
        """Read what the broker has sent meanwhile. Raises EngineError, such as when it has ended the connection."""
        self._loop("ship", 0.0)

    def publish(self, topic: str, payload: bytes, properties: Properties | None = None, retain: bool = False) -> None:
        """Send a message. It waits while too many are not acknowledged. Raises EngineError, and Refused."""
        if self._unacknowledged >= self._window:
            self._wait_below(self._window)
        self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        self._unacknowledged += 1

    def flush(self) -> None:
        """Return when the broker has acknowledged all messages. Raises EngineError, and Refused."""
        self._wait_below(1)

    def close(self) -> None:
        """Close the connection. Idempotent, and raises nothing."""
        client = self._client
        with contextlib.suppress(OSError, ValueError):
            client.disconnect()
        # The library closes its descriptors when nothing refers to its object any more, and the callbacks refer to us.
        client.on_connect = client.on_disconnect = client.on_publish = client.on_subscribe = client.on_message = None

    def _connect(self) -> None:
        try:
            # No pings: a relay that has nothing to send does nothing, and each message has a deadline.
            self._client.connect(self._address.host, self._address.port, keepalive=0)
        except ssl.SSLCertVerificationError as error:
            raise EngineError(f"{self._at('connect')}: the broker's certificate: {error.verify_message}") from None
        except OSError as error:
            raise EngineError(f"{self._at('connect')}: {error.strerror or error}") from None
        self._wait_for(lambda: self._answered, "connect", _CONNECT_SECONDS)

    def _wait_below(self, count: int) -> None:
        """Wait until fewer messages than `count` are not acknowledged, and none is refused."""
        while (before := self._unacknowledged) >= count:
            self._wait_for(partial(self._is_below, before), "ship")

    def _is_below(self, count: int) -> bool:
        return self._unacknowledged < count

    def _wait_for(self, done: Callable[[], bool], doing: str, seconds: float | None = None) -> None:
        seconds = _ANSWER_SECONDS if seconds is None else seconds
        end = time.monotonic() + seconds
        while not done():
            self._loop(doing)
            if time.monotonic() > end:
                raise EngineError(f"{self._at(doing)}: the broker has not answered for {seconds:g} s")

    def _loop(self, doing: str, seconds: float = _SLICE) -> None:
        """Read what has come, and send what is left. Raises EngineError when the broker refuses, or is gone."""
        result = self._client.loop(seconds)
        if self._refused is not None:
            raise self._error(self._refused, doing)
        if result == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            raise EngineError(f"{self._at(doing)}: the broker sends what MQTT 5 does not allow; see the broker's log")
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise EngineError(f"{self._at(doing)}: the connection is lost")

    def _on_connect(
        self, _: Client, data: Any, flags: ConnectFlags, code: ReasonCode, limits: Properties | None
    ) -> None:
        self._answered = True
        self._note(code)
        # Of a limit that is not there, the protocol says that there is none.
        self.largest = getattr(limits, "MaximumPacketSize", 0)
        self._window = min(_WINDOW, getattr(limits, "ReceiveMaximum", _WINDOW))
        if not getattr(limits, "RetainAvailable", 1) or not getattr(limits, "MaximumQoS", 1):
            self.lacks = "retained messages" if getattr(limits, "MaximumQoS", 1) else "QoS 1"

    def _on_disconnect(
        self, _: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, more: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server and self._refused is None:
            self._refused = code

    def _on_publish(self, _: Client, data: Any, number: int, code: ReasonCode, more: Properties) -> None:
        self._unacknowledged -= 1
        self._note(code)

    def _on_subscribe(self, _: Client, data: Any, number: int, codes: list[ReasonCode], more: Properties) -> None:
        self._subscribed = True
        for code in codes:
            self._note(code)

    def _on_message(self, _: Client, data: Any, message: MQTTMessage) -> None:
        if message.retain:
            self._retained = message.payload

    def _note(self, code: ReasonCode) -> None:
        if code.is_failure and self._refused is None:
            self._refused = code

    def _error(self, code: ReasonCode, doing: str) -> EngineError:
        """Return a refusal as an error in plain words."""
        said = printable(str(code), 100, self._hidden)
        if code.value in _LOGIN:
            return EngineAuthError(f"{self._at(doing)}: the broker refuses {_LOGIN[code.value]}: {said}")
        if code.value == _TAKEN_OVER:
            return EngineFenced(
                f"{self._at(doing)}: another relay ships this feed under this prefix; run only one of them"
            )
        if code.value in _VERSION:
            return EngineError(f"{self._at(doing)}: the broker does not know MQTT 5, which the relay needs")
        return Refused(f"{self._at(doing)}: the broker refuses it: {said}", code.value)

    def _at(self, doing: str) -> str:
        return f"mqtt at {self._address}: cannot {doing}"


def _context(ca_file: str | None) -> ssl.SSLContext:
    """Return the settings of TLS. Raises ConfigError for a file that has no certificates."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigError(f"transport.ca_file: {ca_file} has no certificates in the form PEM: {error.reason}") from None
    except OSError as error:
        raise ConfigError(f"transport.ca_file: cannot read {ca_file}: {error.strerror}") from None
