"""What bin/start waits for, and what it says of a collector then."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from process import ROOT
from test_collectors_said import WELL, answering, http

from ssmd.collectors.coming import coming, missing
from ssmd.collectors.said import read

CONFIRMED: dict[str, Any] = {**WELL, "missing": [], "channels": [{"channel": "trade", "confirmed": True}]}


def said(**fields: Any) -> Any:
    return read(json.dumps({**CONFIRMED, **fields}).encode())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ""),
        ({"channels": [{"channel": "trade", "confirmed": None}]}, ""),
        ({"channels": [{"channel": "trade", "confirmed": False}]}, "not confirmed yet"),
        ({"channels": None}, "not confirmed yet"),
        ({"missing": ["trade: refused", "ticker: silent"]}, "trade: refused; ticker: silent"),
        ({"state": "closed", "missing": ["trade: refused"], "channels": None}, ""),
        ({"state": "connecting", "connected": None, "channels": None}, "connecting"),
        ({"state": "collecting", "connected": None, "channels": None}, ""),
    ],
)
def test_it_waits_until_all_is_confirmed_and_comes(fields, expected):
    assert missing(said(**fields)) == expected


def test_what_it_says_of_one_for_which_nothing_is_missing():
    assert coming(said()) == "connected, and nothing that was asked for is missing"
    closed = said(state="closed", schedule={"closed_until": "2026-11-29T14:30:00.000000Z"})
    assert coming(closed) == "running, and is closed by schedule until 2026-11-29T14:30:00Z"
    assert coming(said(state="closed", schedule=None)) == "running, and is closed by schedule"


def test_it_asks_the_collector_at_an_address():
    answers = {
        "well": http(CONFIRMED),
        "waits": http({**CONFIRMED, "missing": ["trade: \x1b[31mrefused"]}),
        "another": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    }
    with answering(answers) as addresses:
        found = {name: ask(address) for name, address in addresses.items()}
    assert found == {
        "well": (0, "connected, and nothing that was asked for is missing\n", ""),
        "waits": (75, "trade:  [31mrefused\n", ""),
        "another": (69, "", ""),
    }
    for address in (addresses["well"], "", "nowhere", "127.0.0.1:x"):
        assert ask(address) == (69, "", "")


def ask(address: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "ssmd.collectors.coming", address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr
