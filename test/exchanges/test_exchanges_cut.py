"""The simulators apply the rules: a run that does not send what its exchange needs is cut, and not too early."""

from __future__ import annotations

import pytest
from exchange_runs import side_by_side

# For each exchange that needs a sign of life: the seconds after which it ends the connection, and how.
CUT = {
    "coinbase": (60, "without a close frame"),
    "deribit": (10, "4000"),
    "gateio": (30, "without a close frame"),
    "htx": (10, "1003"),
    "htx-books": (10, "1003"),
    "kucoin": (60, "1000"),
    "okx": (30, "4004"),
    "polymarket": (10, "without a close frame"),
}


def without_sign_of_life(version, environment):
    """Take away what keeps the connection alive: for Coinbase a subscription. Only the exchange ends it then."""
    for field in ("keep_alive", "replies"):
        version["dialect"].pop(field, None)
    environment["data_timeout_seconds"] = 3600
    messages = environment["subscribe"]["messages"]
    environment["subscribe"]["messages"] = [each for each in messages if each.get("channel") != "heartbeats"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    options = {"rate": 0.001, "change": without_sign_of_life}
    with side_by_side(tmp_path_factory.mktemp("cut"), CUT, **options) as runs:
        for run in runs.values():
            run.stopped()
        return runs


@pytest.mark.parametrize("name", CUT)
def test_the_exchange_ends_the_connection_at_its_time(runs, name):
    seconds, how = CUT[name]
    run = runs[name]
    assert run.process.returncode == 75
    assert how in run.events[-1]["reason"]
    assert run.seconds_connected() > seconds - 1
