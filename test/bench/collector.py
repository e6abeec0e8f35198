"""ssmd as a collector: the real `ssmd run` with a metadata tree and keys, and its probes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.messages import SUBSCRIBE, TICKERS

__all__ = ["AT_ONCE", "DESCRIBED", "DESCRIPTION", "GENERIC", "OWN", "ROOT", "Probes", "Ssmd", "environ", "write_tree"]

ROOT = Path(__file__).parent.parent.parent

DESCRIPTION: Mapping[str, Any] = {
    "paths": {
        "type": "type",
        "time": {"path": "msg.ts_ms", "format": "ms"},
        "sequence": {"plus_one": "seq", "scope": {"path": "sid"}},
    }
}
"""Of the messages of messages.py, for the generic dialect."""

GENERIC, DESCRIBED, AT_ONCE = "ssmd, generic", "ssmd, described", "ssmd, at once"


class Ssmd:
    """Collects into `folder`/data; its log, in JSON, is `folder`/log."""

    name = "ssmd"
    tls = exact = envelope = True

    def missing(self) -> str:
        return ""

    def write_tree(self, folder: Path, endpoint: str) -> None:
        """Write a metadata tree whose only environment is `bench`."""
        write_tree(folder, endpoint, {})

    def start(self, folder: Path, url: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        self.write_tree(folder, f"{url}/trade-api/ws/v2")
        key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        variables = {"BENCH_KEY": "bench-key", "BENCH_SECRET": key, "SSMD_LOG_FORMAT": "json"}
        with open(folder / "log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "ssmd", "run", "bench", "--config-dir", folder, "--listen", "127.0.0.1:0"],
                env={**environ, **variables},
                stderr=log,
                start_new_session=True,
            )

    def output(self, folder: Path) -> Path | None:
        return next((folder / "data").glob("*/bench.jsonl"), None)

    def begin(self, probes: Probes) -> None:
        """Wait until it is ready for messages, as it is when it is connected."""

    def finish(self, probes: Probes, messages: int) -> None:
        """Wait until it has done its work with so many messages, which are in its file."""


class SsmdGeneric(Ssmd):
    """Collects with the generic dialect, and with a description of the messages if there is one."""

    tls = False

    def __init__(self, name: str, description: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._description = description

    def write_tree(self, folder: Path, endpoint: str) -> None:
        version: dict[str, Any] = {"version": "v1", "effective_from": "2026-01-01", "protocol": "wss"}
        version |= {"endpoint": endpoint, "exchange": "generic"}
        if self._description is not None:
            version["dialect"] = self._description
        storage = {"type": "local", "path": str(folder / "data")}
        subscribe = {"messages": [json.loads(SUBSCRIBE)]}
        feed = {"name": "bench", "type": "websocket", "versions": [version]}
        environment = {"name": "bench", "feed": "bench", "subscribe": subscribe, "storage": storage}
        for kind, document in (("feeds", feed), ("environments", environment)):
            (folder / kind).mkdir()
            (folder / kind / "bench.yaml").write_text(json.dumps(document))


class SsmdAtOnce(Ssmd):
    """Collects as Ssmd, but never reads messages together that have not arrived together."""

    name = AT_ONCE
    tls = False

    def write_tree(self, folder: Path, endpoint: str) -> None:
        write_tree(folder, endpoint, {"coalesce_seconds": 0})


OWN = (Ssmd(), SsmdAtOnce(), SsmdGeneric(GENERIC), SsmdGeneric(DESCRIBED, DESCRIPTION))
"""ssmd with the Kalshi dialect, by default and at once; with the generic dialect, without and with a description."""


class Probes:
    """The probes of the ssmd in `folder`; waits until they are served. Raises RuntimeError when it has ended."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        while (found := re.search(r'\{[^\n]*"starting"[^\n]*\}', (folder / "log").read_text())) is None:
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.05)
        self._listen: str = json.loads(found.group())["listen"]

    @property
    def address(self) -> tuple[str, str]:
        """The host and the port."""
        host, _, port = self._listen.rpartition(":")
        return host, port

    def health_ms(self, timeout: float = 5.0) -> float:
        """Return the milliseconds until /health answered. Raises OSError when it did not, or not with 200."""
        began = time.monotonic()
        urllib.request.urlopen(f"http://{self._listen}/health", timeout=timeout).read()
        return (time.monotonic() - began) * 1e3

    def shipped(self) -> int | None:
        """Return how many messages an engine has acknowledged; None while the relay is not the only companion at work,
        and connected to the engine.
        """
        status = self.status()
        working = [each["name"] for each in status["companions"] if each["up"]]
        shipping = status["shipping"]  # None before the relay's first report.
        return shipping["messages"] if working == ["ship"] and shipping and shipping["up"] else None

    def status(self) -> Any:
        """Return what /status says. Raises OSError."""
        return json.loads(urllib.request.urlopen(f"http://{self._listen}/status", timeout=10).read())

    def metrics(self) -> dict[str, float]:
        """Return every metric whose only label is `feed`. Raises OSError."""
        text = urllib.request.urlopen(f"http://{self._listen}/metrics", timeout=10).read().decode()
        found = re.findall(r'^(ssmd_\w+)\{feed="bench"(?:,shard="")?\} (\S+)$', text, re.M)
        return {name: float(value) for name, value in found}


def environ(certificates: Path | None = None) -> dict[str, str]:
    """Return the environment of every collector: without the user's settings of ssmd, with the benchmark's authority.

    `certificates`: the file of that authority's certificate.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KALSHI", "SSMD_"))}
    if certificates is not None:
        kept["SSL_CERT_FILE"] = str(certificates)
    return kept | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'test'}"}


def write_tree(tree: Path, endpoint: str, fields: Mapping[str, Any], environment: str = "") -> None:
    """Write a tree whose only environment, `bench`, collects order books from the load source, with gap detection.

    `fields`: more fields of the feed's version. `environment`: more lines of the environment.
    """
    for folder in ("environments", "feeds"):
        (tree / folder).mkdir()
    (tree / "feeds" / "bench.yaml").write_text(
        "name: bench\ntype: websocket\nversions:\n- version: v1\n  effective_from: 2026-01-01\n  protocol: wss\n"
        f"  endpoint: {endpoint}\n  exchange: kalshi\n  auth_method: api_key\n"
        + "".join(f"  {name}: {json.dumps(value)}\n" for name, value in fields.items())
    )
    (tree / "environments" / "bench.yaml").write_text(
        "name: bench\nfeed: bench\nkeys:\n  bench:\n    type: api_key\n    fields: [api_key, api_secret]\n"
        "    source: env:BENCH_KEY,BENCH_SECRET\n"
        f"subscribe:\n  channels: [orderbook_delta]\n  market_tickers: {json.dumps(TICKERS)}\n"
        f"storage: {{type: local, path: {json.dumps(str(tree / 'data'))}}}\n{environment}"
    )
