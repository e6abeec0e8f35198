"""The engines of random_faults.py: each is started, broken in all of its ways, and read by a client of its own."""

from __future__ import annotations

import random
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from kafka_broker import Broker
from mqtt_broker import Consumer, MqttBroker
from nats_server import NatsServer
from server_process import DEADLINE, ServerProcess
from sink_process import ENVIRONMENT

from ssmd.store.line import decode_line

__all__ = ["ENGINES", "REST_SECONDS", "Engine", "Message"]

FEED = "test"
PREFIX = f"{ENVIRONMENT}.{FEED}"

REST_SECONDS = 600.0
"""After hundreds of faults much may be left to ship, to read and to verify."""

Message = tuple[str, bytes]
"""The place of a message, `{day}/{stem}/{line}`, and its payload."""


class Network(ServerProcess):
    """A TCP proxy in a process of its own, in front of a server. Its log is in `folder`."""

    def __init__(self, folder: Path, target: int) -> None:
        super().__init__()
        program = str(Path(__file__).with_name("tcp_proxy.py"))
        self._command = [sys.executable, program, str(self.port), str(target)]
        self._log = folder / "network.log"
        self.start()

    def start(self) -> None:
        self.launch(self._command, self._log)

    def faults(self) -> dict[str, Callable[[], None]]:
        return {"network cut": self._cut, "network silent": self._silent}

    def _cut(self) -> None:
        self.kill()
        time.sleep(random.uniform(0, 3))
        self.start()

    def _silent(self) -> None:
        self.freeze()
        time.sleep(random.uniform(0, 8))
        self.thaw()


class Engine(ABC):
    """One engine, running. `transport`: the fields of the `transport` section beside `type`."""

    name: str
    transport: dict[str, Any]
    rate = 500
    """Messages a second that each collector gets."""
    repeats = False
    """It may have a message twice."""

    @abstractmethod
    def faults(self) -> dict[str, Callable[[], None]]:
        """Return what can happen to it, by name. Each ends when the engine is right again."""

    @abstractmethod
    def messages(self) -> list[Message]:
        """Return all that it has, in order, as a consumer gets it that is no part of ssmd."""

    can_be_empty = True
    """empty() can be called, also while a relay is connected."""

    def empty(self) -> None:  # noqa: B027
        """Let it lose all that it has, its position too."""

    def save(self) -> None:  # noqa: B027
        """Return when it would still have, after it was killed, the position of each shard that ships to it."""

    def between(self) -> None:  # noqa: B027
        """Do what is to be done between two faults."""

    @abstractmethod
    def close(self) -> None: ...


class Served(Engine):
    """An engine that is a server, `server`."""

    server: Any

    def faults(self) -> dict[str, Callable[[], None]]:
        return {"server killed": self._killed, "server frozen": self._frozen}

    def _killed(self) -> None:
        self.server.kill()
        time.sleep(random.uniform(0, 3))
        self.server.start()

    def _frozen(self) -> None:
        self.server.freeze()
        time.sleep(random.choice((0.2, 1, 4)) * random.uniform(0.5, 1.5))
        self.server.thaw()

    def close(self) -> None:
        self.server.kill()


class Folder(Engine):
    name = "file"
    can_be_empty = False

    def __init__(self, folder: Path) -> None:
        self._path = folder / "engine"
        self._path.mkdir()
        self.transport = {"path": str(self._path)}

    def faults(self) -> dict[str, Callable[[], None]]:
        return {"folder away": self._away}

    def _away(self) -> None:
        away = self._path.with_name("away")
        self._path.rename(away)
        time.sleep(random.uniform(0, 3))
        away.rename(self._path)

    def messages(self) -> list[Message]:
        found: list[Message] = []
        for path in sorted(self._path.glob("*/*.jsonl")):
            lines = path.read_bytes().splitlines(keepends=True)
            place = f"{path.parent.name}/{path.stem}"
            found += [(f"{place}/{number}", decode_line(line).payload) for number, line in enumerate(lines, 1)]
        return found

    def close(self) -> None:
        pass


class Nats(Served):
    name = "nats"
    settings: ClassVar[dict[str, Any]] = {"subjects": [f"{PREFIX}.>"], "duplicate_window": 200_000_000}
    """After the window, in nanoseconds, the server does not know any longer which ids it has. Outages are longer."""

    def __init__(self, folder: Path) -> None:
        self.server = NatsServer(folder / "engine")
        self.server.create(**self.settings)
        self._network = Network(folder, self.server.port)
        self.transport = {"url": f"nats://127.0.0.1:{self._network.port}", "stream": "FEED"}

    def faults(self) -> dict[str, Callable[[], None]]:
        return {
            **super().faults(),
            **self._network.faults(),
            "stream full": self._full,
        }

    def _full(self) -> None:
        self.server.change(**self.settings, max_bytes=self.server.state()["bytes"] + random.randrange(100_000))
        time.sleep(random.uniform(1, 4))
        self.server.change(**self.settings)

    def messages(self) -> list[Message]:
        kept = self.server.kept(pattern=f"{PREFIX}.>")
        return [(one.headers["Ssmd-Line"], one.payload) for one in kept if "Ssmd-Line" in one.headers]

    def empty(self) -> None:
        self.server.ask("STREAM.PURGE.FEED", {})

    def close(self) -> None:
        self._network.kill()
        super().close()


class NatsSingle(Nats):
    """Its stream takes no atomic batches."""

    settings: ClassVar[dict[str, Any]] = {**Nats.settings, "allow_atomic": False}


class Kafka(Served):
    """A broker names its own address to clients, so that no proxy can stand in front of it."""

    name = "kafka"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "engine"
        self._folder.mkdir()
        self.server = Broker(self._folder)
        self.transport = {"url": self.server.url, "topic": FEED}

    def messages(self) -> list[Message]:
        from confluent_kafka import Consumer as KafkaConsumer
        from confluent_kafka import TopicPartition

        reading = {"group.id": "test", "enable.partition.eof": True, "isolation.level": "read_committed"}
        consumer = KafkaConsumer(self.server.settings | reading)
        consumer.assign([TopicPartition(FEED, 0, 0)])
        found: list[Message] = []
        while (message := consumer.poll(DEADLINE)) is not None and message.error() is None:
            found.append((dict(message.headers())["Ssmd-Line"].decode(), message.value()))
        consumer.close()
        return found

    def save(self) -> None:
        self.server.wait_for_save()

    def empty(self) -> None:
        self.server.kill()
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        self.server.start()


class Mqtt(Served):
    """Mosquitto keeps nothing for later consumers. So one is there all the time, and comes back after each fault."""

    name = "mqtt"
    rate = 100
    repeats = True

    def __init__(self, folder: Path) -> None:
        self.server = MqttBroker(folder / "engine", changes=2000)
        self._network = Network(folder, self.server.port)
        self.transport = {"url": f"mqtt://127.0.0.1:{self._network.port}"}
        self._consumer = Consumer(self.server)
        self.server.save()  # The session of the consumer: without it the broker keeps nothing for it.

    def faults(self) -> dict[str, Callable[[], None]]:
        return {**super().faults(), **self._network.faults(), "server restarted": self._restarted}

    def _killed(self) -> None:
        super()._killed()
        self._consumer.connect()

    def _restarted(self) -> None:
        self.server.stop()
        time.sleep(random.uniform(0, 3))
        self.server.start()
        self._consumer.connect()

    def save(self) -> None:
        self._consumer.read_all(REST_SECONDS)  # Otherwise there is more and more to save.
        self.server.save()

    def empty(self) -> None:
        self._consumer.drain()
        self.server.kill()
        self.server.forget()
        self.server.start()
        self._consumer.connect()

    def between(self) -> None:
        # The more the server keeps for its consumer, the longer it takes to save that.
        self._consumer.drain(most_seconds=0.5)

    def messages(self) -> list[Message]:
        self._consumer.read_all(REST_SECONDS)
        return [(self._consumer.facts(message)["Ssmd-Line"], message.payload) for message in self._consumer.got]

    def close(self) -> None:
        self._network.kill()
        super().close()


ENGINES: dict[str, type[Folder] | type[Nats] | type[Kafka] | type[Mqtt]] = {
    **{engine.name: engine for engine in (Folder, Nats, Kafka, Mqtt)},
    "nats-single": NatsSingle,
}
