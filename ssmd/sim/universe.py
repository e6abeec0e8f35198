"""All markets of the simulated Kalshi: the fixed ones, and those that are born. Pure; the time is an argument.

Every connection to a simulator, and its REST interface, has the same universe. What happens in it is a list of steps,
from which each connection reads on at its own pace.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ssmd.sim.births import SECOND, SERIES, Birth, Births, Family, births_in
from ssmd.sim.born import GONE, Born, Listed
from ssmd.sim.event import Event
from ssmd.sim.index import Entry, Index
from ssmd.sim.lifecycle import announced, event_announced
from ssmd.sim.pool import Pool

__all__ = ["FIXED", "Step", "Universe"]

_FAMILY = Family("KXSIM", "Simulated question", "World", 1.0)

FIXED = tuple(f"{_FAMILY.ticker}-{letter}" for letter in "ABCDEFGH")
"""The markets that are always open."""

_FIXED_SINCE = Births(open_after=0, life=2_335_996_800)
_FIXED_AT_US = 1_766_361_600_000_000
"""They were born on 22 December 2025, and close at the end of 2099."""

_KEPT_STEPS = 50_000
_FEWEST_TO_PURGE = 1000
_NEVER = sys.maxsize


class Step(NamedTuple):
    """One thing that happened to a market."""

    name: str
    """created, opened, closed, or the event_type of a life cycle message."""
    ticker: str
    messages: Sequence[Event]
    """What is sent about it: nothing when a market opens or closes by time."""


class Universe:
    """The markets and events at a time, which advance() sets."""

    def __init__(self, seed: int, births: Births | None = None, now_us: int = 0) -> None:
        """With births there are already the markets that were born before `now_us`."""
        self.births = births or Births()
        self.markets: dict[str, Born] = {}
        self.events: dict[str, Listed] = {}
        self.families = {family.ticker: family for family in (_FAMILY, *(SERIES if self.births.per_hour else ()))}
        self.open = Pool()
        self.by_created, self.by_closed, self.by_updated = Index(), Index(), Index()
        self.events_by_created = Index()
        self.by_series = {ticker: Index() for ticker in self.families}
        self.next_us = _NEVER
        """When the next step is due."""
        self._seed = seed
        self._due: list[tuple[int, int, Birth | Born]] = []
        self._count = 0
        self._gone = 0
        self._since_us = now_us
        self._steps: list[Step] = []
        self._first = 0
        for strike, ticker in enumerate(FIXED, 1):
            birth = Birth(_FIXED_AT_US, ticker, _FAMILY.ticker, _FAMILY, strike, "", wins=True)
            self._bear(birth, _FIXED_SINCE).take_step("opened", _FIXED_AT_US)
            self.open.opened(ticker)
        if self.births.per_hour:
            oldest_us = now_us - self.births.passing_us(self.births.listed_seconds)
            self._slot = max(1, oldest_us // self.births.slot_us)
            self.next_us = 0
            self.advance(now_us)

    @property
    def end(self) -> int:
        """The position after the last step."""
        return self._first + len(self._steps)

    def since(self, position: int) -> Sequence[Step] | None:
        """Return the steps from a position on; None when the first of them are not kept any more."""
        return None if position < self._first else self._steps[position - self._first :]

    def is_open(self, ticker: str) -> bool:
        """Return whether a market is open. A market that is not of this universe always is."""
        market = self.markets.get(ticker)
        return market.status == "active" if market else not self._may_be_born(ticker)

    def advance(self, now_us: int) -> None:
        """Let everything happen that is due by this time; nothing for a time that has passed already."""
        if now_us < self.next_us:
            return
        span = self.births.slot_us
        while self._slot * span <= now_us:
            for birth in births_in(self._slot, self._seed, self.births):
                self._plan(birth.at_us, birth)
            self._slot += 1
        while self._due and self._due[0][0] <= now_us:
            self._happen(*heapq.heappop(self._due))
        self.next_us = min(self._due[0][0] if self._due else _NEVER, self._slot * span)
        if len(self._steps) > 2 * _KEPT_STEPS:
            self._first += _KEPT_STEPS
            del self._steps[:_KEPT_STEPS]

    def _may_be_born(self, ticker: str) -> bool:
        """Return whether it is the ticker of a market that is born some day, or was once listed."""
        return any(ticker.startswith(f"{family}-") for family in self.families if family != _FAMILY.ticker)

    def _plan(self, at_us: int, what: Birth | Born) -> None:
        self._count += 1
        heapq.heappush(self._due, (at_us, self._count, what))

    def _happen(self, at_us: int, _: int, what: Birth | Born) -> None:
        step, is_new = "created", False
        if isinstance(what, Birth):
            is_new = what.event not in self.events
            market = self._bear(what, self.births)
        else:
            market, (_, step) = what, what.next_step(self.births)
            self._take_step(market, step, at_us)
        if step == GONE:
            return
        self._plan(market.next_step(self.births)[0], market)
        if at_us > self._since_us:
            event = self.events[market.event]
            messages = [event_announced(event)] if is_new else []
            messages += announced(step, market, event, self.births)
            self._steps.append(Step(step, market.ticker, messages))

    def _bear(self, birth: Birth, births: Births) -> Born:
        listed = self.events.get(birth.event)
        if listed is None:
            listed = self.events[birth.event] = Listed(birth.event, birth.family, birth.at_us)
            self.events_by_created.enter(birth.at_us, birth.event)
        listed.markets[birth.ticker] = None
        self.by_created.enter(birth.at_us, birth.ticker)
        self.by_series[birth.family.ticker].enter(birth.at_us, birth.ticker)
        self.by_updated.enter(birth.at_us, birth.ticker)
        self.open.add(birth.ticker, is_open=False)
        market = self.markets[birth.ticker] = Born(birth, births)
        return market

    def _take_step(self, market: Born, step: str, at_us: int) -> None:
        if step == GONE:
            self._remove(market)
            return
        market.take_step(step, at_us)
        self.by_updated.enter(at_us, market.ticker)
        if market.status == "active":
            self.open.opened(market.ticker)
        else:
            self.open.closed(market.ticker)
        if step == "closed":
            self.by_closed.enter(market.close_ts * SECOND, market.ticker)

    def _remove(self, market: Born) -> None:
        del self.markets[market.ticker]
        self.open.remove(market.ticker)
        listed = self.events[market.event]
        del listed.markets[market.ticker]
        if not listed.markets:
            del self.events[market.event]
        self._gone += 1
        # Removing each one from the indexes would look at all others every time.
        if self._gone > max(_FEWEST_TO_PURGE, len(self.markets)):
            self._gone = 0
            self._purge()

    def _purge(self) -> None:
        for index in (self.by_created, self.by_closed, *self.by_series.values()):
            index.purge(lambda entry: entry.ticker in self.markets)
        self.events_by_created.purge(self._is_event)
        self.by_updated.purge(self.is_last_update)

    def _is_event(self, entry: Entry) -> bool:
        listed = self.events.get(entry.ticker)
        return listed is not None and listed.created_us == entry.at_us

    def is_last_update(self, entry: Entry) -> bool:
        """Return whether an entry of `by_updated` is a market's last one."""
        market = self.markets.get(entry.ticker)
        return market is not None and market.updated_us == entry.at_us
