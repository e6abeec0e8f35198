"""A broker of MQTT as a process of its own: Mosquitto, from Debian's package."""

from __future__ import annotations

import secrets
import signal
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from server_process import DEADLINE, ServerProcess, modified
from ship_runs import wait_until

PROGRAM = Path("/usr/sbin/mosquitto")


class MqttBroker(ServerProcess):
    """Started by its constructor, and by start() after kill(). It saves what it keeps after so many `changes`.

    `more`: further lines of its configuration.
    """

    def __init__(self, folder: Path, *more: str, scheme: str = "mqtt", changes: int = 100) -> None:
        super().__init__()
        folder.mkdir()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._configuration = folder / "mosquitto.conf"
        self._saved = folder / "mosquitto.db"
        # Without `user` it would become `mosquitto`, which may not read the folder.
        lines = [f"listener {self.port} 127.0.0.1", "user root", "max_queued_messages 0", *more]
        lines += ["persistence true", f"persistence_location {folder}/"]
        lines += ["autosave_on_changes true", f"autosave_interval {changes}"]
        if not any(line.startswith("allow_anonymous") for line in more):
            lines.append("allow_anonymous true")
        self._configuration.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        self.launch([PROGRAM, "-c", self._configuration], self._configuration.with_suffix(".log"))

    def log(self) -> str:
        return self._configuration.with_suffix(".log").read_text()

    def save(self) -> None:
        """Let it save what it keeps; return when it has done so."""
        before = modified(self._saved)
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: modified(self._saved) != before)

    def forget(self) -> None:
        """Remove all that it has saved. It must not run."""
        self._saved.unlink()


class Consumer:
    """A consumer that comes back to its session with QoS 1, and so misses nothing that the broker keeps for it."""

    def __init__(self, broker: MqttBroker) -> None:
        self._broker = broker
        self.got: list[mqtt.MQTTMessage] = []
        """All messages so far, and of each the number of its line; positions are kept apart."""
        self.lines: list[int] = []
        self.positions: list[bytes] = []
        self._different: set[int] = set()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "consumer", protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *arguments: setattr(self, "_subscribed", True)
        self.connect()

    def connect(self) -> None:
        self._subscribed = False
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", self._broker.port, clean_start=False, properties=lasting)
        end = time.monotonic() + DEADLINE
        while not self._client.is_connected():
            if self._client.loop(0.1):  # The connection has been ended.
                self._client.reconnect()
            assert time.monotonic() < end, self._broker.log()[-2000:]
        while not self._subscribed:
            self._client.loop(0.1)
            assert time.monotonic() < end

    def _on_connect(
        self, client: mqtt.Client, data: object, flags: mqtt.ConnectFlags, code: object, more: object
    ) -> None:
        """Subscribe, unless the broker has kept the session."""
        if flags.session_present:
            self._subscribed = True
        else:
            client.subscribe("#", qos=1)

    def _on_message(self, _: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        if "/$position/" in message.topic:
            self.positions.append(message.payload)
            return
        self.got.append(message)
        self.lines.append(int(self.facts(message)["Ssmd-Line"].rpartition("/")[2]))
        self._different.add(self.lines[-1])

    def facts(self, message: mqtt.MQTTMessage) -> dict[str, str]:
        """Return what the headers of a message say."""
        return dict(message.properties.UserProperty)

    def wait_for(self, count: int) -> None:
        """Wait until so many different lines have come."""
        end = time.monotonic() + DEADLINE
        while len(self._different) < count:
            assert self._client.loop(0.1) == 0, "the connection is lost"
            assert time.monotonic() < end, f"{len(self._different)} of {count} lines have come"

    def drain(self, quiet_seconds: float = 2.0, most_seconds: float = DEADLINE) -> None:
        """Connect again, and take what comes until nothing has come for so long, or for the most seconds."""
        self.connect()
        last, count, end = time.monotonic(), -1, time.monotonic() + most_seconds
        while time.monotonic() < min(last + quiet_seconds, end):
            assert self._client.loop(0.1) == 0, "the connection is lost"
            if len(self.got) != count:
                last, count = time.monotonic(), len(self.got)

    def wait_for_position(self) -> bytes:
        """Wait for the position of another block, and return it."""
        end = time.monotonic() + DEADLINE
        while not self.positions:
            assert self._client.loop(0.1) == 0, "the connection is lost"
            assert time.monotonic() < end
        return self.positions.pop()

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish a message, which the broker has when this returns."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        end = time.monotonic() + DEADLINE
        while not sent.is_published():
            assert self._client.loop(0.1) == 0, "the connection is lost"
            assert time.monotonic() < end

    def read_all(self, seconds: float = DEADLINE) -> None:
        """Read all that the broker has by now: a message that is published now comes back behind it."""
        marker = secrets.token_bytes(16)
        self.publish("test/$position/marker", marker)
        end = time.monotonic() + seconds
        while marker not in self.positions:
            assert self._client.loop(0.1) == 0, "the connection is lost"
            assert time.monotonic() < end
        self.positions.clear()
