"""A real Prometheus that scrapes real collectors, each with a fault of its own, for the tests of rules and dashboard.

The rules are those of deploy/prometheus with every duration shortened alike, see shrink(); nothing else is changed.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from patience import PATIENCE
from ports import free_port
from process import KEYS, ROOT, Simulator
from recorded import KALSHI, write_day
from s3_server import BUCKET, KEY, S3Server

RULES = sorted((ROOT / "deploy" / "prometheus").glob("[ar]*.yaml"))
"""alerts.yaml and recording.yaml."""
MINUTE = 2.0
"""How long a minute of the rules lasts here, in seconds."""
SCRAPE = MINUTE / 4
"""The scrape and evaluation interval, shortened like the rest."""
AWS = {
    "AWS_ACCESS_KEY_ID": KEY["access_key_id"],
    "AWS_SECRET_ACCESS_KEY": KEY["secret_access_key"],
    "AWS_DEFAULT_REGION": "us-east-1",
}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

SUBSCRIBE = """\
subscribe:
  channels: [orderbook_delta, ticker, trade, market_lifecycle_v2]
  market_tickers: [KXSIM-A, KXSIM-B, KXSIM-C, KXSIM-D]
"""

# The faults of each collector by the name of its feed, as parameters of the embedded simulator.
COLLECTORS: Mapping[str, str] = {
    "healthy": "rate=50",
    # Connected, with pings but no data.
    "frozen": "rate=200&freeze-after=300",
    # The same, before it has confirmed the subscriptions.
    "deaf": "rate=200&freeze-after=1",
    # Some data and then nothing, not even pings: each run ends with 75, and the next one begins.
    "silent": "rate=200&silent-after=100",
    "refused": "status=503",
    # Garbage is not as the schema says either.
    "damaged": "rate=50&gap-after=300&garbage-after=400",
    # One channel sends nothing more, and the others go on. It has a schedule that is open; silence is expected later.
    # On the day before, its exchange has sent other messages.
    "muted": "rate=200&mute-after=300:trade",
    "killed": "rate=50",
    # Its files suddenly may not grow beyond a limit, which ends the run with 74; the next run has no limit.
    "full": "rate=200",
    # What they record is shipped to an engine, which the second one never reaches.
    "shipped": "rate=50",
    "unshipped": "rate=50",
    # The days of these are in buckets; the second one is never reached.
    "uploaded": "rate=50",
    "unuploaded": "rate=50",
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_OFF = _WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]
"""A day of the week that is far from today on both sides."""
MUTED = f"""\
# The default of 900 s, shortened even more than the minutes of the rules.
silent_after_seconds: {MINUTE * 2}
drift_check: sample
schedule: {{enforce: true, timezone: UTC, weekdays: [{", ".join(day for day in _WEEKDAYS if day != _OFF)}]}}
expected_silence:
- {{timezone: UTC, weekday: {_OFF}, from: "12:00", to: "13:00"}}
"""
ENVIRONMENTS = {
    "damaged": "schema: kalshi:v2\nschema_check: count\n",
    "muted": MUTED,
    "shipped": "transport: {type: file, path: copy}\n",
    "unshipped": "transport: {type: kafka, url: 'kafka://127.0.0.1:1'}\n",
}
"""Further lines of the environments of these collectors."""
LOCAL = "type: local"
BUCKETS = dict.fromkeys(("uploaded", "unuploaded"), f"type: s3, bucket: {BUCKET}, live_seconds: 1")
"""What the storage of a collector is, without its path."""
S3_KEY = "\n  s3: {{type: s3, fields: [{}], source: 'file:{}', rotation_days: 90}}"
"""The key of "uploaded", which is in files."""
SHIPPED = ("shipped", "uploaded")
"""Those of them without a fault whose data is copied by a companion."""
HEALTHY = ("healthy", "kalshi-sim", *SHIPPED)
"""The collectors without a fault; kalshi-sim is the environment of the example tree."""
STOPPED = "stopped"
"""The feed of a simulator in a process of its own, which is stopped: the run ends with 75, and no run can connect."""
# Collectors whose disk no longer answers this call.
ON_A_DEAD_DISK: Mapping[str, tuple[str, str]] = {
    # As fast as it goes, until the queue is full because no write ends.
    "stuck": ("rate=0", "writev"),
    "unsynced": ("rate=50", "fdatasync"),
}


def shrink(rules: str, minute: float = MINUTE) -> str:
    """Return the rules with every duration shortened so that a minute lasts so many seconds: ranges, offsets, `for:`,
    and the numbers of seconds, which the rules write as products with 60 or 3600.
    """

    def shorter(found: re.Match[str]) -> str:
        before, number, unit, after = found.groups()
        return f"{before}{round(int(number) * SECONDS[unit] / 60 * minute * 1000)}ms{after}"

    rules = re.sub(r"(\[|\boffset |\bfor: )(\d+)([smhd])(\]|\b)", shorter, rules)
    return re.sub(r"(\* )(60|3600)\b", lambda found: f"{found[1]}{int(found[2]) / 60 * minute:g}", rules)


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """Run promtool, which must find nothing wrong; return its output."""
    ended = subprocess.run(
        ["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


class Prometheus:
    """The server, on a free port, with its data and its shortened rules below `folder`.

    `minute`: how many seconds a minute of the rules lasts. The scrape and evaluation interval is shortened too.
    """

    def __init__(self, folder: Path, targets: Iterable[str], minute: float = MINUTE) -> None:
        folder.mkdir()
        for path in RULES:
            (folder / path.name).write_text(shrink(path.read_text(), minute))
        config = (ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text()
        config = config.replace(": 15s", f": {minute / 4 * 1000:.0f}ms")
        config = re.sub(r"- localhost:8080.*", f"- {json.dumps(list(targets))}"[2:], config)
        (folder / "prometheus.yaml").write_text(config)
        self.address = f"127.0.0.1:{free_port()}"
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
            ],
            stderr=open(folder / "log", "w"),  # noqa: SIM115 # The process keeps it.
        )

    def _get(self, path: str, **parameters: str) -> str:
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}{query}", timeout=PATIENCE) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}{query}: {error.read().decode()}") from None

    def _ready(self) -> bool:
        assert self._process.poll() is None, "prometheus has ended"
        try:
            return bool(self._get("/-/ready"))
        except (AssertionError, OSError):
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of an expression, now."""
        return json.loads(self._get("/api/v1/query", query=expression))["data"]["result"]

    def labels(self, expression: str, *names: str) -> set[tuple[str, ...]]:
        """Return the values of these labels for each sample of an expression, empty where it does not have one."""
        return {tuple(sample["metric"].get(name, "") for name in names) for sample in self.query(expression)}

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire now, with their labels and annotations."""
        alerts = json.loads(self._get("/api/v1/alerts"))["data"]["alerts"]
        return [alert for alert in alerts if alert["state"] == "firing"]

    def fired(self) -> set[tuple[str, str, str]]:
        """Return the alertname, feed and instance of all alerts that have fired so far, empty for a missing label."""
        fired = self.labels('max_over_time(ALERTS{alertstate="firing"}[1h])', "alertname", "feed", "instance")
        return {(alert, feed, instance) for alert, feed, instance in fired}

    def wait_for(self, condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """Wait until a condition is true; return whether it was within that time."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True

    def __enter__(self) -> Prometheus:
        if not self.wait_for(self._ready):
            self.__exit__()
            raise AssertionError("prometheus is not ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


class Monitored:
    """A Prometheus and the collectors that it scrapes. `folder`: for the data of further ones."""

    def __init__(self, prometheus: Prometheus, collectors: Mapping[str, Loop], folder: Path) -> None:
        self.prometheus = prometheus
        self.collectors = collectors
        self._folder = folder

    def firing(self) -> set[tuple[str, str]]:
        """Return (alert, feed) of all alerts that have fired so far; without a label feed, the feed of the instance."""
        return self._with_feeds(self.prometheus)

    def firing_for(self, feeds: Iterable[str], minute: float) -> set[tuple[str, str]]:
        """Return the same of another Prometheus, which scrapes only the collectors of these feeds, for 16 minutes.

        `minute`: how many seconds a minute lasts there.
        """
        targets = [self.collectors[feed].address for feed in feeds]
        with Prometheus(self._folder / f"prometheus-{minute:g}", targets, minute) as prometheus:
            time.sleep(16 * minute)
            return self._with_feeds(prometheus)

    def _with_feeds(self, prometheus: Prometheus) -> set[tuple[str, str]]:
        feeds = {loop.address: feed for feed, loop in self.collectors.items()}
        return {(alert, feed or feeds.get(instance, "")) for alert, feed, instance in prometheus.fired()}


class Loop:
    """`ssmd run <environment>` in a shell's loop that starts it again whenever it ends, as an orchestrator would."""

    def __init__(self, environment: str, tree: Path, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.log = folder / f"{environment}.log"
        loop = f'while :; do "$@"; sleep {MINUTE / 4}; done'
        run = [sys.executable, "-m", "ssmd", "run", environment, "--config-dir", str(tree), "--listen", self.address]
        with open(self.log, "w") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", loop, "sh", *run],
                cwd=folder,
                env=os.environ | KEYS | AWS | {"PYTHONPATH": str(ROOT), "SSMD_LOG_FORMAT": "json"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # So that the loop and the collector can be ended together.
            )

    def pid(self) -> int:
        """Return the process that is running now."""
        children = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text().split()
        return int(children[0])

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.read().decode()

    def metrics(self) -> str:
        """Return what Prometheus gets, as soon as there is an answer: a run may just be starting again."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.get("/metrics")
            except OSError:
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.1)

    def wait_until_it_works(self, ships: bool) -> None:
        """Wait until it is connected, and, if it `ships`, so is what copies its data."""
        until = time.monotonic() + PATIENCE
        while not self._works(ships):
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def _works(self, ships: bool) -> bool:
        try:
            self.get("/ready")  # 503 is an OSError too.
            metrics = self.get("/metrics")
        except OSError:
            return False
        # Its companion may run for long before it has connected.
        return not ships or re.search(r"^ssmd_ship_up\{.* 1\.0$", metrics, re.MULTILINE) is not None

    def kill(self) -> None:
        if self._shell.poll() is None:
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait(PATIENCE)


def make_tree(folder: Path, stopped: str, s3: str) -> Path:
    """Make a copy of the example tree with an environment and a feed for each collector.

    `stopped`: the endpoint of an exchange. `s3`: that of a server with a bucket.
    """
    tree = folder / "conf"
    (folder / "copy").mkdir()  # Of "shipped".
    shutil.copytree(ROOT / "conf", tree)
    faults = {**COLLECTORS, **{name: parameters for name, (parameters, _) in ON_A_DEAD_DISK.items()}}
    endpoints = {name: f"sim://kalshi?{parameters}" for name, parameters in faults.items()} | {STOPPED: stopped}
    for name, endpoint in endpoints.items():
        # The default of 30 s, shortened like the minutes of the rules.
        idle = f"  idle_timeout_seconds: {MINUTE / 2}\n" if name in ("silent", STOPPED) else ""
        (tree / "feeds" / f"{name}.yaml").write_text(
            f"name: {name}\ntype: websocket\nversions:\n- version: v1\n  effective_from: 2025-01-01\n  protocol: wss\n"
            f"  endpoint: {endpoint}\n  exchange: kalshi\n  auth_method: none\n{idle}"
        )
        bucket = f", endpoint: '{s3 if name in HEALTHY else 'http://127.0.0.1:1'}'" if name in BUCKETS else ""
        (tree / "environments" / f"{name}.yaml").write_text(
            f"name: {name}\nfeed: {name}\n{SUBSCRIBE}{ENVIRONMENTS.get(name, '')}"
            f"storage: {{{BUCKETS.get(name, LOCAL)}{bucket}, path: data, fsync_interval_seconds: 0.1}}\n"
            "keys:\n  kalshi: {type: api_key, fields: [api_key, api_secret], "
            "source: 'env:KALSHI_API_KEY,KALSHI_API_SECRET'}\n"
        )
    _add_s3_key(folder, tree / "environments" / "uploaded.yaml")
    return tree


def _add_s3_key(folder: Path, environment: Path) -> None:
    files = [folder / f"{field}.key" for field in KEY]
    for file, value in zip(files, KEY.values(), strict=True):
        file.touch(mode=0o600)
        file.write_text(value)
    text = environment.read_text().rstrip("\n") + S3_KEY.format(", ".join(KEY), ",".join(map(str, files)))
    environment.write_text(f"{text}\n")


def _add_days_before(folder: Path, feed: str) -> None:
    """Add two sealed days with a price as a number, which Kalshi writes as text. A field vanishes on the second."""
    begin: list[Any] = [(0.0, "started", KALSHI), (0.0, "connected", {})]
    end = (86_000.0, "stopped", {"reason": "SIGTERM"})
    for ago, more in ((2, b',"note":"x"'), (1, b"")):
        day = (datetime.now(UTC) - timedelta(days=ago)).strftime("%Y-%m-%d")
        ticker = b'{"type":"ticker","msg":{"market_ticker":"KXSIM-A","price_dollars":0.5%b}}' % more
        messages = [(1.0 + number, ticker) for number in range(1000)]
        write_day(folder / "data", day, *begin, *messages, end, feed=feed)


@contextmanager
def monitor(folder: Path) -> Iterator[Monitored]:
    """Start everything, and let the collectors work before their disks die and one of them is killed."""
    disks = ON_A_DEAD_DISK if shutil.which("strace") else {}
    with ExitStack() as ends:
        simulator = ends.enter_context(Simulator())
        bucket = S3Server(folder)
        ends.callback(bucket.kill)
        tree = make_tree(folder, simulator.endpoint, bucket.endpoint)
        _add_days_before(folder, "muted")
        loops = {}
        for name in ["kalshi-sim", *COLLECTORS, STOPPED, *disks]:
            loops[name] = Loop(name, tree, folder)
            ends.callback(loops[name].kill)
        for name in HEALTHY:  # A slow start on a busy machine would be an outage.
            loops[name].wait_until_it_works(ships=name in SHIPPED)
        prometheus = ends.enter_context(Prometheus(folder / "prometheus", [loop.address for loop in loops.values()]))
        seen = {(name,) for name in loops} - {("refused",)}
        assert prometheus.wait_for(lambda: prometheus.labels("ssmd_last_message_timestamp > 0", "feed") >= seen)
        for name, (_, call) in disks.items():
            [file] = folder.glob(f"data/*/{name}.jsonl")
            delay = ["-e", f"trace={call}", "-e", f"inject={call}:delay_enter=1000000000"]
            strace = subprocess.Popen(
                ["strace", "-f", "-o", os.devnull, "-P", file, *delay, "-p", str(loops[name].pid())],
                stderr=subprocess.DEVNULL,
            )
            ends.callback(strace.wait)
            ends.callback(strace.kill)
        # Its faults come once, some seconds after its start: so it starts when Prometheus has seen its counters at 0.
        os.kill(loops["damaged"].pid(), signal.SIGKILL)
        loops["killed"].kill()
        # Room for the log, and for the count of errors that the next run begins with.
        resource.prlimit(loops["full"].pid(), resource.RLIMIT_FSIZE, (8192, 8192))
        simulator.process.send_signal(signal.SIGSTOP)
        ends.callback(simulator.process.send_signal, signal.SIGCONT)
        yield Monitored(prometheus, loops, folder)
