"""What every sink must do, with Kafka; and what `ssmd verify --engine` must find in its topics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from kafka_broker import Broker
from server_process import DEADLINE
from sink_conformance import Conformance, EditableEngine, Engine, VerifyConformance

TOPIC = "feed"
NAMES = (TOPIC, f"{TOPIC}.private")


class Kafka(EditableEngine):
    """A broker with a topic for the data."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self._partitions = partitions
        self.broker = Broker(folder)
        # A message of one letter only is compressed to a 250th of its length.
        for name in NAMES:
            self.broker.create(name, partitions, max_message_bytes="40000")

    @property
    def config(self) -> Mapping[str, Any]:
        return {"type": "kafka", "url": self.broker.url, "topic": TOPIC}

    @property
    def too_big(self) -> int:
        return 20_000_000

    def stop(self) -> None:
        self.broker.stop()

    def start(self) -> None:
        self.broker.start()

    def lose_tail(self) -> None:
        self.broker.stop()
        # With several partitions it is not known which of them have something of the last block: all is lost then.
        self.broker.forget((*NAMES, f"{TOPIC}.position"), 2 if self._partitions == 1 else 1_000_000)
        self.broker.start()

    def plant_position(self, data: bytes) -> None:
        producer = Producer(self.broker.settings)
        producer.produce(f"{TOPIC}.position", data, b"kalshi", 0)
        assert producer.flush(DEADLINE) == 0

    def take_out(self) -> list[Message]:
        found = [message for name in NAMES for message in self._records(name)]
        admin = self.broker.admin()
        ends = [TopicPartition(message.topic(), message.partition(), -1) for message in found]
        for future in admin.delete_records(list({(end.topic, end.partition): end for end in ends}.values())).values():
            future.result(DEADLINE)
        return found

    def _records(self, name: str) -> Iterator[Message]:
        reading = {"group.id": "test", "enable.partition.eof": True, "isolation.level": "read_committed"}
        consumer = Consumer(self.broker.settings | reading)
        topic = consumer.list_topics(timeout=DEADLINE).topics.get(name)
        for partition in topic.partitions if topic else ():
            consumer.assign([TopicPartition(name, partition, 0)])
            while (message := consumer.poll(DEADLINE)).error() is None:
                yield message
        consumer.close()

    def put_in(self, messages: Sequence[Any]) -> None:
        producer = Producer(self.broker.settings)
        for message in messages:
            facts = {"key": message.key(), "partition": message.partition(), "headers": message.headers()}
            producer.produce(message.topic(), message.value(), **facts)
        assert producer.flush(DEADLINE) == 0

    def changed(self, message: Any) -> Any:
        message.set_value(message.value() + b" ")
        return message


    def misnamed(self, message: Any) -> Any:
        message.set_key(b"other")
        return message


class TestOnePartition(Conformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = Kafka(tmp_path / "kafka", 1)
        yield engine
        engine.broker.kill()

    def test_an_empty_engine_has_no_position_and_no_messages(self, engine):
        with contextlib.closing(engine.open()) as sink:
            *found, missing = sink.check()
            for name, warnings in zip(NAMES, (found[:2], found[2:]), strict=True):
                assert f"the topic {name} takes 40,000 bytes in one message at most" in warnings[0]
                assert f"each message of the topic {name} is on one broker only" in warnings[1]
            assert "there is no topic feed.position yet" in missing
            assert sink.resume() is None
            assert sink.copies() == []


class TestSeveralPartitions(TestOnePartition):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = Kafka(tmp_path / "kafka", 3)
        yield engine
        engine.broker.kill()


class TestVerify(VerifyConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[EditableEngine]:
        engine = Kafka(tmp_path / "kafka", 1)
        yield engine
        engine.broker.kill()
