"""`ssmd ship` as a process, with the engine `file`: what it copies is held against what was recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from patience import PATIENCE
from process import Ended, Process, make_tree, ssmd

from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_of_ns

FEED = "test"


class Site:
    """A folder with a metadata tree, a storage folder and the folder of a copy."""

    def __init__(
        self, folder: Path, transport: str = "", endpoint: str = "sim://kalshi", environment: str = ""
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.copy = folder / "copy"
        self.copy.mkdir()
        self.environment = f"transport: {{type: file, path: {self.copy}{transport}}}\n{environment}"
        self.tree = make_tree(folder, endpoint, "kalshi", "", self.environment)

    def ship(self, *options: str, **variables: Any) -> Ended:
        """Run the command to its end."""
        return ssmd("ship", "test", "--config-dir", self.tree, *options, **variables)

    def shipping(self, *options: str, **process: Any) -> Process:
        """Start the command."""
        return Process("ship", "test", "--config-dir", self.tree, *options, **process)

    def recorded(self) -> dict[str, bytes]:
        return _data_in(self.data)

    def copied(self) -> dict[str, bytes]:
        return _data_in(self.copy)

    def write(self, messages: int, day: str | None = None, stem: str = FEED, first: int = 0) -> bytes:
        """Append messages to a day, today's by default; return them as lines."""
        now = time.time_ns()
        folder = self.data / (day or day_of_ns(now))
        folder.mkdir(parents=True, exist_ok=True)
        numbers = range(first, first + messages)
        payloads = [b'{"type":"trade","msg":{"market_ticker":"KX-%d"}}' % number for number in numbers]
        data = LineEncoder(FEED).encode(now, payloads)
        with open(folder / f"{stem}.jsonl", "ab") as file:
            file.write(data)
        return data

    def wait_for_copy(self, seconds: float = PATIENCE) -> None:
        """Wait until all that is recorded is copied."""
        wait_until(lambda: self.copied() == self.recorded() != {}, seconds)


def _data_in(folder: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(folder.glob("*/*.jsonl")) if not path.name.endswith(".ledger.jsonl")]
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Return whether the process has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def relay_below(pid: int) -> int | None:
    """Return the process that ships for a collector, None while there is none."""
    for child in children_of(pid):
        with suppress(OSError):  # It may have ended meanwhile.
            if b"\0ship\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return None


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not within the time"
        time.sleep(0.02)
