"""A rule longer than a minute: the exchange's time passes a hundred times as fast, and that of the description too."""

from __future__ import annotations

import gevent
from exchange_runs import ExchangeRun

FASTER = 100
IDLE_SECONDS = 600
"""After so long without a message of the client, Bybit cuts the connection."""


def faster(version, environment):
    for message in version["dialect"]["keep_alive"]:
        message["every_seconds"] /= FASTER


def without_keep_alive(version, environment):
    del version["dialect"]["keep_alive"]


def test_bybit_does_not_cut_a_client_that_pings(tmp_path):
    with ExchangeRun(tmp_path, "bybit", change=faster, faster=FASTER) as run:
        run.connect()
        gevent.sleep(1.3 * IDLE_SECONDS / FASTER)
        assert run.end() == 0


def test_bybit_cuts_a_client_that_does_not(tmp_path):
    with ExchangeRun(tmp_path, "bybit", change=without_keep_alive, faster=FASTER) as run:
        stopped = run.stopped()
    assert (run.process.returncode, "without a close frame" in stopped["reason"]) == (75, True)
    assert run.seconds_connected() > IDLE_SECONDS / FASTER - 1
