"""`ssmd run` with an environment of conf/ for an exchange, and the simulator of that exchange as its endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
import yaml
from patience import PATIENCE
from process import ROOT, Probed

from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.exchanges.rules import Setting
from ssmd.sim.exchanges.server import ExchangeServer, read_faults

CONF = ROOT / "conf"
NAMES = sorted(name for name in EXCHANGES if (CONF / "feeds" / f"{name}.yaml").exists())
"""The exchanges that are in conf/."""

Change = Callable[[dict[str, Any], dict[str, Any]], None]
"""Changes a feed version and an environment, as YAML gives them."""


def described(name: str) -> dict[str, Any]:
    """Return the exchange's `dialect` section in conf/."""
    feed: dict[str, Any] = yaml.safe_load((CONF / "feeds" / f"{name}.yaml").read_text())
    dialect: dict[str, Any] = feed["versions"][0]["dialect"]
    return dialect


class ExchangeRun(Probed):
    """One run and its exchange. `faults` and `setting` are those of the simulator, as `ssmd sim --exchange` has them.

    Without `change` the configuration is that of conf/, except for the address of the exchange.
    """

    def __init__(self, folder: Path, name: str, *faults: str, change: Change | None = None, **setting: Any) -> None:
        self.name = name
        self.data = folder / "data"
        self.server = ExchangeServer(name, "127.0.0.1", 0, Setting(**setting), read_faults(name, faults))
        self._serving = gevent.spawn(self.server.serve)
        self.environment: dict[str, Any] = yaml.safe_load((CONF / "environments" / f"{name}.yaml").read_text())
        """That of conf/, unchanged."""
        tree = _write_tree(folder / "conf", name, self.server.address, change)
        super().__init__("run", name, "--config-dir", tree, "--listen", "127.0.0.1:0", cwd=folder)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.server.stop()
        self._serving.get(timeout=PATIENCE)

    def connect(self) -> None:
        """Wait until it has connected."""
        self.start_up()
        self.wait_for("connected")

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.get("/status")[1])
        return status

    def until(self, condition: Callable[[dict[str, Any]], Any], seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until the condition holds for /status; return that."""
        with gevent.Timeout(seconds, AssertionError(f"{self.name}: this did not come in {seconds} s")):
            while not condition(status := self.status()):
                gevent.sleep(0.1)
        return status

    def stopped(self) -> dict[str, Any]:
        """Return the last event of the log, once the run has ended."""
        self.wait(120)
        assert self.events[-1]["event"] == "stopped", (self.events, self.other)
        return self.events[-1]

    def seconds_connected(self) -> float:
        """Return how long it was connected, by its log."""
        times = {event["event"]: datetime.fromisoformat(event["ts"]) for event in self.events}
        return (times["stopped"] - times["connected"]).total_seconds()


@contextmanager
def side_by_side(folder: Path, names: Iterable[str], *faults: str, **options: Any) -> Iterator[dict[str, ExchangeRun]]:
    """Start a run of each exchange, and wait until all have connected; end those that are left."""
    with ExitStack() as stack:
        runs = {}
        for name in names:
            (folder / name).mkdir()
            runs[name] = stack.enter_context(ExchangeRun(folder / name, name, *faults, **options))
        for run in runs.values():
            run.connect()
        yield runs


def _write_tree(tree: Path, name: str, address: str, change: Change | None) -> Path:
    """Write the feed and the environment of an exchange, with the address of a simulator in place of the exchange's."""
    feed = (CONF / "feeds" / f"{name}.yaml").read_text()
    environment = (CONF / "environments" / f"{name}.yaml").read_text()
    feed = re.sub(r"(?m)^(\s*endpoint: )wss://[^/\s]+", rf"\1ws://{address}", feed)
    feed = re.sub(r"(?m)^(\s*url: )https://[^/\s]+", rf"\1http://{address}", feed)
    if change is not None:
        parsed, changed = yaml.safe_load(feed), yaml.safe_load(environment)
        change(parsed["versions"][0], changed)
        feed, environment = yaml.safe_dump(parsed), yaml.safe_dump(changed)
    for folder, text in (("feeds", feed), ("environments", environment)):
        (tree / folder).mkdir(parents=True)
        (tree / folder / f"{name}.yaml").write_text(text)
    return tree
