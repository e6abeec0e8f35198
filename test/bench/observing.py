"""ssmd as a collector that looks at messages: against Kalshi's schema, the shape of the day before, or both."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bench.collector import ROOT, Probes, Ssmd, write_tree
from bench.messages import Cycle
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.shape.file import write_shape
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.shape import Shape, TypeShape

__all__ = ["BOTH", "CHECKED", "DRIFT_ALL", "DRIFT_SAMPLE", "OBSERVING", "SsmdObserving"]

CHECKED, DRIFT_SAMPLE, DRIFT_ALL = "ssmd, schema checked", "ssmd, drift sample", "ssmd, drift all"
BOTH = "ssmd, schema and drift all"

DRAIN_SECONDS = 10.0

_LEARNED = 20_000
"""So many messages had the day before: enough that each type of theirs is known."""


class SsmdObserving(Ssmd):
    """Collects as Ssmd, with `schema_check: count` if it is `checked`, and with `drift` as its `drift_check`."""

    tls = False

    def __init__(self, name: str, *, checked: bool = False, drift: str = "") -> None:
        self.name = name
        self._checked = checked
        self._drift = drift

    def write_tree(self, folder: Path, endpoint: str) -> None:
        lines = ""
        if self._checked:
            shutil.copytree(ROOT / "conf/schemas", folder / "schemas")
            lines = "schema: kalshi:v2\nschema_check: count\n"
        if self._drift:
            lines += f"drift_check: {self._drift}\n"
            _write_day_before(folder / "data")
        write_tree(folder, endpoint, {}, lines)

    def finish(self, probes: Probes, messages: int) -> None:
        """Wait until every message was looked at, the acknowledgement too. Raises RuntimeError when that does not come,
        or when something was found.
        """
        until = time.monotonic() + DRAIN_SECONDS
        while faults := list(self._faults(probes.status(), messages + 1)):
            if time.monotonic() > until:
                raise RuntimeError(", ".join(faults))
            time.sleep(0.05)

    def _faults(self, status: Any, messages: int) -> Iterator[str]:
        schema, drift = status["schema"], status["drift"]
        if self._checked and (schema["checked"], sum(schema["violations"].values())) != (messages, 0):
            yield f"has not found all messages valid: {schema}"
        if self._drift:
            seen = drift["looked_at"] + (drift["passed_over"] if self._drift == "sample" else 0)
            if (drift["days_before"], seen, drift["changes"]) != (True, messages, 0):
                yield f"has not compared all messages, or has found drift: {drift}"


OBSERVING = (
    SsmdObserving(CHECKED, checked=True),
    SsmdObserving(DRIFT_SAMPLE, drift="sample"),
    SsmdObserving(DRIFT_ALL, drift="all"),
    SsmdObserving(BOTH, checked=True, drift="all"),
)


@cache
def _shapes() -> dict[str, TypeShape]:
    """Return the shapes of the load source's messages."""
    cycle, learner, reader = Cycle(), ShapeLearner(), KalshiReader()
    payloads = [cycle.text(number) for number in range(_LEARNED)]
    learner.add(payloads, [type for type, _ in reader.read(payloads)], 0)
    return learner.types()


def _write_day_before(storage: Path) -> None:
    """Write the shape of a day before, as sealing it would have left it."""
    day = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    (storage / day).mkdir(parents=True)
    write_shape(storage / day, "bench", Shape("bench", day, _LEARNED, "", ["kalshi"], _shapes()))
