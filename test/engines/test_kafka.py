"""The sink of Kafka, with a broker that is a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from engine_blocks import DAY, FEED, MARKETS, TS, block, expected, market, payload, position, ship, shown
from exchange_server import Authority
from house import ROOT
from kafka_broker import Broker
from patience import PATIENCE
from server_process import DEADLINE

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Position
from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineFenced, EngineMismatch
from ssmd.shipping.kafka import client, reader, sink
from ssmd.shipping.kafka.sink import KafkaSink
from ssmd.shipping.kafka.transport import Kafka, KafkaConfig

SHIPPER = Path(__file__).with_name("kafka_shipper.py")
FRONT = Path(__file__).with_name("kafka_front.py")
NO_KEYS: Mapping[str, str] = {}
KEYS = {"user": "relay", "password": "a long password"}
ENVIRONMENT = "prod"
TOPIC = "prod.kalshi"
OPENED: list[KafkaSink] = []


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A broker that no test ends. Each test has a topic of its own."""
    broker = Broker(tmp_path_factory.mktemp("broker") / "data")
    yield broker
    broker.kill()


@pytest.fixture(autouse=True)
def _closed():
    yield
    _close_all()


def _close_all() -> None:
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def topic(request):
    return request.node.name.replace("[", ".").replace("]", "")[-100:]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def pem(authority, tmp_path):
    """A certificate for this host, and its key."""
    authority.context("127.0.0.1")
    return tmp_path / "127.0.0.1.pem"


@pytest.fixture
def own(tmp_path):
    """A broker that the test may end."""
    broker = Broker(tmp_path / "data")
    yield broker
    broker.thaw()
    broker.kill()


def opened(broker: Broker, topic: str | None = None, shard: Shard = WHOLE, feed: str = FEED) -> KafkaSink:
    transport = Kafka(KafkaConfig(type="kafka", url=broker.url, topic=topic), ENVIRONMENT, "conf")
    found = transport.open(feed, shard, {})
    assert isinstance(found, KafkaSink)
    OPENED.append(found)
    return found


def records(broker: Broker, topic: str, partition: int = 0) -> list:
    """Everything committed in a partition, as a consumer that is no part of ssmd sees it."""
    reading = {"group.id": "test", "enable.partition.eof": True, "isolation.level": "read_committed"}
    consumer = Consumer(broker.settings | reading)
    consumer.assign([TopicPartition(topic, partition, 0)])
    found = []
    while (message := consumer.poll(DEADLINE)).error() is None:
        found.append(message)
    consumer.close()
    return found


def test_what_a_consumer_gets(shared, topic):
    sink = opened(shared, topic)
    assert sink.resume() is None
    sink.send(block(0, 3))
    first, *_ = found = records(shared, topic)
    assert [message.value() for message in found] == [payload(line) for line in (1, 2, 3)]
    assert first.key() == market(1).encode()
    assert dict(first.headers()) == {
        "Ssmd-Ts": TS.encode(), "Ssmd-Line": f"{DAY}/kalshi/1".encode(), "Ssmd-Session": b"session-1"
    }  # fmt: skip
    (place,) = records(shared, f"{topic}.position")
    assert (place.key(), Position.decode(place.value())) == (b"kalshi", position(3))


def test_a_relay_that_starts_again_goes_on_where_it_was(shared, topic):
    ship(opened(shared, topic), 1000, 300)
    again = opened(shared, topic)
    assert again.resume() == position(1000)
    ship(again, 1500, 300)
    assert shown(again.copies()) == expected(1500)


def test_the_topic_is_named_after_environment_and_feed(shared):
    ship(opened(shared), 10, 10)
    assert len(records(shared, TOPIC)) == 10


def test_with_several_partitions_each_market_keeps_its_order_and_the_copy_has_that_of_the_feed(shared, topic):
    shared.create(topic, partitions=4)
    ship(sink := opened(shared, topic), 5000, 700)
    assert shown(sink.copies()) == expected(5000)
    partitions_of = Counter(message.key() for number in range(4) for message in set_of_keys(shared, topic, number))
    assert partitions_of == Counter({market(line).encode(): 1 for line in range(MARKETS)})


def set_of_keys(broker: Broker, topic: str, partition: int) -> list:
    return list({message.key(): message for message in records(broker, topic, partition)}.values())


def test_very_uneven_partitions_are_merged_without_keeping_them(shared, topic, monkeypatch):
    monkeypatch.setattr(reader, "_MOST_AHEAD", 100)
    shared.create(topic, partitions=2)
    sink = opened(shared, topic)
    sink.resume()
    messages = [payload(line) for line in range(1, 5001)]
    lines = block(0, 5000, payloads=messages)
    sink.send(lines._replace(found=[("trade", "MUCH" if 2 < line < 4999 else "LITTLE") for line in range(1, 5001)]))
    assert all(records(shared, topic, number) for number in (0, 1))
    assert shown(sink.copies()) == expected(5000)


def test_messages_without_a_market_stay_in_one_partition(shared, topic):
    shared.create(topic, partitions=4)
    sink = opened(shared, topic)
    sink.resume()
    sink.send(block(0, 100)._replace(found=[("trade", "")] * 100))
    assert sorted(len(records(shared, topic, number)) for number in range(4)) == [0, 0, 0, 100]


def test_private_messages_are_in_a_topic_of_their_own(shared, topic):
    sink = opened(shared, topic)
    sink.resume()
    sink.send(block(0, 2))
    sink.send(block(2, 2, kind="fill"))
    sink.send(block(4, 2))
    assert [message.value() for message in records(shared, topic)] == [payload(line) for line in (1, 2, 5, 6)]
    assert len(records(shared, f"{topic}.private")) == 2
    found = list(sink.copies())
    assert [copied.line for copied in found] == [1, 2, 3, 4, 5, 6]
    assert found[2].where == f"topic {topic}.private, partition 0, offset 0"


def test_what_is_out_of_order_in_the_engine_is_shown_so(shared, topic):
    sink = opened(shared, topic)
    sink.resume()
    for start in (0, 20, 10):
        sink.send(block(start, 10))
    assert [copied.line for copied in sink.copies()] == [*range(1, 11), *range(21, 31), *range(11, 21)]


def test_copies_of_earlier_days_are_left_out(shared, topic):
    ship(sink := opened(shared, topic), 10, 10)
    assert len(list(sink.copies(DAY))) == 10
    assert list(sink.copies("2999-01-01")) == []


def test_messages_of_other_programs_are_no_copies(shared, topic):
    ship(sink := opened(shared, topic), 10, 10)
    other = Producer(shared.settings)
    other.produce(topic, b"x")
    other.produce(topic, b"x", headers=[("Ssmd-Line", b"x")])
    other.flush(DEADLINE)
    assert shown(sink.copies()) == expected(10)


def test_a_sink_that_is_closed_leaves_no_connection(shared, topic):
    ship(opened(shared, topic), 10, 10)
    _close_all()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        again = opened(shared, topic)
        again.resume()
        assert len(list(again.copies())) == 10
        again.close()
        again.close()
    del again
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_topic_that_has_lost_its_newest_messages_is_reported(own, partitions):
    own.create(TOPIC, partitions)
    ship(opened(own), 1000, 250)
    assert lost(own) == ""
    own.stop()
    own.forget([TOPIC], 2)
    own.start()
    assert f"behind line 1,000 of {DAY}, and the newest message is line 750 of {DAY}; `ssmd verify" in lost(own)


def test_a_topic_that_was_made_anew_has_lost_all_its_messages(shared, topic):
    ship(opened(shared, topic), 10, 10)
    shared.delete(topic)
    shared.create(topic)
    assert f"behind line 10 of {DAY}, and there is no message; `ssmd verify" in lost(shared, topic)


def lost(broker: Broker, topic: str | None = None, shard: Shard = WHOLE) -> str:
    sink = opened(broker, topic, shard)
    assert sink.resume() is not None
    return sink.lost


def test_what_the_newest_records_do_not_show_is_not_reported(shared, topic):
    one, two = opened(shared, topic, Shard(1, 2)), opened(shared, topic, Shard(2, 2))
    one.resume()
    two.resume()
    one.send(block(0, 10, shard="1of2"))
    two.send(block(0, 1000, shard="2of2"))
    assert opened(shared, topic, Shard(1, 2)).resume() == position(10, shard="1of2")
    assert lost(shared, topic, Shard(1, 2)) == ""


@pytest.mark.parametrize("more", [0, 10])
def test_what_was_removed_for_its_age_is_not_lost(shared, topic, more):
    ship(opened(shared, topic, Shard(1, 2)), 10, 10, "1of2")
    shared.empty(topic)
    if more:
        ship(opened(shared, topic, Shard(2, 2)), more, more, "2of2")
    assert lost(shared, topic, Shard(1, 2)) == ""


def test_of_nothing_there_are_no_copies(shared, topic):
    assert list(opened(shared, topic).copies()) == []


@pytest.mark.parametrize("point", ["middle", "before", "after"])
def test_a_relay_that_is_killed_again_and_again_ships_all_once(shared, topic, point):
    total, a_block, kills = 5000, 400, 5
    for _ in range(kills):
        killed(shared, topic, total, a_block, point)
    done = subprocess.run(capture_output=True, timeout=PATIENCE, **shipper(shared, topic, total, a_block, "none"))
    assert (done.returncode, done.stderr) == (0, b"")
    sink = opened(shared, topic)
    assert shown(sink.copies()) == expected(total)
    assert sink.resume() == position(total)


def shipper(broker: Broker, topic: str, total: int, a_block: int, point: str) -> dict[str, Any]:
    """Return how to start a process that ships, and stops at a point of its second block."""
    arguments = [sys.executable, str(SHIPPER), broker.url, topic, str(total), str(a_block), point, "2"]
    return {"args": arguments, "env": os.environ | {"PYTHONPATH": f"{ROOT}:{SHIPPER.parent}"}}


def piped(broker: Broker, topic: str, total: int, a_block: int, point: str) -> subprocess.Popen[bytes]:
    how = shipper(broker, topic, total, a_block, point)
    return subprocess.Popen(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


def killed(broker: Broker, topic: str, total: int, a_block: int, point: str) -> None:
    with piped(broker, topic, total, a_block, point) as process:
        said = [process.stdout.readline(), process.stdout.readline()]
        process.kill()
        assert (said, process.stderr.read()) == ([b"ready\n", b"stopped\n"], b"")


def test_a_second_relay_ends_the_first_ones_writing(shared, topic):
    first, second = opened(shared, topic), opened(shared, topic)
    ship(first, 100, 100)
    assert second.resume() == position(100)
    with pytest.raises(EngineFenced, match="another relay ships this feed"):
        first.send(block(100, 10))
    second.send(block(100, 10))
    assert shown(second.copies()) == expected(110)


def test_a_relay_is_fenced_in_the_middle_of_a_block(shared, topic):
    total, a_block = 1000, 100
    with piped(shared, topic, total, a_block, "before") as process:
        assert [process.stdout.readline(), process.stdout.readline()] == [b"ready\n", b"stopped\n"]
        second = opened(shared, topic)
        assert second.resume() == position(a_block)
        process.stdin.close()  # It goes on, and commits.
        assert b"EngineFenced" in process.stderr.read()
    ship(second, total, a_block)
    assert shown(second.copies()) == expected(total)


def test_two_shards_share_a_topic(shared, topic):
    shards = [Shard(1, 2), Shard(2, 2)]
    sinks = [opened(shared, topic, shard) for shard in shards]
    for ours, shard in zip(sinks, shards, strict=True):
        assert ours.resume() is None
        ours.send(block(0, 50, shard=shard.label))
    for ours, shard in zip(sinks, shards, strict=True):
        ours.send(block(50, 50, shard=shard.label))
    for shard in shards:
        again = opened(shared, topic, shard)
        assert shown(again.copies()) == expected(100)
        assert again.resume() == position(100, shard=shard.label)


def test_the_open_transaction_of_another_shard_hides_no_position(shared, topic, monkeypatch):
    one, two = Shard(1, 2), Shard(2, 2)
    ship(sink := opened(shared, topic, one), 0, 1)
    other = Producer(shared.settings | {"transactional.id": f"ssmd-{topic}-{two.stem(FEED)}"})
    other.init_transactions(DEADLINE)
    other.begin_transaction()
    other.produce(f"{topic}.position", position(1, shard=two.label).encode(), two.stem(FEED), 0)
    other.flush(DEADLINE)
    sink.send(block(0, 10, shard=one.label))  # Committed, but behind the beginning of the open one.
    monkeypatch.setattr(reader, "_STALL_SECONDS", 0.5)
    with pytest.raises(EngineError, match=r"cannot read .*\.position to its end"):
        opened(shared, topic, one).resume()

    class Waiting(Consumer):
        def poll(self, seconds):
            message = super().poll(seconds)
            if message is not None and message.error() is not None and message.offset() == 0:
                other.commit_transaction(DEADLINE)
            return message

    monkeypatch.setattr(reader, "Consumer", Waiting)
    assert opened(shared, topic, one).resume() == position(10, shard=one.label)


def test_the_position_is_found_behind_many_of_another_shard(shared, topic, monkeypatch):
    from ssmd.shipping.kafka import copies

    monkeypatch.setattr(copies, "_LOOKS", (2, 5))
    one, two = opened(shared, topic, Shard(1, 2)), opened(shared, topic, Shard(2, 2))
    one.resume()
    two.resume()
    one.send(block(0, 10, shard="1of2"))
    for done in range(20):
        two.send(block(done, 1, shard="2of2"))
    assert opened(shared, topic, Shard(1, 2)).resume() == position(10, shard="1of2")


def test_a_topic_with_another_feed_is_refused(shared, topic):
    ship(opened(shared, topic), 10, 10)
    with pytest.raises(EngineMismatch, match=f"has the feed kalshi in the topic {topic}, and this is the feed binance"):
        opened(shared, topic, feed="binance").resume()


def test_a_topic_that_has_something_else_in_place_of_positions_is_refused(shared, topic):
    ship(opened(shared, topic), 10, 10)
    other = Producer(shared.settings)
    other.produce(f"{topic}.position", b"x", b"y", 0)
    other.flush(DEADLINE)
    with pytest.raises(EngineMismatch, match=rf"no position in the topic {topic}.position, at offset 2"):
        opened(shared, topic).resume()


def test_positions_without_their_topic_are_refused(shared, topic):
    ship(opened(shared, topic), 10, 10)
    shared.delete(topic)
    again = opened(shared, topic)
    with pytest.raises(EngineMismatch, match=f"no topic {topic}; to begin again, delete {topic}.position too"):
        again.resume()
    with pytest.raises(EngineMismatch, match=f"no topic {topic}"):
        again.check()
    with pytest.raises(EngineError, match="only after resume"):
        again.send(block(10, 10))


def test_a_topic_that_is_deleted_while_a_relay_ships_ends_it(shared, topic, monkeypatch):
    monkeypatch.setattr(sink, "_SEND_SECONDS", 3.0)
    ship(shipping := opened(shared, topic), 10, 10)
    shared.delete(f"{topic}.position")
    with pytest.raises(EngineError, match=f"cannot ship to {topic}"):
        shipping.send(block(10, 10))
    assert shipping.resume() is None
    assert shown(shipping.copies()) == expected(10)


@pytest.mark.parametrize("limit", ["10000", "1048588"])
def test_too_large_a_message_is_named(shared, topic, limit):
    shared.create(topic, max_message_bytes=limit)
    ship(shipping := opened(shared, topic), 100, 50)
    long = Random(1).randbytes(int(limit) + 1)
    with pytest.raises(EngineMismatch) as raised:
        shipping.send(block(100, 3, payloads=[payload(101), long, payload(103)]))
    assert str(raised.value) == (
        f"line 102 of {DAY}/kalshi.jsonl has a message of {len(long):,} bytes, and the topic {topic} takes "
        f"{int(limit):,} at most; raise its setting max.message.bytes"
    )
    assert shipping.resume() == position(100)
    ship(shipping, 200, 50)
    assert shown(shipping.copies()) == expected(200)


def test_a_message_that_no_broker_takes_is_named(shared, topic, monkeypatch):
    monkeypatch.setattr(sink, "_LARGEST", 2_000_000)
    shipping = opened(shared, topic)
    shipping.resume()
    with pytest.raises(EngineMismatch, match=r"line 2 of .* has a message of 2,000,001 bytes"):
        shipping.send(block(0, 2, payloads=[payload(1), bytes(2_000_001)]))
    assert list(shipping.copies()) == []


def test_small_batches_for_a_topic_with_a_small_limit(shared, topic):
    shared.create(topic, max_message_bytes="10000")
    lines = [Random(line).randbytes(1000) for line in range(100)]
    shipping = opened(shared, topic)
    shipping.resume()
    shipping.send(block(0, 100, payloads=lines))
    assert [copied.payload for copied in shipping.copies()] == lines


def test_a_full_block_is_one_transaction(shared, topic):
    shipping = opened(shared, topic)
    shipping.resume()
    shipping.send(block(0, KafkaSink.most_lines))
    assert shown(shipping.copies()) == expected(KafkaSink.most_lines)


def test_what_is_to_be_known_about_the_topics(shared, topic):
    shared.create(topic, retention_ms="60000")
    found = opened(shared, topic).check()
    assert len(found) == 3
    assert f"the topic {topic} keeps messages for 0.0 hours only" in found[0]
    assert f"topic {topic} is on one broker only" in found[1]
    assert found[2].startswith(f"there is no topic {topic}.position yet, and it will be created")
    assert shared.admin().list_topics(timeout=DEADLINE).topics.get(f"{topic}.position") is None


def test_the_topic_of_the_positions_is_compacted(shared, topic):
    shipping = opened(shared, topic)
    shipping.resume()
    assert shipping.topics.settings(f"{topic}.position")["cleanup.policy"] == "compact"
    assert all("one broker only" in warning for warning in shipping.check())


def test_a_broker_that_is_frozen_for_four_seconds_delays_a_block(own):
    shipping = opened(own)
    shipping.resume()
    shipping.send(block(0, 100))
    with own.frozen_for(4):
        shipping.send(block(100, 100))
    assert shown(shipping.copies()) == expected(200)


def test_a_broker_that_stays_frozen_ends_the_wait(own, monkeypatch):
    monkeypatch.setattr(sink, "_SEND_SECONDS", 1.0)
    monkeypatch.setattr(client, "CONNECT_SECONDS", 1.0)
    shipping = opened(own)
    ship(shipping, 100, 100)
    own.freeze()
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"cannot ship to prod\.kalshi"):
        shipping.send(block(100, 100))
    with pytest.raises(EngineError, match=r"cannot ask for the topic prod\.kalshi"):
        opened(own)
    shipping.close()
    assert time.monotonic() - began < 30  # The library's own time-outs are a minute and longer.
    own.thaw()
    monkeypatch.undo()
    again = opened(own)
    ship(again, 200, 100)
    assert shown(again.copies()) == expected(200)


@pytest.mark.parametrize("when", ["between", "within"])
def test_a_broker_that_is_killed_and_started_again(own, when, monkeypatch, capfd):
    monkeypatch.setattr(sink, "_SEND_SECONDS", 3.0)
    shipping = opened(own)
    ship(shipping, 100, 100)

    class Killing(Producer):
        def commit_transaction(self, *seconds):
            monkeypatch.setattr(sink, "Producer", Producer)
            own.kill()
            own.start()
            super().commit_transaction(*seconds)

    if when == "within":
        monkeypatch.setattr(sink, "Producer", Killing)
        shipping.resume()
    else:
        own.kill()
        own.start()
    with contextlib.suppress(EngineError):  # This broker, unlike Kafka, forgets open transactions with its memory.
        shipping.send(block(100, 100))
    again = opened(own)
    ship(again, 300, 100)
    assert shown(again.copies()) == expected(300)
    assert capfd.readouterr().err == ""  # The library writes a log of its own, unless it is kept from that.


def test_an_attempt_that_fails_leaves_no_connection(own, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.5)
    own.kill()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with contextlib.suppress(EngineError):
            opened(own)
    assert len(os.listdir("/proc/self/fd")) == before
    own.start()


def test_a_broker_that_is_not_there(own, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 1.0)
    own.kill()
    with pytest.raises(EngineError, match=rf"kafka at 127.0.0.1:{own.port}: .*Connection refused"):
        opened(own)
    own.start()


def test_a_host_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 1.0)
    transport = Kafka(KafkaConfig(type="kafka", url="kafka://no-such-host.invalid:9092"), ENVIRONMENT, "conf")
    with pytest.raises(EngineError, match=r"no-such-host\.invalid"):
        transport.open(FEED, WHOLE, {})


@contextlib.contextmanager
def front(broker: Broker, pem: Path | str = "", keys: Mapping[str, str] = NO_KEYS) -> Iterator[str]:
    """Put TLS before the broker, or a check of passwords; yield the address."""
    arguments = [sys.executable, str(FRONT), str(broker.port), str(pem), keys.get("user", ""), keys.get("password", "")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def connected(url: str, keys: Mapping[str, str] = NO_KEYS, **more: Any) -> KafkaSink:
    found = Kafka(KafkaConfig(type="kafka", url=url, **more), ENVIRONMENT, "conf").open(FEED, WHOLE, keys)
    assert isinstance(found, KafkaSink)
    OPENED.append(found)
    return found


def test_a_cluster_of_three(topic, monkeypatch):
    """librdkafka has a cluster of its own for tests, which makes a topic when a producer asks for it."""
    inside = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "none", "log_level": 0})
    for name in (topic, f"{topic}.position"):
        end = time.monotonic() + DEADLINE
        while not (found := inside.list_topics(name, timeout=DEADLINE)).topics[name].partitions:
            assert time.monotonic() < end
    assert len(found.brokers) == 3
    assert len(found.topics[name].partitions) > 1
    monkeypatch.setattr(client, "CONNECT_SECONDS", 2.0)  # It never answers when it is asked for settings.
    url = "kafka://" + ",".join(f"{broker.host}:{broker.port}" for broker in found.brokers.values())
    ship(connected(url, topic=topic), 3000, 1000)
    again = connected(url, topic=topic)
    assert again.resume() == position(3000)
    assert shown(again.copies()) == expected(3000)


def test_a_user_and_a_password(shared, topic):
    with front(shared, keys=KEYS) as address:
        ship(shipping := connected(f"kafka://{address}", KEYS, topic=topic), 10, 10)
        assert shown(shipping.copies()) == expected(10)
        assert "the password goes to the brokers as plain text" in shipping.check()[0]
        began = time.monotonic()
        with pytest.raises(EngineAuthError, match=r"the broker refuses the user or the password: .*failed") as raised:
            connected(f"kafka://{address}", KEYS | {"password": "another password"}, topic=topic)
        assert "another password" not in str(raised.value)
        assert time.monotonic() - began < 30


def test_tls(shared, topic, authority, pem, monkeypatch):
    with front(shared, pem) as address:
        ship(shipping := connected(f"kafka+ssl://{address}", topic=topic, ca_file=str(authority.path)), 10, 10)
        assert shown(shipping.copies()) == expected(10)
        monkeypatch.setattr(client, "CONNECT_SECONDS", 2.0)
        with pytest.raises(EngineError, match="no authority that is trusted has signed it; name its"):
            connected(f"kafka+ssl://{address}", topic=topic)
        with pytest.raises(EngineError, match=rf"kafka at {address}: cannot ask for the topic"):
            connected(f"kafka://{address}", topic=topic)


def test_tls_with_a_user_and_a_password(shared, topic, authority, pem):
    with front(shared, pem, KEYS) as address:
        more = {"topic": topic, "ca_file": str(authority.path)}
        ship(shipping := connected(f"kafka+ssl://{address}", KEYS, **more), 10, 10)
        assert not any("the password goes" in warning for warning in shipping.check())
        with pytest.raises(EngineAuthError):
            connected(f"kafka+ssl://{address}", KEYS | {"user": "nobody"}, **more)


def test_a_broker_without_tls_that_is_asked_for_it(shared, topic, authority, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 2.0)
    with pytest.raises(EngineError, match=r"SSL (handshake failed|connection closed)"):
        connected(f"kafka+ssl://127.0.0.1:{shared.port}", topic=topic, ca_file=str(authority.path))


def test_a_file_of_authorities_that_is_not_there(tmp_path):
    config = KafkaConfig(type="kafka", url="kafka+ssl://127.0.0.1:1", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match=r"transport.ca_file: cannot read .*none.pem: No such file"):
        Kafka(config, ENVIRONMENT, "conf").open(FEED, WHOLE, {})


def test_a_transaction_that_outlived_itself_is_no_other_relay(shared, topic, monkeypatch):
    """To the producer it looks the same when the brokers have ended its transaction."""
    first, second = opened(shared, topic), opened(shared, topic)
    ship(first, 10, 10)
    second.resume()
    monkeypatch.setattr(sink, "_TIME_OUT_MS", 0)
    with pytest.raises(EngineError, match="and the brokers ended it") as raised:
        first.send(block(10, 10))
    assert raised.type is EngineError
    monkeypatch.undo()
    assert first.resume() == position(10)
