"""What every sink must do, with MQTT. The broker has no copy: a consumer has it, which was there from the beginning."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mqtt_broker import Consumer, MqttBroker
from sink_conformance import Conformance, Engine, Recorded
from sink_process import ENVIRONMENT, SinkProcess

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Copied
from ssmd.errors import EngineError

pytestmark = pytest.mark.needs("mosquitto")

POSITION = f"{ENVIRONMENT}/kalshi/$position/kalshi"


class Mqtt(Engine):
    """A broker, and a consumer of all that comes."""

    def __init__(self, folder: Path) -> None:
        self.broker = MqttBroker(folder, "max_packet_size 2000000")
        self.consumer = Consumer(self.broker)

    @property
    def config(self) -> Mapping[str, Any]:
        return {"type": "mqtt", "url": self.broker.url}

    @property
    def too_big(self) -> int:
        return 2_000_000

    def stop(self) -> None:
        self.broker.stop()

    def start(self) -> None:
        self.broker.start()
        self.consumer.connect()

    def lose_tail(self) -> None:
        """It has nothing that it could lose but the position. An empty message removes what is retained."""
        self.consumer.publish(POSITION, b"", retain=True)

    def plant_position(self, data: bytes) -> None:
        self.consumer.publish(POSITION, data or b" ", retain=True)

    def open(self, feed: str = "kalshi", shard: Shard = WHOLE) -> SinkProcess:
        return _Consumed(self.consumer, self.config, self.keys, feed, shard)


class _Consumed(SinkProcess):
    """A sink whose copy is what the consumer has got."""

    def __init__(self, consumer: Consumer, config: Mapping[str, Any], keys: Mapping[str, str], feed: str, shard: Shard):
        super().__init__(config, keys, feed, shard)
        self._consumer = consumer
        self._stem = shard.stem(feed)

    def copies(self, first_day: str | None = None) -> list[Copied]:
        self._consumer.read_all()
        found = []
        for place, message in enumerate(self._consumer.got):
            facts = self._consumer.facts(message)
            day, stem, line = facts["Ssmd-Line"].split("/")
            if stem == self._stem:
                name = f"topic {message.topic}"
                found.append(Copied(f"message {place}", day, int(line), facts["Ssmd-Ts"], message.payload, name))
        return found


class TestMqtt(Conformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = Mqtt(tmp_path / "mosquitto")
        yield engine
        engine.broker.kill()

    def test_of_two_relays_one_writes(self, engine):
        """Both do: MQTT cannot refuse the first. But the broker ends its connection, which is seen in the log."""
        recorded = Recorded()
        with contextlib.closing(engine.open()) as first, contextlib.closing(engine.open()) as second:
            first.resume()
            first.send(recorded.trades(3))
            assert second.resume() == recorded.end
            block = recorded.trades(3)
            second.send(block)
            with pytest.raises(EngineError):
                first.send(block)
            assert first.resume() == recorded.end
            first.send(recorded.trades(3))
            self.require(engine, recorded, first)
