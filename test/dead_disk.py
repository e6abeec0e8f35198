"""A file system whose calls do not return, as on an NFS without its server: strace holds up the first one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from process import PATIENCE, ROOT

PATCHED = ["with gevent", "without gevent"]

_LOOKED_UP = """
import sys
if sys.argv[1] == "with gevent":
    from gevent import monkey
    monkey.patch_all()
from ssmd.metadata.keys import KeySpec
from ssmd.resolver.lookup import Lookup, gravest
keys = {"kalshi": KeySpec(type="api_key", fields=["a"], source=sys.argv[2])}
result = Lookup(dict(each.split("=", 1) for each in sys.argv[3:]), seconds=0.1).look_up(keys)
print(gravest(result.missing).__name__, result.missing["kalshi"], flush=True)
"""


@contextmanager
def stuck(pid: int, dead: Path) -> Iterator[None]:
    """Let each call for the file `dead` of a process wait until the end of the context."""
    command = ["strace", "-f", "-o", os.devnull, *_hang(dead), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
        try:
            until = time.monotonic() + PATIENCE
            while not _is_traced(pid):
                assert strace.poll() is None, "strace may not trace this process"
                assert time.monotonic() < until
                time.sleep(0.01)
            yield
        finally:
            strace.kill()  # The kernel lets the process go on.


def waiting(pid: int) -> int:
    """Return how many threads of a process are held up. One may be for a moment only, by any call that strace sees."""
    return sum("\nState:\tt (tracing stop)\n" in thread for thread in _threads(pid))


def _is_traced(pid: int) -> bool:
    return all("\nTracerPid:\t0\n" not in thread for thread in _threads(pid))


def _threads(pid: int) -> list[str]:
    """Return what proc(5) says of each thread of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/status"):
        with suppress(OSError):  # It has ended meanwhile.
            found.append(task.read_text())
    return found


def _hang(dead: Path) -> list[str]:
    return ["-P", str(dead), "-e", "trace=%file", "-e", "inject=%file:delay_enter=600000000"]


def refusal(dead: Path, patched: str, source: str, *variables: str) -> str:
    """Return what becomes of a key of which each call for the file `dead` takes ten minutes.

    `patched`: one of PATCHED. `variables`: those that the source is asked with, such as `PATH=/bin`.
    """
    looked_up = [sys.executable, "-c", _LOOKED_UP, patched, source, *variables]
    command = ["strace", "-f", "-o", os.devnull, *_hang(dead), *looked_up]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        return process.stdout.readline()
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # strace itself waits for the call.
        process.communicate()
