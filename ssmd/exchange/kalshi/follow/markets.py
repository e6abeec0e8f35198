"""The markets that one connection follows: which are to be subscribed to, and until when. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ssmd.exchange.kalshi.follow.matcher import Matcher

__all__ = ["DETERMINED_MS", "OPENING_SECONDS", "SETTLED_MS", "Found", "Markets", "Subscription"]

SETTLED_MS = 60_000
"""How long a market stays after it is settled: messages about its end may still come, and it takes up room."""
DETERMINED_MS = 86_400_000
"""How long it stays after its result is determined. Settlement takes up to 12 hours, and then counts; until then the
result may be disputed or amended, and the market may open again."""
OPENING_SECONDS = 30
"""How long before it opens a market is taken up, where markets that are not open yet are not followed."""
_FEWEST_LACKING = 100
"""A listing that lacks more markets, and more than half of those that should be in it, is not believed."""


class Subscription(NamedTuple):
    """One subscription that follows markets."""

    number: int
    """Its place in the environment's `subscribe` list, from 1."""
    matcher: Matcher
    status: frozenset[str]
    """In which states a market is taken up."""


class Found(NamedTuple):
    """A market that the exchange has, from an answer or a message."""

    ticker: str
    event: str
    """Empty when it is not known."""
    state: str
    """One of STATUSES, or settled."""
    open_seconds: float = 0.0
    """Unix seconds; 0 when it is not known."""
    close_seconds: float = 0.0


class _Followed(msgspec.Struct, gc=False):
    numbers: tuple[int, ...]
    """The subscriptions that have it."""
    listing: int
    """The number of the last whole listing that had it, or in whose time it was found."""
    close_seconds: float


class Markets:
    """`takes`: whether a market belongs to this shard. `most`: how many may be followed; None for no limit."""

    def __init__(
        self, subscriptions: Sequence[Subscription], takes: Callable[[str], bool], most: int | None
    ) -> None:
        self._subscriptions = subscriptions
        self._takes = takes
        self._most = most
        self._followed: dict[str, _Followed] = {}
        self._over: dict[str, _Followed] = {}
        """Those for which there is no room."""
        self._later: dict[str, tuple[tuple[int, ...], Found]] = {}
        """Those that are taken up when they open."""
        self._openings: list[tuple[float, str]] = []
        """A heap of the times at which these are taken up, Unix seconds."""
        self._ends: dict[int, dict[str, int]] = {SETTLED_MS: {}, DETERMINED_MS: {}}
        """By the time that they stay: the markets that are not followed much longer, each with its last time, in
        order."""
        self._add: dict[int, dict[str, None]] = {each.number: {} for each in subscriptions}
        self._remove: dict[int, dict[str, None]] = {each.number: {} for each in subscriptions}
        self._before: dict[str, None] = {}
        """The markets that were followed before the configuration changed, until the next whole listing."""
        self.listing = 0
        """The number of the present whole listing, or of the last one."""
        self.counts: Counter[int] = Counter()
        """By subscription, how many markets it follows."""

    def __len__(self) -> int:
        """Return how many markets are to be collected, those included for which there is no room."""
        return len(self._followed) + len(self._over)

    def __contains__(self, ticker: str) -> bool:
        return ticker in self._followed

    @property
    def over(self) -> int:
        """For how many of them there is no room."""
        return len(self._over)

    @property
    def have_changes(self) -> bool:
        return any(self._add.values()) or any(self._remove.values())

    def changes(self) -> Iterator[tuple[int, Sequence[str], Sequence[str]]]:
        """Yield each subscription that has changed since the last call, with the markets to add and to remove."""
        for number, add in self._add.items():
            remove = self._remove[number]
            if add or remove:
                yield number, list(add), list(remove)
                self._add[number], self._remove[number] = {}, {}

    def is_ours(self, ticker: str) -> bool:
        """Return whether this connection is for a market, if it is followed at all."""
        return self._takes(ticker)

    def decide(self, ticker: str, event: str, series: str) -> tuple[tuple[int, ...], bool]:
        """Return the subscriptions that follow a market, and whether more of its names are needed to know all of
        them.
        """
        answers = [(each.number, each.matcher.follows(ticker, event, series)) for each in self._subscriptions]
        return tuple(number for number, follows in answers if follows), any(follows is None for _, follows in answers)

    def looks_followed(self, name: str) -> bool:
        """Return whether an event or a market is probably followed, by how its name begins."""
        return any(each.matcher.looks_followed(name) for each in self._subscriptions)

    def seen(self, ticker: str, state: str) -> bool:
        """Record that a market is in an answer; return whether it is known already."""
        known = self._followed.get(ticker) or self._over.get(ticker)
        if known is not None:
            known.listing = self.listing
            if state in ("unopened", "open", "paused"):
                self.stays(ticker)
        return known is not None or ticker in self._later

    def follow(self, found: Found, numbers: Collection[int], now_ms: int) -> bool:
        """Follow a market in these subscriptions, as far as they take up markets in its state.

        Returns whether it is now, or will be later.
        """
        status = {each.number: each.status for each in self._subscriptions}
        now = [number for number in numbers if found.state in status[number]]
        if now:
            self._take_up(found, now)
            return True
        if found.state == "unopened" and found.open_seconds and found.ticker not in self._later:
            later = tuple(number for number in numbers if "open" in status[number])
            if later:
                self._later[found.ticker] = later, found
                heapq.heappush(self._openings, (found.open_seconds - OPENING_SECONDS, found.ticker))
                self.pass_time(now_ms)
                return True
        return False

    def _take_up(self, found: Found, numbers: Collection[int]) -> None:
        ticker = found.ticker
        known = self._followed.get(ticker) or self._over.get(ticker)
        if known is None:
            known = _Followed((), self.listing, found.close_seconds)
            has_room = self._most is None or len(self._followed) < self._most
            (self._followed if has_room else self._over)[ticker] = known
        new = [number for number in numbers if number not in known.numbers]
        known.numbers = (*known.numbers, *new)
        if ticker in self._followed:
            self._begin(ticker, new)

    def _begin(self, ticker: str, numbers: Collection[int]) -> None:
        for number in numbers:
            self._remove[number].pop(ticker, None)
            self._add[number][ticker] = None
            self.counts[number] += 1

    def ends(self, ticker: str, kept_ms: int, now_ms: int) -> None:
        """Follow a market only so much longer: SETTLED_MS or DETERMINED_MS."""
        self.stays(ticker)
        self._later.pop(ticker, None)
        if kept_ms == SETTLED_MS:
            self._over.pop(ticker, None)
        if ticker in self._followed or ticker in self._over:
            self._ends[kept_ms][ticker] = now_ms + kept_ms

    def stays(self, ticker: str) -> None:
        """Follow a market on that was about to end."""
        for ends in self._ends.values():
            ends.pop(ticker, None)

    def pass_time(self, now_ms: int) -> None:
        """Take up what opens soon, and remove what has ended."""
        while self._openings and self._openings[0][0] <= now_ms / 1000:
            _, ticker = heapq.heappop(self._openings)
            if waiting := self._later.pop(ticker, None):
                numbers, found = waiting
                self._take_up(found, numbers)
        for ends in self._ends.values():
            while ends and next(iter(ends.values())) <= now_ms:
                ticker = next(iter(ends))
                del ends[ticker]
                self._end(ticker)

    def _end(self, ticker: str) -> None:
        self.stays(ticker)
        if self._over.pop(ticker, None) is not None:
            return
        known = self._followed.pop(ticker, None)
        for number in known.numbers if known else ():
            self.counts[number] -= 1
            if ticker in self._add[number]:
                del self._add[number][ticker]
            else:
                self._remove[number][ticker] = None
        if self._over:
            ticker = next(iter(self._over))
            self._followed[ticker] = self._over.pop(ticker)
            self._begin(ticker, self._followed[ticker].numbers)

    def replace(self, before: Markets) -> None:
        """Take the place of other Markets. What was followed there stays until the next whole listing is complete."""
        self._before = {**before._before, **dict.fromkeys(before._followed)}

    def end_listing(self, now_ms: int) -> str | None:
        """Remove the markets that neither this whole listing nor the one before has had.

        Returns why the listing is not believed, None when it is: an exchange in trouble may list too few.
        """
        for remove in self._remove.values():
            remove.update((ticker, None) for ticker in self._before if ticker not in self._followed)
        self._before = {}
        known = {**self._followed, **self._over}
        due = [each.listing for each in known.values() if each.close_seconds * 1000 > now_ms]
        lacking = sum(listing < self.listing for listing in due)
        if lacking > max(_FEWEST_LACKING, len(due) // 2):
            for each in known.values():
                each.listing = self.listing
            return f"the listing lacks {lacking:,} of {len(due):,} markets that have not closed; none is removed"
        for ticker in [ticker for ticker, each in known.items() if each.listing < self.listing - 1]:
            self._end(ticker)
        return None
