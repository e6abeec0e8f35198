"""The load, and the process that sends it: source.py, which is controlled by lines of text."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bench.collector import environ

__all__ = ["START_SECONDS", "Load", "Source", "kill", "on_last_core", "on_other_cores", "uninterrupted"]

START_SECONDS = 30.0
TERM_SECONDS = 5.0


@dataclass(frozen=True)
class Load:
    """What is sent."""

    rate: float = 0
    """Messages a second; 0 is flat out."""
    sids: int = 4
    """Subscriptions."""
    size: int = 0
    """Bytes of each message; 0 is Kalshi's sizes."""
    tls: str = ""
    """Without TLS when empty; "message" makes a TLS record of each message, "full" fills the records."""


class Source:
    """The process of a load source. `alone` gives it a core of its own, which it needs while it watches a file."""

    def __init__(self, load: Load, log: Path, *, sender: Path | None, certificate: Path, alone: bool = False) -> None:
        command = [sys.executable, "-P", "-m", "bench.source", f"--rate={load.rate}", f"--sids={load.sids}"]
        command += [f"--size={load.size}", f"--log={log}"]
        if load.tls:
            command += [f"--tls={load.tls}", f"--certificate={certificate}"]
        elif sender:
            command.append(f"--sender={sender}")
        with contextlib.ExitStack() as stack:
            with on_last_core(alone), uninterrupted():
                self._process = subprocess.Popen(
                    command,
                    env=environ(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=0,
                    start_new_session=True,  # Ctrl-C reaches only this process, which ends the others.
                )
                stack.callback(self.kill)
            self.port = int(self.line(START_SECONDS)[1])
            stack.pop_all()

    def send(self, line: str) -> None:
        """Send it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def line(self, seconds: float, other: subprocess.Popen[bytes] | None = None) -> list[str]:
        """Return the words of its next line, waiting for up to `seconds`.

        Raises EOFError when the source ends, RuntimeError when the time is over or the process `other` ends.
        """
        assert self._process.stdout is not None
        text = b""
        until = monotonic() + seconds
        while not text.endswith(b"\n"):
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                byte = self._process.stdout.read(1)
                if not byte:
                    raise EOFError("the load source has ended")
                text += byte
            elif other is not None and other.poll() is not None:
                raise RuntimeError(f"ended with {other.returncode}")
            elif monotonic() > until:
                raise RuntimeError(f"nothing within {seconds:g} s")
        return text.decode().split()

    def wait(self) -> int:
        return self._process.wait()

    def kill(self) -> None:
        kill(self._process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its session, which it leads. First by SIGTERM, so that ssmd ends the processes it started."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERM_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay the KeyboardInterrupt of a signal to the end of the block, when the started process can be ended."""
    received: list[int] = []
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(each))]
    handlers = {each: signal.signal(each, lambda number, _: received.append(number)) for each in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _on_cores(cores: set[int]) -> Iterator[None]:
    """Let processes that are started in the block run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def on_last_core(wanted: bool) -> contextlib.AbstractContextManager[None]:
    cores = os.sched_getaffinity(0)
    return _on_cores({max(cores)} if wanted and len(cores) > 1 else cores)


def on_other_cores(wanted: bool) -> contextlib.AbstractContextManager[None]:
    cores = os.sched_getaffinity(0)
    return _on_cores(cores - {max(cores)} if wanted and len(cores) > 1 else cores)
