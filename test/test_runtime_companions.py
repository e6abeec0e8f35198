"""Companions: real processes that are started, watched, started again and stopped."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import time
from typing import Any

import gevent
import pytest
from patience import PATIENCE

from ssmd.contracts.companion import DAY, Companion
from ssmd.runtime import companions as companions_module
from ssmd.runtime import process_output
from ssmd.runtime.companions import Companions
from ssmd.store.line import LineEncoder

NOON = 1_766_404_800 * 10**9  # 2025-12-22T12:00:00Z
SEAL_FAILURES = "ssmd_seal_failures_total"


REPORT_PID = "os.write(int(os.environ['SSMD_STATUS_FD']), json.dumps({'pid': os.getpid()}).encode() + b'\\n')\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Lets companions run a Python program in place of ssmd, with their arguments."""

    def write(text: str) -> None:
        script = tmp_path / "program.py"
        script.write_text(f"import json, os, signal, sys, time\n{text}\n")
        shell = tmp_path / "python"
        shell.write_text(f'#!/bin/sh\nshift 3\nexec {sys.executable} "{script}" "$@"\n')
        shell.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(shell))

    return write


@pytest.fixture
def make(status):
    made: list[Companions] = []

    def companions(*wanted: Companion, **options) -> Companions:
        status.connected, status.day = True, "2025-12-23"
        fast: dict[str, Any] = {"delay_seconds": 0.05, "retry_seconds": 0.5, "pause_seconds": (0.05, 0.2)}
        made.append(Companions(wanted, status, **(fast | options)))
        return made[-1]

    yield companions
    for each in made:
        each.stop()


def wait_until(condition, seconds: float = PATIENCE) -> None:
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.02)


def sealing(tmp_path) -> Companion:
    """What seals the day before, in a storage folder with one day to seal."""
    day = tmp_path / "2025-12-22"
    day.mkdir()
    (day / "kalshi.jsonl").write_bytes(LineEncoder("kalshi").encode(NOON, [b"1"]))
    return Companion("seal", ("seal", str(tmp_path), "--feed", "kalshi", "--before", DAY), daily=True)


def value(metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"feed": "kalshi", "shard": "", **labels})


def test_days_before_the_one_being_written_are_sealed(tmp_path, status, metrics, make, caplog):
    caplog.set_level("INFO")
    companions = make(sealing(tmp_path))
    companions.start()
    # The line comes after the manifest.
    wait_until(lambda: any("sealed, 1 line," in record.getMessage() for record in caplog.records))
    companions.stop()
    assert (tmp_path / "2025-12-22" / "kalshi.manifest.json").exists()
    assert value(metrics, SEAL_FAILURES) == 0
    assert value(metrics, "ssmd_companion_starts_total", companion="seal") == 1
    assert value(metrics, "ssmd_companion_failures_total", companion="seal") == 0


def test_that_sealing_fails_is_logged_and_counted_and_it_is_tried_again(tmp_path, status, metrics, make, caplog):
    companions = make(sealing(tmp_path))
    other = tmp_path / "2025-12-22" / "kalshi.jsonl.zst"
    other.touch()
    companions.start()
    wait_until(lambda: value(metrics, SEAL_FAILURES) == 1)
    assert value(metrics, "ssmd_companion_failures_total", companion="seal") == 1
    assert any("the day exists in two forms" in getattr(record, "reason", "") for record in caplog.records)
    assert "the day exists in two forms" in status.companions["seal"].error
    other.unlink()
    wait_until((tmp_path / "2025-12-22" / "kalshi.manifest.json").exists)


def test_a_daily_one_runs_once_for_each_day_and_not_before_there_is_a_connection(tmp_path, status, make, program):
    program("open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')")
    days = tmp_path / "days"
    companions = make(Companion("note", (str(days), DAY), daily=True))
    status.connected = False
    companions.start()
    gevent.sleep(0.3)
    assert status.companions["note"].starts == 0
    status.connected = True
    wait_until(days.exists)
    status.day = "2025-12-24"
    wait_until(lambda: len(days.read_text().splitlines()) == 2)
    gevent.sleep(0.3)
    assert days.read_text().splitlines() == ["2025-12-23", "2025-12-24"]


def test_its_keys_are_those_that_it_has_declared(status, make, program):
    program("json.dump(dict(os.environ), os.fdopen(int(os.environ['SSMD_STATUS_FD']), 'w'))\ntime.sleep(60)")
    environ = {"KALSHI_API_SECRET": "canary", "PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONPATH": "x"}
    keys = {"api_key": {"api_secret": "canary"}, "nats": {"user": "u", "password": "p"}}
    companions = make(Companion("ship", (), keys=("nats",)), environ=environ, keys=keys)
    companions.start()
    wait_until(lambda: status.companions["ship"].report)
    given = status.companions["ship"].report
    assert "canary" not in str(given)
    assert (given["SSMD_KEY_USER"], given["SSMD_KEY_PASSWORD"]) == ("u", "p")
    assert given["LC_ALL"] == "C"
    assert given["PYTHONPATH"].endswith(":x")


def test_what_it_reports_is_kept_key_by_key_and_anything_else_passed_over(status, make, program):
    program(
        "out = os.fdopen(int(os.environ['SSMD_STATUS_FD']), 'w')\n"
        "out.write('{\"lag\": 5, \"state\": \"behind\"}\\nno JSON\\n[1]\\n' + '[' * 60_000 + '\\n{\"lag\": 0}\\n')\n"
        "out.flush()\ntime.sleep(60)"
    )
    companions = make(Companion("ship", ()))
    companions.start()
    wait_until(lambda: status.companions["ship"].report.get("lag") == 0)
    assert status.companions["ship"].report == {"lag": 0, "state": "behind"}
    assert status.companions["ship"].up


def test_one_that_ends_is_started_again_after_longer_and_longer_pauses(tmp_path, status, make, program):
    program("open(sys.argv[1], 'a').write(f'{time.monotonic()}\\n'); sys.exit('it broke')")
    times = tmp_path / "times"
    companions = make(Companion("ship", (str(times),)), pause_seconds=(0.4, 1.6))
    companions.start()
    wait_until(lambda: times.exists() and len(times.read_text().splitlines()) >= 4)
    began = [float(line) for line in times.read_text().splitlines()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(began)]
    # Each pause is at least as long as planned; how much longer is for a busy machine to say.
    assert all(pause >= planned for pause, planned in zip(pauses, (0.4, 0.8, 1.6), strict=False))
    assert status.companions["ship"].error == "it broke"
    assert status.companions["ship"].failures >= 3


def test_one_that_ends_by_itself_without_an_error_is_a_failure_too(status, make, program):
    program("pass")
    companions = make(Companion("ship", ()))
    companions.start()
    wait_until(lambda: status.companions["ship"].starts >= 2)
    assert status.companions["ship"].error == "it ended by itself"
    assert status.companions["ship"].failures >= 1


@pytest.mark.parametrize("code", [64, 77, 78])
def test_one_that_would_only_fail_again_is_left_alone(status, make, program, caplog, code):
    program(f"sys.exit({code})")
    companions = make(Companion("ship", ()))
    companions.start()
    wait_until(lambda: any("not started again" in record.getMessage() for record in caplog.records))
    gevent.sleep(0.5)
    assert (status.companions["ship"].starts, status.companions["ship"].failures) == (1, 1)
    assert status.companions["ship"].error == f"exit code {code}"
    companions.start_again()
    wait_until(lambda: status.companions["ship"].starts == 2)


def test_one_that_cannot_be_started_is_a_failure_like_any_other(status, make, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    companions = make(Companion("ship", ()))
    companions.start()
    wait_until(lambda: status.companions["ship"].failures >= 2)
    assert status.companions["ship"].error == "No such file or directory"
    assert status.companions["ship"].starts == 0


def test_stop_ends_it_in_order_and_out_of_reach_of_ctrl_c(tmp_path, status, metrics, make, program):
    program(
        "def end(*_):\n    open(sys.argv[1], 'w').write('ended in order')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    pids: list[int] = []

    class Handler(logging.Handler):
        def emit(self, record) -> None:
            pids.append(int(record.getMessage()))

    handler = Handler()
    logger = logging.getLogger("ssmd.companions")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        companions = make(Companion("ship", (str(tmp_path / "end"),)))
        companions.start()
        wait_until(lambda: pids)
        assert os.getpgid(pids[0]) != os.getpgrp()
        companions.stop()
    finally:
        logger.removeHandler(handler)
        logger.setLevel("NOTSET")
    assert (tmp_path / "end").read_text() == "ended in order"
    assert value(metrics, "ssmd_companion_failures_total", companion="ship") == 0
    assert not status.companions["ship"].up


def test_one_that_does_not_end_is_killed(status, make, program, monkeypatch):
    monkeypatch.setattr(companions_module, "GRACE_SECONDS", 0.3)
    program("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + REPORT_PID + "time.sleep(60)")
    companions = make(Companion("ship", ()))
    companions.start()
    wait_until(lambda: "pid" in status.companions["ship"].report)
    companions.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(status.companions["ship"].report["pid"], 0)


def test_killed_it_takes_nothing_with_it(status, make, program):
    program(REPORT_PID + "time.sleep(60)")
    companions = make(Companion("ship", ()))
    companions.start()
    wait_until(lambda: "pid" in status.companions["ship"].report)
    first = status.companions["ship"].report["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: status.companions["ship"].report["pid"] != first)
    assert status.companions["ship"].error == "exit code -9"
    assert (status.companions["ship"].starts, status.companions["ship"].failures) == (2, 1)


def test_its_end_is_seen_although_a_process_that_it_started_holds_its_pipes_open(status, make, program, monkeypatch):
    monkeypatch.setattr(process_output, "_LAST_WORDS_SECONDS", 0.3)
    program(
        "import subprocess\n"
        "fd = int(os.environ['SSMD_STATUS_FD'])\n"
        "child = subprocess.Popen(['sleep', '600'], pass_fds=[fd])\n"
        "os.write(fd, json.dumps({'child': child.pid}).encode() + b'\\n')\nsys.exit('it broke')"
    )
    companions = make(Companion("ship", ()), pause_seconds=(30, 60))
    companions.start()
    try:
        wait_until(lambda: status.companions["ship"].failures)
        assert status.companions["ship"].error == "it broke"
        assert not status.companions["ship"].up
    finally:
        os.kill(status.companions["ship"].report["child"], signal.SIGKILL)


def test_a_torrent_of_complaints_is_bounded(status, make, program):
    program("for n in range(200_000):\n    print('x' * 70, n, file=sys.stderr)\nsys.exit(1)")
    companions = make(Companion("ship", ()), pause_seconds=(30, 60))
    companions.start()
    wait_until(lambda: status.companions["ship"].error)
    assert status.companions["ship"].error.endswith("199999")
    assert len(status.companions["ship"].error) <= 400


@pytest.mark.parametrize("channel", ["1", "2", "int(os.environ['SSMD_STATUS_FD'])"])
def test_one_that_never_stops_printing_does_not_keep_the_collector_from_its_work(status, make, program, channel):
    program(
        "until = time.monotonic() + 20\n"
        f"while time.monotonic() < until: os.write({channel}, b'{{\"n\":1}}\\n' * 8000)\n"
        "time.sleep(60)"
    )
    companions = make(Companion("torrent", ()))
    companions.start()
    began = time.monotonic()
    wait_until(lambda: status.companions["torrent"].up)
    for _ in range(20):
        gevent.sleep(0.001)
    companions.stop()
    assert time.monotonic() - began < 15


LOG_AND_FAIL = """
from ssmd.runtime import logs
import logging
logs.setup(os.environ)
logging.getLogger("ssmd.x").warning("careful", extra={"why": "it shakes"})
logging.getLogger("ssmd").error("it fell", extra={"exit_code": 78})
sys.exit(78)
"""


def test_its_log_is_part_of_the_collectors(status, make, program, caplog):
    program(LOG_AND_FAIL)
    make(Companion("note", ()), environ=os.environ | {"SSMD_LOG_FORMAT": "text"}).start()
    wait_until(lambda: status.companions["note"].error is not None)
    [line] = [record for record in caplog.records if record.getMessage() == "careful"]
    assert (line.levelname, line.why, line.companion) == ("WARNING", "it shakes", "note")
    assert status.companions["note"].error == "it fell"
