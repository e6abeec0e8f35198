"""The markets that one connection follows: which are to be subscribed to, and until when. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ssmd.contracts.events import Times
from ssmd.exchange.kalshi.follow.ends import SETTLED_MS, Ends
from ssmd.exchange.kalshi.follow.found import Found
from ssmd.exchange.kalshi.follow.matcher import Matcher
from ssmd.exchange.kalshi.follow.news import News, times_of
from ssmd.exchange.kalshi.follow.openings import Openings

__all__ = ["Markets", "Subscription"]

_FEWEST_LACKING = 100
"""A listing that lacks more markets than this, and more than half of those that should be in it, is not believed."""


class Subscription(NamedTuple):
    """One subscription that follows markets."""

    number: int
    """Its place in the environment's `subscribe` list, from 1."""
    matcher: Matcher
    status: frozenset[str]
    """In which states a market is taken up."""


class _Followed(msgspec.Struct, gc=False):
    numbers: tuple[int, ...]
    """The subscriptions that have it."""
    listing: int
    """The number of the last whole listing that had it, or in whose time it was found."""
    times: Times


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
        self._later = Openings()
        self._ends = Ends()
        self._add: dict[int, dict[str, None]] = {each.number: {} for each in subscriptions}
        self._remove: dict[int, dict[str, None]] = {each.number: {} for each in subscriptions}
        self._before: dict[str, None] = {}
        """The markets that were followed before the configuration changed, until the next whole listing."""
        self.listing = 0
        """The number of the present whole listing, or of the last one."""
        self.news = News()
        self.counts: Counter[int] = Counter()
        """By subscription, how many markets it follows."""

    def __len__(self) -> int:
        """Return how many markets are to be collected, those included for which there is no room."""
        return len(self._followed) + len(self._over)

    def __contains__(self, ticker: str) -> bool:
        return ticker in self._followed

    @property
    def most(self) -> int | None:
        return self._most

    @property
    def _has_room(self) -> bool:
        return self._most is None or len(self._followed) < self._most

    @property
    def over(self) -> int:
        """For how many of them there is no room."""
        return len(self._over)

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

    def seen(self, found: Found) -> bool:
        """Record that a market is in an answer; return whether it is known already."""
        known = self._followed.get(found.ticker) or self._over.get(found.ticker)
        if known is not None:
            known.listing = self.listing
            if found.state in ("unopened", "open", "paused"):
                self.stays(found.ticker)
                self._has_times(found.ticker, known, found.open_seconds, found.close_seconds)
        return known is not None or found.ticker in self._later

    def closes(self, ticker: str, close_seconds: float, *, at_the_latest: bool = False) -> None:
        """Take when a market closes, in Unix seconds; `at_the_latest`: unless it has closed before."""
        known = self._followed.get(ticker) or self._over.get(ticker)
        if known is not None and not (at_the_latest and known.times[1] and known.times[1] <= close_seconds):
            self._has_times(ticker, known, 0, close_seconds)

    def _has_times(self, ticker: str, known: _Followed, open_seconds: float, close_seconds: float) -> None:
        times = times_of(open_seconds, close_seconds, known.times)
        if times != known.times:
            known.times = times
            self.news.followed(ticker, known.numbers, times)

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
                self._later.wait(found, later)
                self.pass_time(now_ms)
                return True
        return False

    def _take_up(self, found: Found, numbers: Collection[int]) -> None:
        ticker = found.ticker
        known = self._followed.get(ticker) or self._over.get(ticker)
        if known is None:
            known = _Followed((), self.listing, times_of(found.open_seconds, found.close_seconds))
            (self._followed if self._has_room else self._over)[ticker] = known
        new = [number for number in numbers if number not in known.numbers]
        known.numbers = (*known.numbers, *new)
        self.news.followed(ticker, known.numbers, known.times)
        if ticker in self._followed:
            self._begin(ticker, new)

    def _begin(self, ticker: str, numbers: Collection[int]) -> None:
        for number in numbers:
            self._remove[number].pop(ticker, None)
            self._add[number][ticker] = None
            self.counts[number] += 1

    def ends(self, ticker: str, kept_ms: int, now_ms: int) -> None:
        """Follow a market only this much longer: SETTLED_MS or DETERMINED_MS."""
        self.stays(ticker)
        self._later.forget(ticker)
        if kept_ms == SETTLED_MS and self._over.pop(ticker, None) is not None:
            self.news.gone(ticker)
        if ticker in self._followed or ticker in self._over:
            self._ends.ends(ticker, kept_ms, now_ms)

    def stays(self, ticker: str) -> None:
        """Keep a market that was about to end."""
        self._ends.stays(ticker)

    def pass_time(self, now_ms: int) -> None:
        """Take up what opens soon, and remove what has ended."""
        for numbers, found in self._later.due(now_ms):
            self._take_up(found, numbers)
        for ticker in self._ends.due(now_ms):
            self._end(ticker)

    def make_room(self, count: int) -> None:
        """Remove so many markets that are over, if there are any, because a limit leaves out others."""
        for ticker in self._ends.earliest(count):
            self._end(ticker)

    def _end(self, ticker: str) -> None:
        self.stays(ticker)
        self.news.gone(ticker)
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

    def begin_again(self, most: int | None) -> None:
        """Add all markets again, because what is subscribed to may have changed. `most`: how many may be followed."""
        known = {**self._followed, **self._over}
        self._most = most
        self._followed, self._over = {}, {}
        for ticker, each in known.items():
            self.news.followed(ticker, each.numbers, each.times)
            has_room = self._has_room
            (self._followed if has_room else self._over)[ticker] = each
            for number in each.numbers:
                self._add[number].pop(ticker, None)
                (self._add if has_room else self._remove)[number][ticker] = None
        self.counts = Counter({each.number: 0 for each in self._subscriptions})
        self.counts.update(number for each in self._followed.values() for number in each.numbers)

    def replace(self, before: Markets) -> None:
        """Take the place of other Markets. What was followed there stays until the next whole listing is complete."""
        self._before = {**before._before, **dict.fromkeys(before._followed)}

    def end_listing(self, now_ms: int) -> str | None:
        """Remove the markets that neither this whole listing nor the one before has had.

        Returns why the listing is not believed, None when it is: an exchange in trouble may list too few.
        """
        for ticker in self._before:
            followed = self._followed.get(ticker)
            for number, remove in self._remove.items():
                if followed is None or number not in followed.numbers:
                    remove[ticker] = None
        self._before = {}
        known = {**self._followed, **self._over}
        due = [each.listing for each in known.values() if (each.times[1] or 0) * 1000 > now_ms]
        lacking = sum(listing < self.listing for listing in due)
        if lacking > max(_FEWEST_LACKING, len(due) // 2):
            for each in known.values():
                each.listing = self.listing
            return f"the listing lacks {lacking:,} of {len(due):,} markets that have not closed; none is removed"
        for ticker in [ticker for ticker, each in known.items() if each.listing < self.listing - 1]:
            self._end(ticker)
        return None
