"""The sink of MQTT, with Mosquitto as a process of its own: nothing is missing, and some messages come twice."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gevent
import pytest
from engine_blocks import DAY, FEED, TS, block, market, payload, position, ship
from exchange_server import Authority
from house import ROOT
from mqtt_broker import Consumer, MqttBroker

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Position
from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineFenced, EngineMismatch
from ssmd.shipping.mqtt import connection
from ssmd.shipping.mqtt.sink import MqttSink
from ssmd.shipping.mqtt.transport import Mqtt, MqttConfig

pytestmark = pytest.mark.needs("mosquitto")

SHIPPER = Path(__file__).with_name("mqtt_shipper.py")
OPENED: list[MqttSink] = []
KEYS = {"user": "relay", "password": "a long password"}


@pytest.fixture(autouse=True)
def _closed(monkeypatch):
    monkeypatch.setattr(connection, "_RETAINED_SECONDS", 0.5)  # Mosquitto sends what is retained at once.
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def start(tmp_path):
    """A function that starts a broker, with further lines of its configuration."""
    started: list[MqttBroker] = []

    def start(*more, scheme="mqtt"):
        started.append(MqttBroker(tmp_path / f"mosquitto-{len(started)}", *more, scheme=scheme))
        return started[-1]

    yield start
    for broker in started:
        broker.thaw()
        broker.kill()


@pytest.fixture
def broker(start):
    return start()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def opened(broker: MqttBroker, shard: Shard = WHOLE, keys: dict[str, str] | None = None, **more: Any) -> MqttSink:
    transport = Mqtt(MqttConfig(type="mqtt", url=broker.url, **more), "prod", "conf")
    found = transport.open(FEED, shard, keys or {})
    assert isinstance(found, MqttSink)
    OPENED.append(found)
    return found


def test_what_a_consumer_gets(broker):
    consumer = Consumer(broker)
    sink = opened(broker)
    assert sink.resume() is None
    sink.send(block(0, 3))
    consumer.wait_for(3)
    first = consumer.got[0]
    assert (first.topic, first.payload) == ("prod/kalshi/json/trade/KXBTC-26NOV28-B1.5", payload(1))
    assert (first.qos, first.retain) == (1, False)
    assert consumer.facts(first) == {"Ssmd-Ts": TS, "Ssmd-Line": f"{DAY}/kalshi/1", "Ssmd-Session": "session-1"}
    assert consumer.lines == [1, 2, 3]
    assert Position.decode(consumer.wait_for_position()) == position(3)


def test_a_relay_that_starts_again_goes_on_where_it_was(broker):
    consumer = Consumer(broker)
    ship(opened(broker), 2000, 700)
    again = opened(broker)
    assert again.resume() == position(2000)
    ship(again, 2500, 700)
    consumer.wait_for(2500)
    assert consumer.lines == list(range(1, 2501))


def test_another_prefix_and_messages_that_are_private(broker):
    consumer = Consumer(broker)
    sink = opened(broker, subject_prefix="a/b")
    sink.resume()
    sink.send(block(0, 1, kind="fill"))
    consumer.wait_for(1)
    assert consumer.got[0].topic == f"a/b/private/fill/{market(1)}"


def test_two_shards_have_positions_of_their_own(broker):
    shards = [Shard(1, 2), Shard(2, 2)]
    for shard, count in zip(shards, (10, 20), strict=True):
        sink = opened(broker, shard)
        assert sink.resume() is None
        sink.send(block(0, count, shard=shard.label))
    assert [opened(broker, shard).resume() for shard in shards] == [
        position(10, shard="1of2"), position(20, shard="2of2")
    ]  # fmt: skip


def test_a_relay_that_is_killed_again_and_again_misses_nothing(broker):
    consumer = Consumer(broker)
    acknowledged = 0
    environ = os.environ | {"PYTHONPATH": f"{ROOT}:{SHIPPER.parent}"}
    arguments = [sys.executable, str(SHIPPER), broker.url, "500"]
    for blocks in range(1, 6):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
            for _ in range(blocks):
                said = process.stdout.readline()
            process.kill()
            acknowledged = int(([said, *process.stdout.read().split()])[-1])
            assert process.stderr.read() == b""
    sink = opened(broker)
    assert sink.resume().line >= acknowledged
    ship(sink, acknowledged + 1000, 500)
    consumer.wait_for(acknowledged + 1000)
    assert sorted(set(consumer.lines)) == list(range(1, acknowledged + 1001))


def test_a_broker_that_is_frozen_delays_a_block(broker):
    consumer = Consumer(broker)
    sink = opened(broker)
    sink.resume()
    broker.freeze()
    waking = subprocess.Popen(["sh", "-c", f"sleep 4; kill -CONT {broker.pid}"])
    sink.send(block(0, 100))
    assert waking.wait() == 0
    consumer.wait_for(100)
    assert consumer.lines == list(range(1, 101))


def test_a_broker_that_stays_frozen_ends_the_wait(broker, monkeypatch):
    monkeypatch.setattr(connection, "_ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 1.0)
    consumer = Consumer(broker)
    ship(sink := opened(broker), 100, 100)
    broker.freeze()
    began = time.monotonic()
    with pytest.raises(EngineError, match="cannot ship: the broker has not answered for 1 s"):
        sink.send(block(100, 100))
    with pytest.raises(EngineError, match=r"cannot connect: the broker has not answered for 1 s"):
        opened(broker)
    sink.close()
    assert time.monotonic() - began < 30
    broker.thaw()
    ship(opened(broker), 200, 100)
    consumer.wait_for(200)
    assert sorted(set(consumer.lines)) == list(range(1, 201))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_is_started_again_misses_nothing(broker, end):
    consumer = Consumer(broker)
    sink = opened(broker)
    ship(sink, 1000, 500)
    getattr(broker, end)()
    broker.start()
    with pytest.raises(EngineError):
        sink.send(block(1000, 500))
    with pytest.raises(EngineError, match="only after resume"):
        sink.send(block(1500, 500))
    consumer.connect()
    again = opened(broker)
    assert again.resume().line in (500, 1000)
    ship(again, 2000, 500)
    consumer.wait_for(2000)
    assert sorted(set(consumer.lines)) == list(range(1, 2001))


def test_a_broker_that_is_killed_while_a_relay_ships(broker):
    consumer = Consumer(broker)
    environ = os.environ | {"PYTHONPATH": f"{ROOT}:{SHIPPER.parent}"}
    arguments = [sys.executable, str(SHIPPER), broker.url, "500"]
    for _ in range(3):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
            # The second block makes the broker save the position of the first.
            assert [process.stdout.readline(), process.stdout.readline()][1]
            broker.kill()
            assert b"EngineError: mqtt at 127.0.0.1" in process.stderr.read()
        broker.start()
        consumer.connect()
    sink = opened(broker)
    done = sink.resume().line
    ship(sink, done + 500, 500)
    consumer.wait_for(done + 500)
    assert set(range(1, done + 501)) <= set(consumer.lines)


def test_a_second_relay_ends_the_first_ones_connection(broker):
    first, second = opened(broker), opened(broker)
    ship(first, 10, 10)
    assert second.resume() == position(10)
    with pytest.raises(EngineError, match="cannot ship: "):
        first.send(block(10, 10))
    second.send(block(10, 10))


def test_a_check_does_not_disturb_the_relay(broker):
    ship(sink := opened(broker), 10, 10)
    assert opened(broker).check() == []
    sink.send(block(10, 10))


def test_a_sink_that_is_closed_leaves_no_connection(broker):
    ship(opened(broker), 10, 10)
    OPENED.pop().close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        again = opened(broker)
        again.resume()
        again.close()
        again.close()
    del again
    OPENED.clear()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_attempt_that_fails_leaves_no_connection(start, tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, KEYS["user"], KEYS["password"]], check=True)
    broker = start("allow_anonymous false", f"password_file {passwords}")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with contextlib.suppress(EngineAuthError):
            opened(broker)
    broker.kill()
    for _ in range(3):
        with contextlib.suppress(EngineError):
            opened(broker)
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_feed_under_the_same_prefix(broker):
    ship(opened(broker, subject_prefix="p"), 10, 10)
    consumer = opened(broker, subject_prefix="p")
    connected = consumer._connection
    connected.publish("p/$position/kalshi", position(1, feed="binance").encode(), retain=True)
    connected.flush()
    with pytest.raises(EngineMismatch, match=r"mqtt has the position of binance .*p/\$position/kalshi"):
        opened(broker, subject_prefix="p").resume()
    connected.publish("p/$position/kalshi", b"x", retain=True)
    connected.flush()
    with pytest.raises(EngineMismatch, match="mqtt has no position in the topic"):
        opened(broker, subject_prefix="p").resume()


def test_too_large_a_message_is_named(start):
    broker = start("max_packet_size 20000")
    sink = opened(broker)
    (warning,) = sink.check()
    assert "the broker takes 20,000 bytes in one packet at most" in warning
    ship(sink, 100, 50)
    with pytest.raises(EngineMismatch) as raised:
        sink.send(block(100, 3, payloads=[payload(101), bytes(20_000), payload(103)]))
    said = str(raised.value).replace(" which makes", "|").replace(" with its topic and properties", "|")
    before, size, after = said.split("|")
    assert before == f"line 102 of {DAY}/kalshi.jsonl has a message of 20,000 bytes,"
    assert after == ", and the broker takes 20,000 at most; raise its limit, in mosquitto max_packet_size"
    fits = 40_000 - int(size.replace(",", ""))
    assert sink.resume() == position(100)
    with pytest.raises(EngineMismatch, match="which makes 20,001 with its topic and properties"):
        sink.send(block(100, 3, payloads=[payload(101), bytes(fits + 1), payload(103)]))
    sink.resume()
    sink.send(block(100, 3, payloads=[payload(101), bytes(fits), payload(103)]))


def test_a_user_and_a_password(start, tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, KEYS["user"], KEYS["password"]], check=True)
    broker = start("allow_anonymous false", f"password_file {passwords}")
    ship(sink := opened(broker, keys=KEYS), 10, 10)
    assert sink.check() == ["the password goes to the broker as plain text; write `mqtts://` in `transport.url`"]
    for keys in ({}, KEYS | {"password": "another password"}):
        with pytest.raises(EngineAuthError, match="the broker refuses") as raised:
            opened(broker, keys=keys)
        assert "another password" not in str(raised.value)


def test_a_user_who_may_not_publish(start, tmp_path):
    rights = tmp_path / "rights"
    rights.write_text("topic read #\n")
    broker = start(f"acl_file {rights}")
    sink = opened(broker)
    sink.resume()
    with pytest.raises(EngineAuthError, match="cannot ship: the broker refuses this user"):
        sink.send(block(0, 10))


def test_tls(start, tmp_path, authority):
    authority.context("127.0.0.1")
    pem = tmp_path / "127.0.0.1.pem"
    broker = start(f"certfile {pem}", f"keyfile {pem}", scheme="mqtts")
    ship(opened(broker, ca_file=str(authority.path)), 10, 10)
    with pytest.raises(EngineError, match="the broker's certificate: "):
        opened(broker)
    broker.url = broker.url.replace("mqtts:", "mqtt:")
    with pytest.raises(EngineError, match="cannot connect"):
        opened(broker)


def test_a_broker_without_tls_is_asked_for_it(broker, authority):
    broker.url = broker.url.replace("mqtt:", "mqtts:")
    with pytest.raises(EngineError, match="cannot connect"):
        opened(broker, ca_file=str(authority.path))


def test_authorities_that_cannot_be_read(broker, tmp_path):
    broker.url = broker.url.replace("mqtt:", "mqtts:")
    with pytest.raises(ConfigError, match=r"transport.ca_file: cannot read .*none: No such file"):
        opened(broker, ca_file=str(tmp_path / "none"))
    (tmp_path / "empty").write_text("x")
    with pytest.raises(ConfigError, match=r"transport.ca_file: .*empty has no certificates"):
        opened(broker, ca_file=str(tmp_path / "empty"))


def test_a_broker_that_is_not_there(broker):
    broker.kill()
    with pytest.raises(EngineError, match=rf"mqtt at 127.0.0.1:{broker.port}: cannot connect: Connection refused"):
        opened(broker)


def test_a_broker_that_cannot_keep_the_position(start):
    broker = start("retain_available false")
    with pytest.raises(EngineError, match="the broker has no retained messages"):
        opened(broker).check()


def test_the_copy_cannot_be_read_back(broker):
    with pytest.raises(EngineError, match="keeps no messages that could be read back"):
        opened(broker).copies()


CONNECTED = b"\x20\x03\x00\x00\x00"


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"\x20\x02\x00\x01", EngineError, "cannot connect: the broker does not know MQTT 5"),
        (b"\x20\x03\x00\x84\x00", EngineError, "cannot connect: the broker does not know MQTT 5"),
        (b"\x20\x03\x00\x88\x00", EngineError, "cannot connect: the broker refuses it: Server unavailable"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", EngineError, "cannot connect: the broker has not answered for 1 s"),
        (CONNECTED + b"\xe0\x01\x8e", EngineFenced, "cannot ship: another relay ships this feed"),
        (CONNECTED + b"\xe0\x01\x93", EngineError, "cannot ship: the broker refuses it: Receive maximum exceeded"),
        (CONNECTED + b"\xe0\x01\x95", EngineMismatch, "line 1 of .* bytes, and the broker does not take that many"),
        (CONNECTED, EngineError, "cannot ship: the connection is lost"),
    ],
)
def test_what_other_brokers_answer(answer, error, said, monkeypatch):
    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(answer)
            if answer[:4] == b"HTTP":
                peer.recv(1000)

    def ship_one() -> None:
        transport = Mqtt(MqttConfig(type="mqtt", url=f"mqtt://127.0.0.1:{port}"), "prod", "conf")
        sink: Any = transport.open(FEED, WHOLE, {})
        sink._resumed = True
        sink.send(block(0, 1))

    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = gevent.spawn(serve)
        with pytest.raises(error, match=said):
            ship_one()
        serving.kill()
