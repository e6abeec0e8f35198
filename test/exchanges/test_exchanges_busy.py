"""All exchanges at their real times, with data all the time: no run is cut, and all that was asked for comes."""

from __future__ import annotations

from typing import Any, NamedTuple

import gevent
import pytest
from exchange_runs import NAMES, described, side_by_side
from process import ssmd

LONGEST_SECONDS = 92
"""The longest rule up to a minute takes so long: Binance's first ping after 20 s and a minute for its pong, the 60 to
90 s that Coinbase waits for a message. And a little."""


class Outcome(NamedTuple):
    status: dict[str, Any]
    exit_code: int
    stopped: dict[str, Any]
    verified: Any


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("busy")
    with side_by_side(folder, NAMES, rate=20) as runs:
        gevent.sleep(LONGEST_SECONDS)
        statuses = {name: run.status() for name, run in runs.items() if run.process.poll() is None}
        codes = {name: run.end() for name, run in runs.items()}
    return {
        name: Outcome(statuses.get(name, {}), codes[name], run.events[-1], ssmd("verify", run.data))
        for name, run in runs.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_not_cut(outcomes, name):
    outcome = outcomes[name]
    assert (outcome.exit_code, outcome.stopped["reason"]) == (0, "SIGTERM")
    assert outcome.status["state"] == "collecting", outcome.status["missing"]
    assert outcome.stopped["messages"] > 10 * LONGEST_SECONDS
    assert outcome.verified.returncode == 0, outcome.verified


@pytest.mark.parametrize("name", NAMES)
def test_what_was_asked_for_is_confirmed_and_heard(outcomes, name):
    channels = outcomes[name].status["channels"]
    assert channels
    for channel in channels:
        assert channel["confirmed"] is (True if "confirmed" in described(name) else None), channel
        # Of a channel without markets it is only known when the last message came.
        assert channel["asked"] in ("all", channel["heard"]), channel


@pytest.mark.parametrize("name", NAMES)
def test_no_loss_is_reported(outcomes, name):
    is_numbered = "sequence" in described(name).get("paths", {})
    assert outcomes[name].stopped["gaps"] == (0 if is_numbered else None)
    assert outcomes[name].stopped["not_json"] == 0
