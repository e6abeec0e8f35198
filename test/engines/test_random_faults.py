"""A short form of random_faults.py, with the same faults each time; hundreds of them are for a run by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from abilities import need
from faulty_engines import ENGINES

PROGRAM = Path(__file__).with_name("random_faults.py")
FAULTS = {1: 6, 2: 3}
"""By the number of shards."""


@pytest.mark.parametrize(("engine", "shards"), [*((engine, 1) for engine in ENGINES), ("nats", 2), ("kafka", 2)])
def test_whatever_happens_the_engine_has_what_was_recorded(engine, shards):
    if engine == "mqtt":
        need("mosquitto")
    options = ["--faults", str(FAULTS[shards]), "--seed", "16", "--shards", str(shards)]
    command = [sys.executable, PROGRAM, engine, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate()
    finally:
        process.terminate()
        process.wait()
    assert process.returncode == 0, out + err
    assert out.splitlines()[-1] == "the engine has what was recorded"
