"""What a companion prints: its log lines are logged, and why it failed is known."""

from __future__ import annotations

import json

import pytest

from ssmd.runtime.companion_log import CompanionLog


@pytest.fixture
def log(caplog):
    caplog.set_level("DEBUG")
    return CompanionLog("ship")


def entry(**fields) -> bytes:
    line = {"ts": "2026-11-28T09:00:00Z", "level": "warning", "logger": "ssmd.ship", **fields}
    return json.dumps(line).encode() + b"\n"


def logged(caplog) -> list[tuple[str, str, str]]:
    return [(record.levelname, record.getMessage(), record.companion) for record in caplog.records]


def test_lines_of_its_log_are_lines_of_ours_with_their_level_and_fields(log, caplog):
    log.complained(entry(event="the engine is lost", reason="it is gone", name="x", companion="y", msg="z"))
    log.complained(entry(event="connected", level="debug"))
    assert logged(caplog) == [("WARNING", "the engine is lost", "ship"), ("DEBUG", "connected", "ship")]
    assert (caplog.records[0].reason, caplog.records[0].name) == ("it is gone", "ssmd.companions")
    assert log.reason(5) == "exit code 5"


def test_what_it_prints_on_stdout_is_logged(log, caplog):
    log.printed(b"sealed\x1b[0m\n")
    assert logged(caplog) == [("INFO", "sealed [0m", "ship")]


@pytest.mark.parametrize(
    "line",
    [
        b"Traceback: it broke\n",
        b'{"level": "error"}\n',
        b'{"level": "loud", "event": "it broke"}\n',
        b'{"level": ["error"], "event": "it broke"}\n',
        b"[1]\n",
        b"\xff\n",
        b"[" * 100_000,
    ],
)
def test_any_other_line_says_why_it_failed_and_is_not_logged(log, caplog, line):
    log.complained(line)
    assert logged(caplog) == []
    assert log.reason(1) != "exit code 1"


def test_the_error_with_which_it_ends_is_the_reason_and_not_logged_twice(log, caplog):
    log.complained(entry(event="something went wrong", level="error"))
    log.complained(entry(event="stopped", exit_code=0))
    log.complained(entry(event="the engine refused the keys", level="error", exit_code=77))
    assert logged(caplog) == [("ERROR", "something went wrong", "ship"), ("WARNING", "stopped", "ship")]
    assert log.reason(77) == "something went wrong the engine refused the keys"


def test_of_much_only_the_end_is_kept(log):
    for number in range(100):
        log.complained(b"line %d of the complaint\n" % number)
    assert log.reason(1).endswith("line 99 of the complaint")
    assert len(log.reason(1)) <= 400
