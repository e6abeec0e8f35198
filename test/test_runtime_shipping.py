"""What the companion that ships has reported, as metrics and in /status."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

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


UPLOAD = REPORT | {"engine": "s3", "lag_seconds": 400.5, "day_overdue_seconds": 7200.0, "live_overdue_seconds": 100.5}


def samples_of(companions: dict[str, CompanionState]) -> list[Sample]:
    registry = CollectorRegistry()
    Metrics(registry, "kalshi", Status(companions=companions))
    samples = [sample for family in registry.collect() for sample in family.samples]
    return [sample for sample in samples if "ship" in sample.name or "upload" in sample.name]


def values(state: CompanionState | None) -> dict[str, float]:
    samples = samples_of({} if state is None else {"ship": state})
    assert all(sample.labels == {"feed": "kalshi", "shard": "", "engine": "nats"} for sample in samples)
    return {sample.name: sample.value for sample in samples}


@pytest.mark.parametrize("state", [None, CompanionState(), CompanionState(starts=1, failures=1, error="no library")])
def test_without_a_report_there_is_no_series(state):
    assert values(state) == {}
    assert shipping_of({} if state is None else {"ship": state}) is None


def test_what_it_reports_is_shown():
    assert shipping_of({"ship": ship(REPORT)}) == Shipping("nats", True, 5, 1, 100, 0.25, UNTIL, None, {})
    assert values(ship(REPORT)) == {
        "ssmd_ship_up": 1,
        "ssmd_ship_lag_bytes": 100,
        "ssmd_ship_lag_seconds": 0.25,
        "ssmd_shipped_messages_total": 5,
        "ssmd_ship_failures_total": 1,
    }


def test_what_is_not_known_has_no_series():
    assert shipping_of({"ship": ship(UNKNOWN)}) == Shipping("nats", False, 5, 1, None, None, None, "it is gone", {})
    counts = {"ssmd_shipped_messages_total": 5, "ssmd_ship_failures_total": 1}
    assert values(ship(UNKNOWN)) == {"ssmd_ship_up": 0, **counts}


@pytest.mark.parametrize("change", [{"up": False}, {"reported": time.monotonic() - STALE_SECONDS}])
def test_of_one_that_has_ended_or_is_frozen_the_lag_is_not_known(change):
    state = ship(REPORT, error="it was killed", **change)
    assert shipping_of({"ship": state}) == Shipping("nats", False, 5, 1, None, None, UNTIL, "it was killed", {})
    assert "ssmd_ship_lag_bytes" not in values(state)


def of_uploads(companions: dict[str, CompanionState]) -> dict[tuple[str, str], float]:
    found = (sample for sample in samples_of(companions) if sample.labels["engine"] == "s3")
    return {(sample.name, sample.labels.get("part", "")): sample.value for sample in found}


def test_an_upload_has_the_same_metrics_beside_those_of_an_engine_and_says_what_is_overdue():
    both = {"ship": ship(REPORT), "upload": ship(UPLOAD)}
    assert shipping_of(both, "upload") == Shipping(
        "s3", True, 5, 1, 100, 400.5, UNTIL, None, {"day": 7200.0, "live": 100.5}
    )
    assert of_uploads(both) == {
        ("ssmd_ship_up", ""): 1,
        ("ssmd_ship_lag_bytes", ""): 100,
        ("ssmd_ship_lag_seconds", ""): 400.5,
        ("ssmd_shipped_messages_total", ""): 5,
        ("ssmd_ship_failures_total", ""): 1,
        ("ssmd_upload_overdue_seconds", "day"): 7200.0,
        ("ssmd_upload_overdue_seconds", "live"): 100.5,
    }
    of_nats = {sample.name for sample in samples_of(both) if sample.labels["engine"] == "nats"}
    assert of_nats == values(ship(REPORT)).keys()


@pytest.mark.parametrize(("part", "other"), [("day", "live"), ("live", "day")])
def test_what_is_not_known_to_be_overdue_has_no_series(part, other):
    found = of_uploads({"upload": ship(UPLOAD | {f"{part}_overdue_seconds": None})})
    assert ("ssmd_upload_overdue_seconds", part) not in found
    assert ("ssmd_upload_overdue_seconds", other) in found


def test_an_upload_without_segments_reports_days_alone():
    report = {key: value for key, value in UPLOAD.items() if key != "live_overdue_seconds"}
    assert [part for _, part in of_uploads({"upload": ship(report)}) if part] == ["day"]


def test_of_an_upload_that_has_ended_it_is_not_known_what_is_overdue():
    found = of_uploads({"upload": ship(UPLOAD, up=False)})
    assert [name for name, part in found if part] == []
    assert found["ssmd_ship_up", ""] == 0
