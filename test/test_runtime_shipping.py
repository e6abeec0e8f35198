"""What the companion that ships has reported, as metrics and in /status."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.shipping import STALE_SECONDS, Shipping, shipping_of
from ssmd.runtime.status import Status

UNTIL = {"day": "2026-11-28", "offset": 500, "line": 5, "last": "2026-11-28T09:00:00.000000Z"}
REPORT = {
    "engine": "nats",
    "up": True,
    "messages": 5,
    "failures": 1,
    "lag_bytes": 100,
    "lag_seconds": 0.25,
    "error": None,
    "shipped_until": UNTIL,
}
UNKNOWN = REPORT | {"up": False, "lag_bytes": None, "lag_seconds": None, "shipped_until": None, "error": "it is gone"}


def ship(report: dict, **state) -> CompanionState:
    return CompanionState(**{"up": True, "report": report, "reported": time.monotonic(), **state})


def values(state: CompanionState | None) -> dict[str, float]:
    registry = CollectorRegistry()
    Metrics(registry, "kalshi", Status(companions={} if state is None else {"ship": state}))
    samples = [sample for family in registry.collect() for sample in family.samples if "ship" in sample.name]
    assert all(sample.labels == {"feed": "kalshi", "shard": "", "engine": "nats"} for sample in samples)
    return {sample.name: sample.value for sample in samples}


@pytest.mark.parametrize("state", [None, CompanionState(), CompanionState(starts=1, failures=1, error="no library")])
def test_without_a_report_there_is_no_series(state):
    assert values(state) == {}
    assert shipping_of({} if state is None else {"ship": state}) is None


def test_what_it_reports_is_shown():
    assert shipping_of({"ship": ship(REPORT)}) == Shipping("nats", True, 5, 1, 100, 0.25, UNTIL, None)
    assert values(ship(REPORT)) == {
        "ssmd_ship_up": 1,
        "ssmd_ship_lag_bytes": 100,
        "ssmd_ship_lag_seconds": 0.25,
        "ssmd_shipped_messages_total": 5,
        "ssmd_ship_failures_total": 1,
    }


def test_what_is_not_known_has_no_series():
    assert shipping_of({"ship": ship(UNKNOWN)}) == Shipping("nats", False, 5, 1, None, None, None, "it is gone")
    counts = {"ssmd_shipped_messages_total": 5, "ssmd_ship_failures_total": 1}
    assert values(ship(UNKNOWN)) == {"ssmd_ship_up": 0, **counts}


@pytest.mark.parametrize("change", [{"up": False}, {"reported": time.monotonic() - STALE_SECONDS}])
def test_of_one_that_has_ended_or_is_frozen_the_lag_is_not_known(change):
    state = ship(REPORT, error="it was killed", **change)
    assert shipping_of({"ship": state}) == Shipping("nats", False, 5, 1, None, None, UNTIL, "it was killed")
    assert "ssmd_ship_lag_bytes" not in values(state)
