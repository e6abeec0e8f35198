"""A short form of random_faults.py, with the same faults each time; hundreds of them are for a run by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from abilities import need
from faulty_engines import ENGINES

PROGRAM = Path(__file__).with_name("random_faults.py")
FAULTS = 6


@pytest.mark.parametrize(("engine", "shards"), [*((engine, 1) for engine in ENGINES), ("nats", 2), ("kafka", 2)])
def test_whatever_happens_the_engine_has_what_was_recorded(engine, shards):
    if engine == "mqtt":
        need("mosquitto")
    command = [sys.executable, PROGRAM, engine, "--faults", str(FAULTS), "--seed", "16", "--shards", str(shards)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "the engine has what was recorded"
