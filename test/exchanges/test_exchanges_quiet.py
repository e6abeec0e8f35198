"""All exchanges at their real times, with hardly any data: what the description sends keeps the run connected."""

from __future__ import annotations

import gevent
import pytest
from exchange_runs import NAMES, side_by_side

LONGEST_SECONDS = 92
"""As in test_exchanges_busy.py."""

SECONDS_BETWEEN_DATA = 45
"""Longer than most exchanges wait for a sign of life, and shorter than the `data_timeout_seconds` in conf/."""


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    with side_by_side(tmp_path_factory.mktemp("quiet"), NAMES, rate=1 / SECONDS_BETWEEN_DATA) as runs:
        gevent.sleep(LONGEST_SECONDS)
        return {name: (run.end(), run.events[-1]["reason"]) for name, run in runs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_not_cut(codes, name):
    assert codes[name] == (0, "SIGTERM")
