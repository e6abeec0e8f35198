"""Which markets the simulated Kalshi gives birth to, and when. Pure.

Time is divided into slots, with PER_SLOT births in each. What is born in a slot depends on the seed and on the number
of the slot, which are counted from the epoch. So at any time there are the same markets, whenever the simulator was
started: a simulator that is started again goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

from ssmd.errors import UsageError, visible

__all__ = ["BIRTHS", "DETERMINED_AFTER", "LISTED_AFTER", "SECOND", "SERIES", "Birth", "Births", "Family", "births_in"]

SECOND = 1_000_000
"""Times are in microseconds since the epoch, unless their name ends in _ts: then in seconds, as Kalshi sends them."""

PER_SLOT = 4
"""How many markets are born in one slot: some in a new event, the others in the event of the slot before."""

DETERMINED_AFTER = 10
"""Seconds from the closing of a market to its result; the settlement follows after the same time."""

LISTED_AFTER = 3600
"""Seconds for which a settled market is still listed. At Kalshi it is months."""

_MOST_AT_ONCE = 1_000_000

BIRTHS: dict[str, str] = {
    "births": "how many markets are born in an hour; 0 for none",
    "open-after": "how many seconds after its birth a market opens",
    "life": "for how many seconds it is open",
    "faster": "markets are born, open, close and settle so many times as fast",
}
"""Each setting as a user writes it, and what it does."""


class Births(NamedTuple):
    """How many markets are born, and how long they live."""

    per_hour: float = 0
    open_after: float = 60
    """Seconds."""
    life: float = 900
    """Seconds from opening to closing. Kalshi has many markets of 15 minutes."""
    faster: float = 1
    """How many times as fast all this passes. The times in messages and answers are those of the clock."""

    @classmethod
    def parse(cls, texts: Mapping[str, str | None]) -> Births:
        """Return the settings with these values by name; None stands for the default. Raises UsageError."""
        given = [texts.get(name) for name in BIRTHS]
        values = zip(BIRTHS, given, cls(), strict=True)
        births = cls(*(float(default) if text is None else _number(name, text) for name, text, default in values))
        if births.at_once > _MOST_AT_ONCE:
            remedy = f"at most {_MOST_AT_ONCE:,} are possible, so make births or life smaller"
            raise UsageError(f"births and life would make {births.at_once:,.0f} markets at once; {remedy}")
        return births

    @property
    def listed_seconds(self) -> float:
        """For how long a market is listed, in seconds of its life."""
        return self.open_after + self.life + 2 * DETERMINED_AFTER + LISTED_AFTER

    @property
    def at_once(self) -> float:
        """How many markets are listed at any time."""
        return self.per_hour * self.listed_seconds / 3600

    @property
    def slot_us(self) -> int:
        """How long a slot is. There are no births without a rate, which is for the caller to check."""
        return max(1, round(PER_SLOT * 3600 * SECOND / (self.per_hour * self.faster)))

    def passing_us(self, seconds: float) -> int:
        """Return how long it takes until so many seconds of a market's life have passed."""
        return round(seconds * SECOND / self.faster)


class Family(NamedTuple):
    """A series of events."""

    ticker: str
    """It cannot be cut out of the ticker of a market: that of a real series may have a dash too."""
    title: str
    category: str
    step: float
    """From the strike of one market of an event to that of the next. Tickers of real markets have such decimals too."""


SERIES = (
    Family("KXSIMBTC", "Simulated Bitcoin price", "Crypto", 249.99),
    Family("KXSIMETH", "Simulated Ethereum price", "Crypto", 20.0),
    Family("KXSIMHIGHNY", "Simulated highest temperature in New York", "Climate and Weather", 1.0),
    Family("KXSIMWINS-NYM", "Simulated wins of one team", "Sports", 1.0),
)
"""The series in which markets are born."""


class Birth(NamedTuple):
    """The birth of one market."""

    at_us: int
    ticker: str
    event: str
    family: Family
    strike: float
    """It is about whether the event's value is above this."""
    turn: str
    """What happens to it while it is open, apart from trading: deactivated, close_date_updated, or nothing."""
    wins: bool
    """Whether its result will be yes."""


def births_in(slot: int, seed: int, births: Births) -> Iterator[Birth]:
    """Yield what is born in a slot, in the order of time."""
    span = births.slot_us
    rng = _random(seed, slot)
    family, event = _event(slot, span)
    new = 1 + int(rng.random() * PER_SLOT)
    at_us = slot * span + int(rng.random() * span / 2)
    for number in range(new):
        yield _birth(at_us + number * span // 1000, event, family, number, rng)
    if new < PER_SLOT:
        # The event of the slot before gets more markets, as real events do when a price leaves their range.
        family, event = _event(slot - 1, span)
        at_us = slot * span + int((1 + rng.random()) * span / 2)
        for number in range(PER_SLOT, 2 * PER_SLOT - new):
            yield _birth(at_us, event, family, number, rng)


def _birth(at_us: int, event: str, family: Family, number: int, rng: Random) -> Birth:
    kind = rng.random()
    turn = "deactivated" if kind < 0.05 else "close_date_updated" if kind < 0.15 else ""
    strike = round((number + 1) * family.step, 2)
    return Birth(at_us, f"{event}-T{strike:g}", event, family, strike, turn, rng.random() < 0.5)


def _random(seed: int, slot: int) -> Random:
    # Nothing secret is made with it.
    return Random(f"{seed}/{slot}")  # nosec B311


def _event(slot: int, span: int) -> tuple[Family, str]:
    """Return the series and the ticker of a slot's event. The series take turns, so that none is without a market."""
    family = SERIES[slot % len(SERIES)]
    day = slot * span // (86_400 * SECOND)
    day_text = time.strftime("%y%b%d", time.gmtime(day * 86_400)).upper()
    return family, f"{family.ticker}-{day_text}-{slot - day * 86_400 * SECOND // span}"


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    least = 0.001 if name in ("life", "faster") else 0
    if not least <= value <= 1e9:
        raise UsageError(f"{name} must be a number{', 0 or more' if not least else ' above 0'}, not '{visible(text)}'")
    return value
