"""A short form of random_upload_faults.py, with the same faults each time; hundreds of them are for a run by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("random_upload_faults.py")


@pytest.mark.parametrize(("form", "faults"), [("jsonl.zst", 10), ("parquet", 5)])
def test_whatever_happens_the_bucket_has_what_was_recorded(form, faults):
    command = [sys.executable, PROGRAM, "--faults", str(faults), "--seed", "17", "--format", form]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "the bucket has what was recorded"
