"""The sealer with the real `ssmd seal`."""

import os
import signal

import gevent

from ssmd.envelope import LineEncoder
from ssmd.runtime.sealer import Sealer

NOON = 1_766_404_800 * 10**9  # 2025-12-22T12:00:00Z


def run(sealer: Sealer, until, seconds: float = 40) -> None:
    serving = gevent.spawn(sealer.serve)
    with gevent.Timeout(seconds):
        while not until():
            gevent.sleep(0.05)
    sealer.stop()
    serving.join(timeout=10)
    assert serving.dead


def make(tmp_path, status, metrics, **environ) -> Sealer:
    day = tmp_path / "2025-12-22"
    day.mkdir()
    (day / "kalshi.jsonl").write_bytes(LineEncoder("kalshi").encode(NOON, [b"1"]))
    (tmp_path / "2025-12-23").mkdir()
    status.connected, status.location = True, str(tmp_path / "2025-12-23" / "kalshi.jsonl")
    return Sealer(
        tmp_path, "kalshi", status=status, metrics=metrics, environ=environ, delay_seconds=0.05, retry_seconds=0.5
    )


def failures(metrics) -> float:
    return metrics.registry.get_sample_value("ssmd_seal_failures_total", {"feed": "kalshi"})


def test_days_before_the_one_being_written_are_sealed(tmp_path, status, metrics):
    sealer = make(tmp_path, status, metrics)
    run(sealer, lambda: (tmp_path / "2025-12-22" / "kalshi.manifest.json").exists())
    assert failures(metrics) == 0


def test_that_it_fails_is_counted_and_ends_nothing(tmp_path, status, metrics, caplog):
    sealer = make(tmp_path, status, metrics)
    (tmp_path / "2025-12-22" / "kalshi.jsonl.zst").touch()
    run(sealer, lambda: failures(metrics) == 1)
    assert any("the day is there in two forms" in getattr(record, "reason", "") for record in caplog.records)


def test_after_a_failure_it_tries_again(tmp_path, status, metrics):
    sealer = make(tmp_path, status, metrics)
    twin = tmp_path / "2025-12-22" / "kalshi.jsonl.zst"
    twin.touch()

    def mended() -> bool:
        if failures(metrics) == 1:
            twin.unlink(missing_ok=True)
        return twin.with_name("kalshi.manifest.json").exists()

    run(sealer, mended)
    assert failures(metrics) >= 1


def test_the_process_gets_no_key(tmp_path, status, metrics):
    sealer = make(tmp_path, status, metrics, KALSHI_API_SECRET="canary", PATH="/bin", PYTHONPATH="x")
    assert sealer._environ == {"PATH": "/bin", "PYTHONPATH": "x"}


def test_nothing_is_done_before_there_is_a_connection(tmp_path, status, metrics):
    sealer = make(tmp_path, status, metrics)
    status.connected = False
    gevent.spawn_later(0.5, sealer.stop)
    with gevent.Timeout(20):
        sealer.serve()
    assert sealer._process is None


def test_the_process_is_out_of_reach_of_ctrl_c_and_ends_with_stop(tmp_path, status, metrics):
    sealer = make(tmp_path, status, metrics)
    os.mkfifo(tmp_path / "2025-12-22" / "kalshi.ledger.jsonl")  # It waits for whoever writes to that.
    groups = []

    def begun() -> bool:
        if sealer._process is not None:
            groups.append(os.getpgid(sealer._process.pid))
        return bool(groups)

    run(sealer, begun)
    assert groups[0] == sealer._process.pid != os.getpgrp()
    assert sealer._process.wait(timeout=10) == -signal.SIGTERM
    assert failures(metrics) == 0
