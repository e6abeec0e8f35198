"""docs/shipping.md: its commands and its programs are run as they are, with real servers. Only the ports are others."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka_broker import Broker
from mqtt_broker import MqttBroker
from nats_server import NatsServer
from patience import PATIENCE
from process import ROOT, Probed

from ssmd.store.line import decode_line

PAGE = (ROOT / "docs" / "shipping.md").read_text()
TREE = "try/conf"


def blocks(language: str, heading: str = "") -> list[str]:
    """Return the blocks of code in this language, of the page or of one of its chapters."""
    _, _, text = PAGE.rpartition(f"\n{heading}\n") if heading else ("", "", PAGE)
    level = heading.split()[0] if heading else "#"
    text = re.split(rf"^{level} ", text, flags=re.MULTILINE)[0] if heading else text
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a reader has: bin/ssmd, and the metadata in conf/."""
    (tmp_path / "try").mkdir()
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    program = tmp_path / "bin" / "ssmd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m ssmd "$@"\n')
    program.chmod(0o755)
    return tmp_path


def environ() -> dict[str, str]:
    # Nothing needs a temporary file.
    return os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": "/nonexistent"}


def run(checkout: Path, *command: str) -> str:
    """Run a command to its end, which must be a success; return what it printed."""
    done = subprocess.run(
        command, cwd=checkout, env=environ(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def collector(checkout: Path) -> Probed:
    """Start the command of the page that collects, with probes on a free port."""
    command = f"    bin/ssmd run kalshi-sim --config-dir {TREE}\n"
    assert command in PAGE
    return Probed(*command.split()[1:], "--listen", "127.0.0.1:0", cwd=checkout, TMPDIR="/nonexistent")


def wait_until_shipped(collector: Probed, messages: int = 100) -> None:
    """Wait until so many messages are in the engine: there are trades among them."""
    collector.start_up()
    until = time.monotonic() + PATIENCE
    while ((json.loads(collector.get("/status")[1])["shipping"] or {}).get("messages") or 0) < messages:
        assert time.monotonic() < until
        time.sleep(0.1)


def assert_shown(checkout: Path, printed: str) -> None:
    """What a consumer printed are the first trades on the disk: receipt, line and message."""
    shown = [line.split(" ", 2) for line in printed.splitlines()]
    [file] = checkout.glob("data/*/kalshi-sim.jsonl")
    trades = list(numbered_trades(file))
    assert len(shown) == 3
    for (ts, place, message), (number, line) in zip(shown, trades, strict=False):
        assert place == f"{file.parent.name}/kalshi-sim/{number}"
        assert json.loads(line)["ts"] == ts
        assert message.encode() == decode_line(line).payload


def numbered_trades(file: Path) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True), 1):
        if b'"type":"trade"' in line:
            yield number, line


def consume(checkout: Path, code: str) -> str:
    return run(checkout, sys.executable, "-W", "error", "-c", code)


def test_every_program_of_the_page_is_run_here():
    consumers = [f"### {engine}" for engine in ("NATS", "Kafka", "MQTT")]
    assert len(blocks("python")) == len(blocks("python", "## Try it")) + sum(
        len(blocks("python", heading)) for heading in consumers
    )
    assert len(blocks("sh")) == len(blocks("sh", "## Try it")) == 1
    for heading in consumers:
        [code] = blocks("python", heading)
        assert len(list(filter(None, code.splitlines()))) <= 13


def write_transport(checkout: Path, text: str) -> None:
    """Let the environment kalshi-sim, in a copy of the tree, ship."""
    shutil.copytree(checkout / "conf", checkout / TREE)
    with (checkout / TREE / "environments" / "kalshi-sim.yaml").open("a") as file:
        file.write(text)


def test_the_first_try_with_nats(checkout):
    """From an empty server to trades that a consumer prints, and a stream that is compared with the files."""
    server = NatsServer(checkout / "server")

    def on_its_port(code: str) -> str:
        assert "127.0.0.1:4222" in code
        return code.replace("127.0.0.1:4222", f"127.0.0.1:{server.port}")

    try:
        [stream] = blocks("python", "## Try it")
        consume(checkout, on_its_port(stream))
        [name_and_check] = blocks("sh", "## Try it")
        printed = run(checkout, "sh", "-e", "-c", on_its_port(name_and_check))
        assert printed == "ok: kalshi-sim can be shipped to nats\n"
        with collector(checkout) as process:
            wait_until_shipped(process)
            [code] = blocks("python", "### NATS")
            assert_shown(checkout, consume(checkout, on_its_port(code)))
            verify = f"    bin/ssmd verify --engine kalshi-sim --config-dir {TREE}\n"
            assert verify in PAGE
            run(checkout, *verify.split())
    finally:
        server.kill()


def test_a_consumer_of_kafka(checkout):
    broker = Broker(checkout / "broker")
    try:
        [code] = blocks("python", "### Kafka")
        assert "127.0.0.1:9092" in code
        write_transport(checkout, f"transport: {{type: kafka, url: '{broker.url}'}}\n")
        with collector(checkout) as process:
            wait_until_shipped(process)
            printed = consume(checkout, code.replace("127.0.0.1:9092", f"127.0.0.1:{broker.port}"))
        assert_shown(checkout, printed)
    finally:
        broker.kill()


@pytest.mark.needs("mosquitto")
def test_a_consumer_of_mqtt(checkout):
    broker = MqttBroker(checkout / "broker", "log_type all")
    try:
        [code] = blocks("python", "### MQTT")
        assert '"127.0.0.1", 1883' in code
        write_transport(checkout, f"transport: {{type: mqtt, url: '{broker.url}'}}\n")
        command = [sys.executable, "-W", "error", "-c", code.replace("1883", str(broker.port))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as consumer:
            until = time.monotonic() + PATIENCE
            while "Sending SUBACK" not in (checkout / "broker" / "mosquitto.log").read_text():
                assert time.monotonic() < until
                time.sleep(0.05)
            with collector(checkout) as process:
                process.start_up()
                printed, _ = consumer.communicate(timeout=PATIENCE)
        assert consumer.returncode == 0
        assert_shown(checkout, printed)
    finally:
        broker.kill()
