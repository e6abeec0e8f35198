"""All exchanges at their real times, alive but without data: `data_timeout_seconds` of conf/ ends the run."""

from __future__ import annotations

import pytest
from exchange_runs import NAMES, side_by_side


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with side_by_side(tmp_path_factory.mktemp("frozen"), NAMES, "freeze-after=100") as runs:
        for run in runs.values():
            run.stopped()
        return runs


@pytest.mark.parametrize("name", NAMES)
def test_heartbeats_without_data_end_the_run(runs, name):
    run = runs[name]
    assert run.process.returncode == 75
    assert "data_timeout_seconds" in run.events[-1]["reason"]
    assert run.seconds_connected() > run.environment["data_timeout_seconds"] - 1
