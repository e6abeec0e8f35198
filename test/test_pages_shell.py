"""The shell commands of docs/drift.md and of the chapter on `ssmd shape` in docs/schemas.md: they run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from process import ROOT, ssmd

PUBLISHED = [
    '{"channel":"ticker","type":"update","data":[{"last":0.5}]}',
    '{"channel":"trade","type":"update","data":[{"price":0.5,"qty":1.0}]}',
    '{"method":"subscribe","success":true}',
]


def run(script: str, folder) -> str:
    """Run commands in a folder; return what they print. `ssmd` is the one of this checkout."""
    program = folder / "bin" / "ssmd"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ssmd "$@"\n')
    program.chmod(0o755)
    environ = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-eu"], input=script, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_drift_prints_what_is_shown(tmp_path):
    page = (ROOT / "docs" / "drift.md").read_text()
    [(script, shown)] = re.findall(r"```sh\n([^`]+)```\n\n```text\n([^`]+)```", page)
    assert run(script, tmp_path) == shown


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_schema_that_begins_with_a_shape_tells_the_types_apart(tmp_path):
    page = (ROOT / "docs" / "schemas.md").read_text()
    chapter = page.split("\n### Starting from `ssmd shape`\n")[1].split("\n## ")[0]
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    recording = tmp_path / "recording.log"
    recording.write_text("".join(f"1767225600000 {message}\n" for message in PUBLISHED))
    arguments = ["--feed", "kraken", "--config-dir", "conf", "--separator", " ", "--time-format", "ms"]
    assert ssmd("import", *arguments, "--to", "data", recording, cwd=tmp_path).returncode == 0
    for script in re.findall(r"```sh\n(.+?)```", chapter, re.DOTALL):
        run(script, tmp_path)
    environment = tmp_path / "conf" / "environments" / "kraken.yaml"
    environment.write_text(environment.read_text() + "\nschema: kraken:v1\n")
    assert "ok: schemas/kraken.yaml\n" in ssmd("validate", "--config-dir", "conf", "kraken", cwd=tmp_path).stdout

    # A trade that has the form of a ticker.
    recording.write_text('1767225600000 {"channel":"trade","type":"update","data":[{"last":0.5}]}\n')
    assert ssmd("import", *arguments, "--to", "other", recording, cwd=tmp_path).returncode == 0
    done = ssmd("check", "--schema", "kraken:v1", "--config-dir", "conf", "other", cwd=tmp_path)
    assert done.returncode == 65
    assert "trade: data[0].price is missing" in done.stdout
