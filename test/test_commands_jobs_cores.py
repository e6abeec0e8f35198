"""The value of --jobs, and how many cores there are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from process import ROOT, ssmd

from ssmd.commands.jobs.cores import BYTES_FOR_A_PROCESS, cores, jobs_for
from ssmd.commands.jobs.outlet import Task

COMMANDS = ("verify", "seal", "compact", "cat")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("value", ["0", "-1", "+2", "1.5", "two", "1e2", "²", "100000", " 2"])
def test_any_other_value_than_a_whole_number_is_a_wrong_usage(tmp_path, command, value):
    code, out, err = ssmd(command, tmp_path, f"--jobs={value}")
    assert (code, out) == (64, "")
    assert err == f"ssmd: --jobs is '{value}'; it must be a whole number from 1 to 99999\n"


def test_there_are_no_more_processes_than_days():
    assert jobs_for([Task(None, "", 1)] * 3, 99_999) == 3
    assert jobs_for([Task(None, "", 1)] * 3, 2) == 2
    assert jobs_for([], 4) == 1


def test_without_the_option_little_data_needs_no_process():
    assert jobs_for([Task(None, "", BYTES_FOR_A_PROCESS // 2)] * 3, None) == 1
    assert jobs_for([Task(None, "", BYTES_FOR_A_PROCESS)] * 1000, None) == cores()


def test_the_cores_are_those_that_the_process_may_use():
    own = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{own}]); from ssmd.commands.jobs.cores import cores; print(cores())"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout == b"1\n"


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("/", {"cpu.max": "150000 100000"}, 2),
        ("/", {"cpu.max": "10000 100000"}, 1),
        ("/a.slice/b.service", {"a.slice/b.service/cpu.max": "max 100000", "a.slice/cpu.max": "300000 100000"}, 3),
        ("/a.slice", {"a.slice/cpu.max": "max 100000"}, 64),
        ("/a.slice", {"a.slice/cpu.max": "odd"}, 64),
        ("/gone", {}, 64),
        (None, {}, 64),
    ],
)
def test_a_control_groups_quota_limits_the_cores(tmp_path, monkeypatch, group, files, expected):
    own = tmp_path / "own"
    if group is not None:
        own.write_text(f"0::{group}\n")
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    monkeypatch.setattr("ssmd.commands.jobs.cores._CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr("ssmd.commands.jobs.cores._OWN_CGROUP", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    assert cores() == expected
