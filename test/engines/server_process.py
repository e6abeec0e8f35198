"""A server as a process of its own, which is killed, frozen and started again in its place."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ports import free_port

DEADLINE = 20.0


def modified(path: Path) -> int:
    """Return when a file was modified last, 0 when it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


class ServerProcess:
    """Listens on `port`, from launch() on. A subclass says with which command."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def pid(self) -> int:
        return self._process.pid

    def launch(self, command: Sequence[str | Path], log: Path) -> None:
        """Start it, and wait until it accepts connections."""
        with log.open("ab") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        end = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order: then it keeps all that it has."""
        self._process.terminate()
        self._process.wait(DEADLINE)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again. Does nothing after kill()."""
        self._process.send_signal(signal.SIGCONT)
