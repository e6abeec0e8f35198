"""Until when a feed was connected: while its collector works, after it was killed, and on days without a message."""

from __future__ import annotations

import fcntl
from pathlib import Path

import gevent
from patience import PATIENCE
from recorded import fail
from recorded_runs import Run, at, record_run, seal_all

from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.store.timestamps import day_begins


def figures(storage: Path, now_ns: int) -> dict[str, Figures]:
    found = gather(storage, 400, now_ns, trouble=fail, progress=lambda file: None)
    return {day.day: day for day in found}


def percent(day: Figures) -> float:
    """Return the coverage, which must be known, to a hundredth."""
    assert day.coverage is not None
    return round(day.coverage, 2)


def test_a_connection_is_open_as_long_as_its_collector_works(tmp_path):
    """It has had no message since noon of the 20th. Then it is killed, and later another one starts and connects."""
    run = Run(tmp_path, at("20T12:00:00"))
    run.note("connected", at("20T12:00:00"))
    run.message(at("20T12:00:01"))
    assert figures(tmp_path, at("20T18:00:00"))["2025-12-20"].known_ns == at("20T12:00:01") - at("20T00:00:00")
    open_ = {day: percent(each) for day, each in figures(tmp_path, at("30T10:00:00")).items()}
    assert open_ == {f"2025-12-{day}": 50 if day == 20 else 100 for day in range(20, 31)}
    assert figures(tmp_path / "2025-12-20", at("30T10:00:00"))["2025-12-20"].seconds_out == 12 * 3600
    run.kill()
    assert list(figures(tmp_path, at("30T10:00:00"))) == ["2025-12-20"]
    killed = figures(tmp_path, at("22T10:00:00"))
    assert [(day, percent(each), each.seconds_out) for day, each in killed.items()] == [
        ("2025-12-20", 0, 24 * 3600 - 1),
        ("2025-12-21", 0, 24 * 3600),
        ("2025-12-22", 0, 10 * 3600),
    ]
    again = Run(tmp_path, at("20T15:00:00"))
    [waiting] = figures(tmp_path, at("20T16:00:00")).values()
    assert [(gap.from_[11:19], gap.cause) for gap in waiting.outages][1:] == [("12:00:01", "killed")]
    again.note("connected", at("20T16:00:00"))
    again.message(at("20T17:00:00"))
    [open_again] = figures(tmp_path, at("20T18:00:00")).values()
    assert [gap.to[11:19] for gap in open_again.outages] == ["12:00:00", "16:00:00"]
    again.kill()


def test_a_collector_can_start_while_a_report_looks_at_its_lock(tmp_path, monkeypatch):
    run = Run(tmp_path, at("20T12:00:00"))
    run.note("connected", at("20T12:00:00"))
    run.kill()
    starting: list[gevent.Greenlet[Run]] = []
    real = fcntl.flock

    def flock(fd: int, operation: int) -> None:
        real(fd, operation)
        if operation & fcntl.LOCK_SH:
            starting.append(gevent.spawn(Run, tmp_path, at("20T13:00:00")))
            gevent.sleep(0.3)  # Keep the lock until the collector has tried to take it.

    monkeypatch.setattr(fcntl, "flock", flock)
    assert figures(tmp_path, at("20T14:00:00"))["2025-12-20"].outages[-1].to[11:19] == "14:00:00"
    [start] = starting
    start.get(timeout=PATIENCE).kill()


def test_a_day_without_a_message_counts_when_a_later_message_proves_the_connection(tmp_path):
    times = ("20T12:00:00", "20T12:00:01", "22T12:00:00")
    record_run(tmp_path, *map(at, times), end_ns=at("22T13:00:00"))
    for _ in ("not sealed", "sealed"):
        found = figures(tmp_path, day_begins("2026-06-01"))
        assert {day: (percent(each), len(each.outages)) for day, each in found.items()} == {
            "2025-12-20": (50, 1),
            "2025-12-21": (100, 0),
            "2025-12-22": (54.17, 1),
        }
        seal_all(tmp_path)
        assert len(list(tmp_path.glob("*/kalshi.manifest.json"))) == 2
