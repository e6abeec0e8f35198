"""How many messages each market of a day had, and which markets had none: counted while the day is read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from ssmd.shape.shape import Markets
from ssmd.store.asked import ADD, SUBSCRIBE
from ssmd.store.ledger import ASKED, FOLLOWED, Entry

__all__ = ["EACH", "LONGEST_NAME", "MOST_MARKETS", "NAMED", "MarketCount"]

MOST_MARKETS = 200_000
"""How many markets are counted, each by itself; they take some 400 bytes each. The messages of further ones are counted
together."""
LONGEST_NAME = 256
"""A market with a longer name is none of these."""
NAMED = 20
"""How many markets are named: those with the most messages, and those without any."""
_EXACT_MESSAGES = 500_000
"""On a day with more messages, only some of those after that are counted. Looking at each would make reading a large
day slower, most of all where there are many markets: then the processor waits for the memory each time.
"""
EACH = 17
"""Each so many-th block of messages is counted then. A prime number, so that what recurs after a few blocks is counted
as often as it should be."""


class MarketCount:
    """Say with expect() which markets were asked for. Then give it the day's messages, block by block: with add() the
    market of each, or with skip() only their number where `wants_next` is false.
    """

    def __init__(self, most: int = MOST_MARKETS, exact_messages: int = _EXACT_MESSAGES) -> None:
        self._most = most
        self._exact_messages = exact_messages
        self._counts: Counter[str] = Counter()
        self._sampled: Counter[str] | None = None
        """The counts of the blocks that stand for all others; None while every message is counted."""
        self._blocks = self._passed = self._looked_at = 0
        """Since then: the blocks, their messages, and the messages of those blocks that were counted."""
        self._others = self._messages = 0
        self._is_known = True
        """Whether it is known of all messages which have a market."""
        self._asked: set[str] = set()
        self._unheard: set[str] = set()
        """Those of the markets that were asked for which had no message, once not every message is counted."""
        self._room = 0
        """How many there were when that set was made."""

    def expect(self, entries: Iterable[Entry]) -> None:
        """Take the day's ledger, which says which markets were to be collected at some time of it."""
        for entry in entries:
            asks = entry.event == FOLLOWED or (entry.event == ASKED and entry.fields.get("action") in (SUBSCRIBE, ADD))
            names = entry.fields.get("markets") if asks else None
            # A list of names, or a mapping of names to times; or the word `all`. A damaged ledger may have anything.
            if isinstance(names, list | Mapping):
                self._asked.update(name for name in names if isinstance(name, str))

    @property
    def wants_next(self) -> bool:
        """Whether it needs the markets of the next block. They are also needed as long as a market is silent."""
        return self._sampled is None or bool(self._unheard) or self._blocks % EACH == 0

    def add(self, names: Sequence[str] | None) -> None:
        """Count a block of messages, given the market of each; empty for one without. None: it is not known which have
        one.
        """
        if names is None:
            self._is_known = False
            return
        if self._sampled is None:
            self._messages += len(names)
            self._count(self._counts, names)
            if self._messages > self._exact_messages:
                self._sampled = Counter()
                self._unheard = self._asked - self._counts.keys()
                self._room = len(self._unheard)
            return
        self._hear(names)
        if self._blocks % EACH == 0:
            self._looked_at += len(names)
            self._count(self._sampled, names)
        self.skip(len(names))

    def skip(self, messages: int) -> None:
        """Count so many messages as a block whose markets are not looked at."""
        self._messages += messages
        self._passed += messages
        self._blocks += 1

    def _hear(self, names: Sequence[str]) -> None:
        self._unheard.difference_update(names)
        if len(self._unheard) <= self._room // 2:
            self._unheard = set(self._unheard)  # A set keeps its memory. A small one is much faster to look into.
            self._room = len(self._unheard)

    def _count(self, counts: Counter[str], names: Sequence[str]) -> None:
        before = len(counts)
        counts.update(names)
        new = list(islice(reversed(counts), len(counts) - before))
        for place, name in enumerate(reversed(new), before):
            if place >= self._most or len(name) > LONGEST_NAME:
                self._others += counts.pop(name)

    def found(self) -> Markets | None:
        """Return what was found so far; None when it is not known, or no market was asked for by name or heard from."""
        counts = dict(self._counts)
        for name, count in (self._sampled or {}).items():
            counts[name] = counts.get(name, 0) + round(count * self._passed / self._looked_at)
        without = counts.pop("", 0)
        if not self._is_known or not (counts or self._others or self._asked):
            return None
        is_exact = self._sampled is None
        silent = sorted(self._asked - counts.keys() if is_exact else self._unheard)
        is_known = bool(self._asked) and not (is_exact and self._others)
        return Markets(
            messages=self._messages - without,
            exact=is_exact,
            heard=len(counts) if is_exact and not self._others else None,
            top=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NAMED]),
            asked=len(self._asked) if self._asked else None,
            silent=len(silent) if is_known else None,
            silent_names=silent[:NAMED] if is_known else [],
        )
