"""Real processes for tests of the whole product: `ssmd run` with a tree made for the test, and `ssmd sim`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from patience import PATIENCE

ROOT = Path(__file__).parent.parent
KEYS = {
    "KALSHI_API_KEY": "0b5ad1fc-test-test-test-0123456789ab",
    "KALSHI_API_SECRET": Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode(),
}


def start(
    *arguments: str | Path, cwd: Path = ROOT, prefix: Sequence[str | Path] = (), **variables: str
) -> subprocess.Popen[str]:
    """Start `ssmd <arguments>`, which logs in JSON. `prefix`: a command that executes the rest of its arguments.

    `variables`: environment variables beside the test's keys.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KALSHI", "SSMD"))}
    return subprocess.Popen(
        [*map(str, prefix), sys.executable, "-m", "ssmd", *map(str, arguments)],
        cwd=cwd,
        env=environ | KEYS | {"SSMD_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def ssmd(*arguments: str | Path, prefix: Sequence[str | Path] = (), **variables: Any) -> Ended:
    """Run `ssmd <arguments>` to its end."""
    process = start(*arguments, prefix=prefix, **variables)
    out, err = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, out, err)


class Process:
    """One ssmd process. Its log goes to `events`, and lines of stderr that are not JSON go to `other`."""

    def __init__(
        self, *arguments: str | Path, cwd: Path = ROOT, prefix: Sequence[str | Path] = (), **variables: str
    ) -> None:
        self.process = start(*arguments, cwd=cwd, prefix=prefix, **variables)
        self.events: list[dict[str, Any]] = []
        self.other: list[str] = []

    def wait_for(self, event: str, *, begins: bool = False) -> dict[str, Any]:
        """Wait until an event of that name is logged, or one that begins so; return it."""
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            if not self._take(line):
                continue
            found = self.events[-1]["event"]
            if found == event or (begins and found.startswith(event)):
                return self.events[-1]
        raise AssertionError(f"ended before {event!r}: {self.events} {self.other}")

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until the process has ended; return its exit code."""
        _, rest = self.process.communicate(timeout=seconds)
        for line in rest.splitlines():
            self._take(line)
        return self.process.returncode

    def _take(self, line: str) -> bool:
        try:
            self.events.append(json.loads(line))
        except ValueError:
            self.other.append(line)
            return False
        return True

    def lasted(self) -> float:
        """Return the seconds from the first event to the last, by their times: the process may start and end late."""
        begin, end = (datetime.fromisoformat(self.events[index]["ts"]) for index in (0, -1))
        return (end - begin).total_seconds()

    def end(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.terminate()
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()  # Not SIGKILL: a simulator removes its temporary key at its end.
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


class Simulator(Process):
    """`ssmd sim`, ready for clients. `port`: 0 for a free one."""

    def __init__(self, *arguments: str | Path, port: int = 0) -> None:
        super().__init__("sim", "--listen", f"127.0.0.1:{port}", *arguments)
        self.endpoint: str = self.wait_for("serving")["endpoint"]
        self.generic = self.endpoint.replace("/trade-api/ws/v2", "/any")


class Probed(Process):
    """`ssmd run`, whose probes are asked."""

    def start_up(self) -> None:
        """Wait until it has started; keep the address of its probes in `listen`."""
        self.listen = self.wait_for("starting")["listen"]

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body of a probe's answer."""
        try:
            with urllib.request.urlopen(f"http://{self.listen}{path}", timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Collector(Probed):
    """`ssmd run` with a tree of its own in `folder`/conf, collecting from `endpoint` into `folder`/data."""

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        *,
        exchange: str = "kalshi",
        kind: str = "websocket",
        version: str = "",
        environment: str = "",
        options: Sequence[str] = (),
        variables: Mapping[str, Any] = MappingProxyType({}),
        prefix: Sequence[str | Path] = (),
        port: int = 0,
    ) -> None:
        self.data = folder / "data"
        tree = make_tree(folder, endpoint, exchange, version, environment, kind)
        fixed = ("--config-dir", tree, "--listen", f"127.0.0.1:{port}")
        super().__init__("run", "test", *fixed, *options, prefix=prefix, **variables)

    def lines(self) -> list[bytes]:
        return [line for path in sorted(self.data.glob("*/test.jsonl")) for line in path.read_bytes().splitlines()]

    def payloads(self) -> list[bytes]:
        from ssmd.store.line import decode_line

        return [decode_line(line).payload for line in self.lines()]

    def wait_for_lines(self, count: int, seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        while len(self.lines()) < count:
            assert time.monotonic() < until, f"{len(self.lines())} lines after {seconds} s"
            assert self.process.poll() is None, "the collector has ended"
            time.sleep(0.05)


def make_tree(
    folder: Path, endpoint: str, exchange: str, version: str, environment: str, kind: str = "websocket"
) -> Path:
    """Write a metadata tree with the environment `test`; return its folder.

    `version` and `environment`: further lines of YAML for the feed's version and for the environment. `kind`: the type
    of the feed.
    """
    tree = folder / "conf"
    for name in ("environments", "feeds"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    if kind == "websocket" and "idle_timeout_seconds" not in version:
        # A scripted server answers no pings, and a busy host takes long.
        version = f"  idle_timeout_seconds: 3600\n{version}"
    (tree / "feeds" / "test.yaml").write_text(
        f"name: test\ntype: {kind}\nversions:\n- version: v1\n  effective_from: 2025-01-01\n  protocol: wss\n"
        f"  endpoint: {endpoint}\n  exchange: {exchange}\n  auth_method: none\n{version}"
    )
    keys = ""
    if exchange == "kalshi" and not endpoint.startswith("sim:") and "keys:" not in environment:
        source = "'env:KALSHI_API_KEY,KALSHI_API_SECRET'"
        keys = f"keys: {{test: {{type: api_key, fields: [api_key, api_secret], source: {source}}}}}\n"
    (tree / "environments" / "test.yaml").write_text(
        f"name: test\nfeed: test\n{keys}{environment}"
        + ("" if "storage:" in environment else f"storage: {{type: local, path: {folder}/data}}\n")
        + ("" if "data_timeout_seconds:" in environment else "data_timeout_seconds: 3600\n")
    )
    return tree
