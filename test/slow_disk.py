"""A slow disk: strace lets each write and each sync of a file take longer. It needs the ability `strace`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def slow_disk(pid: int, file: Path, log: Path, seconds: float = 0.5) -> Iterator[None]:
    """Slow down what a process writes to a file. `log`: where strace notes each call."""
    traced = ["-P", str(file), "-e", "trace=writev,fdatasync"]
    slow = ["-e", f"inject=writev,fdatasync:delay_enter={int(seconds * 1e6)}"]
    command = ["strace", "-f", "-o", str(log), *traced, *slow, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
        try:
            yield
        finally:
            strace.terminate()
