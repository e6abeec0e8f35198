"""`ssmd status` with real collectors: its lines, its JSON and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
from patience import PATIENCE
from ports import free_port
from process import ROOT, Collector, ssmd, start

TRADES = "subscribe: [{channels: [trade]}]\n"


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collector")
    with Collector(folder, "sim://kalshi?rate=200", environment=TRADES) as running:
        running.start_up()
        wait_for_state(running, "collecting")
        yield running


def wait_for_state(collector, state, seconds=40):
    until = time.monotonic() + seconds
    while json.loads(collector.get("/status")[1])["state"] != state:
        assert time.monotonic() < until, f"not {state} within {seconds} s"
        time.sleep(0.05)


def test_a_collector_that_collects(collector):
    done = ssmd("status", collector.listen)
    assert (done.returncode, done.stderr) == (0, "")
    first, feed, since, *rest = done.stdout.splitlines()
    assert first == f"test ({collector.listen})"
    assert feed.startswith("  feed     Collecting ")
    assert re.fullmatch(r"  since    \S+ UTC, for .* s", since)
    assert any(re.fullmatch(r"  rate     .* messages/s, .*/s, [\d,]+ messages since the start", line) for line in rest)
    assert "\x1b" not in done.stdout


def test_as_json(collector):
    done = ssmd("status", "--json", collector.listen)
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert said.keys() == json.loads(collector.get("/status")[1]).keys()


def test_several_have_the_greatest_exit_code(collector):
    nobody = f"127.0.0.1:{free_port()}"
    done = ssmd("status", nobody, collector.listen)
    assert done.returncode == 69
    assert done.stdout.startswith(f"{nobody}: connection refused\ntest (")


def test_a_collector_that_is_not_connected(tmp_path):
    with Collector(tmp_path, "sim://kalshi?slow-handshake", environment=TRADES) as running:
        running.start_up()
        done = ssmd("status", running.listen)
    assert done.returncode == 75
    # A start has five seconds, which a busy machine may need.
    assert re.search(r"  feed     (Connecting|Not connected) to the exchange", done.stdout)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colours_are_for_a_terminal_without_no_color(collector, no_color):
    leader, follower = pty.openpty()
    environ = {"TERM": "xterm", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "NO_COLOR": no_color}
    command = [sys.executable, "-m", "ssmd", "status", collector.listen]
    process = subprocess.run(command, stdout=follower, env=environ, cwd=ROOT, timeout=PATIENCE, stderr=subprocess.PIPE)
    os.close(follower)
    seen = os.read(leader, 65536)  # All of it is less than a terminal keeps.
    os.close(leader)
    assert process.returncode == 0
    assert b"Collecting " in seen
    assert process.stderr == b""
    assert (b"\x1b[1;32m" in seen) == (not no_color)


def test_watching_goes_on_until_a_signal(collector):
    with start("status", "--watch", collector.listen) as process:
        seen = 0
        while seen < 2:
            seen += process.stdout.readline().startswith("test (")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")


def test_an_address_that_is_none():
    done = ssmd("status", "8080")
    assert (done.returncode, done.stdout) == (64, "")
    assert "'8080' is no address of a collector; it must be host:port, such as 127.0.0.1:8080" in done.stderr
