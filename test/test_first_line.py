"""Commands that run until they are stopped handle signals when they print the first line, whose reader may send one."""

import json
import sys

import pytest
from process import make_tree, ssmd
from recorded import make_day

STOPPED_BY_ITS_FIRST_LINE = """
import os, runpy, signal, sys

def profile(frame, event, called):
    line = event == "return" and frame.f_code.co_name == "emit"
    if line or event == "c_return" and called is print:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)

sys.argv = sys.argv[3:]  # Without the `python -m ssmd` that a test starts.
sys.setprofile(profile)
runpy.run_module("ssmd", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("command", ["run", "ship", "sim", "sim --exchange coinbase", "replay"])
def test_a_signal_that_comes_with_the_first_line_ends_it_in_order(tmp_path, command):
    (tmp_path / "copy").mkdir()
    environment = f"transport: {{type: file, path: {tmp_path / 'copy'}, relay: external}}\n"
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", environment)
    make_day(tmp_path / "data", "2026-09-21", per_hour=5)
    arguments = {
        "run": ("test", "--config-dir", tree, "--listen", "127.0.0.1:0"),
        "ship": ("test", "--config-dir", tree),
        "replay": ("--listen", "127.0.0.1:0", tmp_path / "data"),
    }
    name, *options = command.split()
    more = arguments.get(name, ("--listen", "127.0.0.1:0"))
    ended = ssmd(name, *options, *more, prefix=(sys.executable, "-c", STOPPED_BY_ITS_FIRST_LINE))
    assert ended.returncode == 0, ended.stderr
    if name in arguments and name != "replay":
        last = json.loads(ended.stderr.splitlines()[-1])
        assert (last["event"], last["reason"]) == ("stopped", "SIGTERM")
