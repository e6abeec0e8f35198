"""The ports that tests give to their servers."""

import subprocess
import sys

from process import ROOT

TAKE_300 = """
import ports, sys
ports._PORTS = range(20_000, 20_700)
print(*[ports.free_port() for _ in range(300)], flush=True)
sys.stdin.read()
"""


def test_no_port_is_given_twice_neither_by_one_process_nor_by_two(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE_300],
            cwd=ROOT / "test",
            env={"TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    given = [port for process in processes for port in process.stdout.readline().split()]
    for process in processes:
        process.communicate()
    assert (len(given), len(set(given))) == (600, 600)
