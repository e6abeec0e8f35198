"""GET /markets on a large universe: a page looks at its own rows, and not at all markets."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from ssmd.sim.births import SECOND, Births
from ssmd.sim.rest.markets import markets_page
from ssmd.sim.rest.query import Query
from ssmd.sim.universe import Universe

NOW = 1_790_000_000 * SECOND


class Counting(dict[str, Any]):
    """Counts how often a market is looked at."""

    looks = 0

    def get(self, *arguments: Any) -> Any:
        self.looks += 1
        return super().get(*arguments)


@pytest.fixture(scope="module")
def universe() -> Universe:
    """Some 16,000 markets, of which 12,000 are open."""
    found = Universe(1, Births(per_hour=3600, life=12_000), NOW)
    assert len(found.open.open) > 10_000
    found.markets = Counting(found.markets)
    return found


@pytest.mark.parametrize(
    ("params", "most"),
    [
        ({}, 101),
        ({"series_ticker": "KXSIMETH"}, 101),
        ({"status": "closed"}, 101),
        ({"status": "unopened"}, 101),
        ({"min_created_ts": NOW // SECOND - 3600}, 101),
        # Each is looked at twice, to see whether it was updated once more, and those that were in between.
        ({"min_updated_ts": NOW // SECOND - 60}, 350),
        ({"event_ticker": "KXSIM"}, 8),
        ({"tickers": "KXSIM-A,KXSIM-C,KXNONE"}, 2),
        # Some others are in between: those that are paused, or not open yet.
        ({"status": "open"}, 250),
        ({"status": "open", "series_ticker": "KXSIMETH"}, 250),
    ],
)
def test_a_page_looks_at_its_own_rows(universe: Universe, params: dict[str, Any], most: int) -> None:
    cursor, pages = "", 0
    while pages < 20:
        universe.markets.looks = 0  # type: ignore[attr-defined]
        page = markets_page(universe, Query(urlencode(params | {"cursor": cursor, "limit": 100})), NOW)
        assert page.tickers
        assert universe.markets.looks <= most  # type: ignore[attr-defined]
        pages += 1
        if not (cursor := page.cursor):
            break
