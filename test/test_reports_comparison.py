"""A day compared with the days before it."""

from __future__ import annotations

import pytest

from ssmd.reports.comparison import change
from ssmd.reports.figures import Figures


def test_a_day_is_compared_with_the_mean_of_the_days_before_it():
    usual = [Figures(f"2026-09-{day}", "kalshi", 240, by_hour=[10] * 24) for day in range(10, 18)]
    more = Figures("2026-09-18", "kalshi", 360, by_hour=[15] * 24)
    empty = Figures("2026-09-18", "kalshi")
    half = Figures("2026-09-18", "kalshi", 60, by_hour=[5] * 12 + [0] * 12, known_ns=12 * 3600 * 10**9)
    assert change([*usual, more], 8) == pytest.approx(50)
    assert change([usual[0], empty, more], 2) == pytest.approx(50)  # A day without messages does not count.
    assert change([*usual, half], 8) == pytest.approx(-50)
    assert change(usual, 0) is None
