"""`ssmd ship` with a server that asks for a password: who gets which keys, and what is said when they are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats_server import NatsServer
from process import KEYS, Collector, Simulator, ssmd
from ship_runs import relay_below, wait_until

USER, PASSWORD = "relay", "correct-horse-battery"
LOGIN = f"authorization {{ users: [{{user: {USER}, password: '{PASSWORD}'}}] }}"
RIGHT = {"NATS_USER": USER, "NATS_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats") / "server", LOGIN, user=USER, password=PASSWORD)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def simulator():
    with Simulator("--rate", "500") as simulator:
        yield simulator


@pytest.fixture
def environment(server, request) -> str:
    """An environment that ships to a stream of its own."""
    stream = re.sub(r"\W|_", "-", request.node.name)[-30:].strip("-")
    server.create(stream, subjects=[f"{stream}.>"])
    return f"""\
keys:
  exchange: {{type: api_key, fields: [api_key, api_secret], source: 'env:KALSHI_API_KEY,KALSHI_API_SECRET'}}
  engine: {{type: nats, fields: [user, password], source: 'env:NATS_USER,NATS_PASSWORD'}}
transport: {{type: nats, url: {server.url}, stream: {stream}, subject_prefix: {stream}}}
"""


def collecting(folder: Path, simulator: Simulator, environment: str, **variables: str) -> Collector:
    return Collector(folder, simulator.endpoint, environment=environment, variables=variables)


def shipping(collector: Collector) -> dict[str, Any]:
    return json.loads(collector.get("/status")[1])["shipping"] or {}


def test_the_relay_gets_the_keys_of_its_engine_and_no_others(tmp_path, simulator, environment):
    with collecting(tmp_path, simulator, environment, **RIGHT) as collector:
        collector.start_up()
        wait_until(lambda: shipping(collector).get("messages"))
        variables = Path(f"/proc/{relay_below(collector.process.pid)}/environ").read_bytes().split(b"\0")
        assert {b"SSMD_KEY_USER=relay", f"SSMD_KEY_PASSWORD={PASSWORD}".encode()} < set(variables)
        assert not [each for each in variables if each.startswith((b"SSMD_KEY_API", b"KALSHI", b"NATS"))]
        assert not [each for each in variables if any(secret.encode() in each for secret in KEYS.values())]
        assert collector.end() == 0
    ended = ssmd("ship", "test", "--config-dir", tmp_path / "conf", "--once", **RIGHT)
    assert ended.returncode == 0
    ended = ssmd("verify", "--engine", "test", "--config-dir", tmp_path / "conf", **RIGHT)
    assert ended.returncode == 0, ended.stdout


def test_a_wrong_password_ends_the_relay_and_not_the_collection(tmp_path, simulator, environment):
    wrong = RIGHT | {"NATS_PASSWORD": "wrong-horse-battery"}
    with collecting(tmp_path, simulator, environment, **wrong) as collector:
        collector.start_up()
        collector.wait_for("companion is not started again before a reload")
        [state] = [each for each in json.loads(collector.get("/status")[1])["companions"] if each["name"] == "ship"]
        assert (state["up"], state["starts"], state["failures"]) == (False, 1, 1)
        assert "nats" in state["error"]
        lines = len(collector.lines())
        collector.wait_for_lines(lines + 100)
        assert collector.end() == 0
    assert "wrong-horse-battery" not in json.dumps(collector.events) + "".join(collector.other)
    ended = ssmd("ship", "test", "--config-dir", tmp_path / "conf", "--once", **wrong)
    assert ended.returncode == 77
    assert "wrong-horse-battery" not in ended.stderr


def test_a_key_that_is_missing_ends_the_start_unless_something_else_runs_the_relay(tmp_path, simulator, environment):
    with collecting(tmp_path, simulator, environment, NATS_USER=USER) as collector:
        assert collector.wait() == 78
        [line] = [entry for entry in collector.events if entry["level"] == "error"]
        assert line["event"].startswith(
            "environments/test.yaml:5: keys.engine: NATS_PASSWORD is not set in the environment; set it to the value"
        )
    external = environment.replace("subject_prefix", "relay: external, subject_prefix")
    with collecting(tmp_path, simulator, external, NATS_USER=USER) as collector:
        collector.wait_for_lines(10)
        assert collector.end() == 0
    ended = ssmd("ship", "test", "--config-dir", tmp_path / "conf", "--once", NATS_USER=USER)
    assert ended.returncode == 78
    assert "keys.engine: NATS_PASSWORD is not set" in ended.stderr


def test_check_names_the_settings_that_lose_messages(tmp_path, server, simulator, environment):
    with collecting(tmp_path, simulator, environment, **RIGHT) as collector:
        collector.wait_for_lines(10)
        assert collector.end() == 0
    stream = environment.rpartition("subject_prefix: ")[2].rstrip("}\n")
    server.change(stream, subjects=[f"{stream}.>"], discard="old", max_msgs=1_000_000)
    ended = ssmd("ship", "test", "--config-dir", tmp_path / "conf", "--check", **RIGHT)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("warning: ")
    assert ended.stdout.endswith("ok: test can be shipped to nats\n")


@pytest.mark.parametrize("atomic", [True, False])
def test_what_a_purge_has_left_is_not_sent_twice(tmp_path, server, simulator, environment, atomic):
    """As when a stream is purged while a block is on its way: the end of the block is stored behind the purge."""
    stream = environment.rpartition("subject_prefix: ")[2].rstrip("}\n")
    environment = environment.replace("subject_prefix", "relay: external, subject_prefix")
    settings = {"subjects": [f"{stream}.>"], "allow_atomic": atomic}
    server.change(stream, **settings)
    with collecting(tmp_path, simulator, environment, **RIGHT) as collector:
        collector.wait_for_lines(10)
        assert collector.end() == 0
    ship = ("ship", "test", "--config-dir", tmp_path / "conf", "--once")
    assert ssmd(*ship, **RIGHT).returncode == 0
    days = sorted({path.parent.name for path in (tmp_path / "data").glob("*/test.jsonl")})
    last_line = (tmp_path / "data" / days[-1] / "test.jsonl").read_bytes().count(b"\n")
    server.ask(f"STREAM.PURGE.{stream}", {"keep": 1})
    assert ssmd(*ship, **RIGHT).returncode == 78
    for day in (days[0], "0001-01-01"):
        refused = ssmd(*ship, "--resume-at", f"{day}/0", **RIGHT)
        assert refused.returncode == 64, refused.stderr
        wanted = f"the engine still has the message of line {last_line:,} of {days[-1]}: it would be there twice"
        assert wanted in refused.stderr
    server.ask(f"STREAM.PURGE.{stream}", {})
    assert ssmd(*ship, "--resume-at", f"{days[0]}/0", **RIGHT).returncode == 0
    ended = ssmd("verify", "--engine", "test", "--config-dir", tmp_path / "conf", **RIGHT)
    assert ended.returncode == 0, ended.stdout
