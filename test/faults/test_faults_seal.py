"""Sealing that is killed at every call on the manifest: it leaves none, or a right one, and the next run seals."""

import sys
from subprocess import run

import pytest
from patience import PATIENCE
from process import ROOT
from recorded import make_day

from ssmd.proof.verify import verify
from ssmd.store.inventory import data_files

CALLS = ("openat", "write", "fsync", "rename", "close")


@pytest.mark.needs("strace")
@pytest.mark.parametrize("call", CALLS)
def test_a_kill_leaves_no_wrong_manifest_and_the_next_run_seals(tmp_path, call):
    day = make_day(tmp_path, "2025-12-22", sealed=False).parent
    manifest = day / "kalshi.manifest.json"
    command = [sys.executable, "-m", "ssmd", "seal", str(tmp_path)]
    killed = 0
    for number in range(1, 20):
        trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(day), "-P", str(manifest), "-P", f"{manifest}.new"]
        trace += ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"]
        done = run([*trace, *command], cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE)
        for path in data_files([tmp_path]):
            assert verify(path).findings == []
        if done.returncode == 0:
            break
        killed += 1
        if not manifest.exists():
            assert run(command, cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE).returncode == 0
        assert verify(data_files([tmp_path])[0]).sealed
        manifest.unlink()
    assert killed
    assert manifest.exists()
