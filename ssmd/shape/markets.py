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
_EXACT_MARKETS, _EXACT_MESSAGES = 10_000, 200_000
"""On a day with more of both, only some of the messages after that are counted. With so many markets the processor
waits for the memory at every message, which would make reading a large day much slower."""
EACH = 16
"""Each so many-th message is counted then."""


class MarketCount:
    """Say with expect() which markets were asked for, then give it the market of each message with add()."""

    def __init__(
        self, most: int = MOST_MARKETS, exact_markets: int = _EXACT_MARKETS, exact_messages: int = _EXACT_MESSAGES
    ) -> None:
        self._most = most
        self._exact = exact_markets, exact_messages
        self._counts: Counter[str] = Counter()
        self._sampled: Counter[str] | None = None
        """The messages that stand for EACH of them; None while every message is counted."""
        self._others = self._messages = self._skip = 0
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

    def add(self, names: Sequence[str] | None) -> None:
        """Count messages, given the market of each; empty for one without. None: it is not known which have one."""
        if names is None:
            self._is_known = False
            return
        self._messages += len(names)
        if self._sampled is not None:
            self._hear(names)
            some = names[self._skip :: EACH]
            self._skip = (self._skip - len(names)) % EACH
            self._count(self._sampled, some, EACH)
        else:
            self._count(self._counts, names, 1)
            if len(self._counts) > self._exact[0] and self._messages > self._exact[1]:
                self._sampled = Counter()
                self._unheard = self._asked - self._counts.keys()
                self._room = len(self._unheard)

    def _hear(self, names: Sequence[str]) -> None:
        self._unheard.difference_update(names)
        if len(self._unheard) <= self._room // 2:
            self._unheard = set(self._unheard)  # A set keeps its memory. A small one is much faster to look into.
            self._room = len(self._unheard)

    def _count(self, counts: Counter[str], names: Sequence[str], each: int) -> None:
        before = len(counts)
        counts.update(names)
        new = list(islice(reversed(counts), len(counts) - before))
        for place, name in enumerate(reversed(new), before):
            if place >= self._most or len(name) > LONGEST_NAME:
                self._others += counts.pop(name) * each

    def found(self) -> Markets | None:
        """Return what was found so far; None when it is not known, or no market was asked for by name or heard from."""
        counts = dict(self._counts)
        for name, count in (self._sampled or {}).items():
            counts[name] = counts.get(name, 0) + count * EACH
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
