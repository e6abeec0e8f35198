"""Keys on a file system whose calls do not return, as on an NFS without its server: strace holds up the first one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from process import ROOT

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


def refusal(dead: Path, patched: str, source: str, *variables: str) -> str:
    """Return what becomes of a key of which each call for the file `dead` takes ten minutes.

    `patched`: one of PATCHED. `variables`: those that the source is asked with, such as `PATH=/bin`.
    """
    hang = ["-P", str(dead), "-e", "trace=%file", "-e", "inject=%file:delay_enter=600000000"]
    looked_up = [sys.executable, "-c", _LOOKED_UP, patched, source, *variables]
    command = ["strace", "-f", "-o", os.devnull, *hang, *looked_up]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        return process.stdout.readline()
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # strace itself waits for the call.
        process.communicate()
