"""What a message costs between the socket and the disk: the runner, the dialect and the file writer.

There is no socket and there are no frames: the runner gets messages as the frame reader would yield them, in reads of
1, 20 and 240 messages, and they end in a file. They are read by the Kalshi dialect: bare, with a check of every message
against its schema, compared with the days before, and with both. And they are read by the generic one: bare, with a
description that has no paths, and with one that has the paths of type, time and sequence. Prints microseconds of CPU
time per message, the best and the median of eleven rounds, and the ratio to the bare generic dialect of the last
checkout. Dialects and checkouts are measured in turn, so that other load on the machine affects all of them alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.collector import DESCRIPTION, ROOT
from bench.measure import RunFailed
from bench.messages import Cycle

__all__ = ["main"]

READS = (1, 20, 240)
MESSAGES = {1: 60_000, 20: 200_000, 240: 400_000}
ROUNDS = 11

BARE = "generic"
SCHEMA = ROOT / "conf/schemas/kalshi-v2.json"


class Dialect(NamedTuple):
    """A dialect that is measured."""

    exchange: str
    description: Mapping[str, Any] | None = None
    """Of the feed; None for none."""
    schema: str | None = None
    """The file of the schema that every message is checked against; None for none."""
    drift: str = ""
    """`drift_check` of the environment: messages are compared with the shape of the first 20,000 of them."""


DIALECTS = {
    "kalshi": Dialect("kalshi"),
    "kalshi, schema checked": Dialect("kalshi", schema=str(SCHEMA)),
    "kalshi, drift sample": Dialect("kalshi", drift="sample"),
    "kalshi, drift all": Dialect("kalshi", drift="all"),
    "kalshi, schema and drift all": Dialect("kalshi", schema=str(SCHEMA), drift="all"),
    BARE: Dialect("generic"),
    "generic, no paths": Dialect("generic", {"keep_alive": [{"every_seconds": 20, "send": "ping"}]}),
    "generic, with paths": Dialect("generic", DESCRIPTION),
}

ROUND = """
import json, sys, time
from gevent import monkey
monkey.patch_all()
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client import CollectorRegistry
from ssmd.errors import Disconnected
try:
    from ssmd.exchange.catalog import EXCHANGES
except ImportError:  # A checkout from before the catalog was a file of its own.
    from ssmd.exchange import EXCHANGES
try:
    from ssmd.runtime.metrics import Metrics
    from ssmd.runtime.reporter import Reporter
except ImportError:  # 0.1.0 and before.
    from ssmd.metrics import Metrics
    from ssmd.runtime.report import Reporter
from ssmd.runtime.runner import Runner
try:
    from ssmd.runtime.reader import RunParts
    from ssmd.writer.storage import LocalStorage
    join = lambda *parts, **options: Runner(RunParts(*parts), **options)
except ImportError:  # 0.1.0 and before.
    from ssmd.metadata.model import Storage as LocalStorage
    join = Runner
from ssmd.runtime.status import Status
from ssmd.writer.file import FileWriter
import gevent

folder, read, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(sys.argv[4], "rb") as file:
    payloads = file.read().splitlines(keepends=True)
reads = [payloads[first:first + read] for first in range(0, messages, read)]

class Prepared:
    decompress, not_decompressed, unchanged, held_ns, events, missing = "", 0, None, None, (), ()
    last_read = None
    def no_data(self): pass
    def connect(self): pass
    def close(self): pass
    def expect_silence(self, expected): pass
    def send(self, commands): pass
    def messages(self, clock=None):  # Without it in a checkout from before the connector took the times.
        for number, one in enumerate(reads):
            yield ([(clock(), len(one))], one) if clock else one
            if number % 50 == 0:
                gevent.sleep(1e-6)
        raise Disconnected("done")

key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
status = Status()
metrics = Metrics(CollectorRegistry(), "kalshi", status)
name, description, schema, drift = json.loads(sys.argv[5])
dialect = EXCHANGES[name]
if description is not None:
    if not hasattr(dialect, "described"):
        sys.exit()  # A checkout from before exchanges could be described.
    dialect = dialect.described(description)
exchange = dialect({"api_key": "bench", "api_secret": key} if name == "kalshi" else {}, {})
try:
    writer = FileWriter(LocalStorage(type="local", path=folder), "kalshi", status=status)
except TypeError:  # A checkout from before the writer wrote its times into the status.
    writer = FileWriter(LocalStorage(type="local", path=folder), "kalshi", status=status, metrics=metrics)
reporter = Reporter("kalshi", status)
observers = []
if schema is not None:
    try:
        from ssmd.wiring.schema_check import schema_check
    except ImportError:
        sys.exit()  # A checkout from before messages were checked.
    with open(schema, "rb") as file:
        observers = [schema_check(file.read(), schema, "kalshi:bench", exchange, dialect.reader(), status)]
if drift:
    try:
        from ssmd.observing.before import Before
        from ssmd.observing.shape import ShapeObserver, Sources
        from ssmd.runtime.drift import DriftState
        from ssmd.runtime.kept_fresh import KeptFresh
        from ssmd.shape.drift import Known
        from ssmd.shape.learned import ShapeLearner
    except ImportError:
        sys.exit()  # A checkout from before there was drift.
    finder, learner = dialect.reader(), ShapeLearner()
    learner.add(payloads[:20_000], [type for type, _ in finder.read(payloads[:20_000])], 0)
    known = Known(learner.types(), {})
    heads = exchange.heads if drift == "all" else None
    before = Before.of(known, finder, heads)
    sources = Sources(finder, lambda type: True, tuple, heads, KeptFresh(lambda: before, 600), None)
    if schema is not None:
        if "decodes_apart" not in Sources._fields:
            sys.exit()  # A checkout from before both together decoded each message twice.
        sources = sources._replace(decodes_apart=True)
    observers.append(ShapeObserver(sources, DriftState(drift), time.time_ns()))
    observers[-1].begin(10)
further = [observers] if observers else []  # 0.1.0 knows none.
runner = join("kalshi", Prepared(), exchange, writer, *further, status=status, metrics=metrics, reporter=reporter)
began = time.process_time()
try:
    runner.run()
except Disconnected:
    pass
print((time.process_time() - began) / messages * 1e6)
assert status.messages == messages
assert schema is None or (status.schema.checked, sum(status.schema.violations.values())) == (messages, 0)
"""


def run_round(folder: Path, checkout: Path, read: int, sent: Path, dialect: Dialect) -> float | None:
    """Run one round with `checkout`, `read` messages in a read; return the microseconds of CPU time per message.

    None when the checkout does not know descriptions, or schemas. Raises RunFailed.
    """
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-", dir=folder) as data:
        arguments = [data, str(read), str(MESSAGES[read]), str(sent), json.dumps(dialect)]
        command = [sys.executable, "-P", "-c", ROUND, *arguments]
        environ = os.environ | {"PYTHONPATH": str(checkout)}
        done = subprocess.run(command, env=environ, cwd=data, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"{checkout}: {done.stderr.strip()}")
        return float(done.stdout) if done.stdout else None


def main(folder: Path, others: Sequence[Path], only: Sequence[str]) -> None:
    """Measure this checkout and the others, below the folder. `only`: parts of the names of dialects."""
    checkouts = [ROOT, *(other.resolve() for other in others)]
    names = [name for name in DIALECTS if any(part in name for part in only)]
    cycle = Cycle()
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-", dir=folder) as scratch:
        for read in READS:
            sent = Path(scratch, "sent")
            sent.write_bytes(b"".join(cycle.text(number) for number in range(MESSAGES[read])))
            costs: dict[tuple[str, Path], list[float]] = {(name, path): [] for name in names for path in checkouts}
            for _ in range(ROUNDS):
                for (name, checkout), found in costs.items():
                    cost = run_round(folder, checkout, read, sent, DIALECTS[name])
                    found += [] if cost is None else [cost]
            base = costs.get((BARE, checkouts[-1]))
            for (name, checkout), found in costs.items():
                if found:
                    print(_row(read, name, found, base, checkout))


def _row(read: int, name: str, found: Sequence[float], base: Sequence[float] | None, checkout: Path) -> str:
    best, median = min(found), statistics.median(found)
    ratio = f"{median / statistics.median(base):.2f}" if base else ""
    return f"reads of {read:>3}: {best:>6.2f} best, {median:>6.2f} median, {ratio:>4}   {name:<20} {checkout}"
