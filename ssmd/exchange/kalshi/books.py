"""Which of Kalshi's order books are known, and which to ask for again. Pure.

A book is known from its snapshot on, as long as no message of the subscription is missing. After a gap no book is
known, because the missing message may have been of any market. When a UTC day begins, the day's file alone gives no
book.

What proves that a snapshot is newer than a gap is its place in the stream: it comes after the message that showed the
gap. That holds for a snapshot that nobody asked for, because it is numbered like any other message. An answer to
`get_snapshot` may be older than the gap, although it comes after it, and its number may not show that. So an answer
counts when it was asked for after the gap, or when its number belongs to its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from ssmd.exchange.kalshi.book_requests import BookRequests, Request
from ssmd.exchange.kalshi.command import CommandIds

__all__ = ["LEAST_INTERVAL_MS", "MOST_TRIES", "PORTIONS", "RETRY_MS", "Books"]

PORTIONS = (200, 10, 1)
"""How many markets one request names, at the first, second and third try: Kalshi may refuse a whole request because of
one market that is settled."""
MOST_TRIES = len(PORTIONS)
LEAST_INTERVAL_MS = 30_000
"""The least time between two requests for the book of one market."""
RETRY_MS = 600_000
"""How often a market that did not answer is asked for again, alone."""


class Books:
    """The order books of one subscription.

    `ids`: of the connection's commands. `per_second`: how many books are asked for in a second at most.
    """

    def __init__(self, ids: CommandIds, per_second: int) -> None:
        self.why = "start"
        """Why snapshots are asked for: gap, day, or start: the first ones have not come."""
        self._per_second = per_second
        self._allowed = float(per_second)
        self._passed_ms = 0
        """The time of the last due()."""
        self._requests = BookRequests(ids)
        self._followed: dict[str, None] = {}
        self._unknown: dict[str, int] = {}
        """The markets whose snapshot is to come, each with the number of times that it was asked for."""
        self._missing: dict[str, None] = {}
        """The markets that are asked for only now and then, because the exchange has not answered."""
        self._ready: dict[str, None] = {}
        """The markets to ask for, in order."""
        self._new: list[str] = []
        """The markets that are followed since the last due()."""
        self._opening: dict[str, int] = {}
        """The markets whose first snapshot should come unasked, each with the time since when, in order."""
        self._waiting: dict[str, int] = {}
        """The markets that may not be asked for again yet, each with the time of its last request, in order."""
        self._is_lost = False
        """Whether there was a gap since the last due(). Then no book is known, whatever the other fields say, and the
        next due() goes through all markets: a broken feed may have a gap at each message."""
        self._is_reported = True
        self._was_reported = False
        """Whether the books have been complete once. Later ones are reported only when they had to be asked for."""
        self._missing_came = False
        """Whether a snapshot has come of a book that was reported as missing."""
        self._is_available = True
        self._retry_ms = RETRY_MS

    @property
    def pending(self) -> int:
        """How many books are still to come."""
        return len(self._followed) if self._is_lost else len(self._unknown)

    @property
    def known(self) -> int:
        return 0 if self._is_lost else len(self._followed) - len(self._unknown) - len(self._missing)

    @property
    def missing(self) -> Sequence[str]:
        """The markets whose books are not known, and do not come."""
        return () if self._is_lost else tuple(self._missing)

    def follow(self, markets: Iterable[str], no_longer: Iterable[str] = ()) -> None:
        """Follow these books too, and no longer others. The exchange sends their first snapshots unasked."""
        for market in no_longer:
            self._followed.pop(market, None)
            self._opening.pop(market, None)
            self._mark_known(market, came=False)
        new = [market for market in markets if market not in self._followed]
        if new:
            self._followed.update(dict.fromkeys(new))
            self._is_reported = self._was_reported and self._is_reported
            self._unknown.update(dict.fromkeys(new, 0))
            self._new += new

    def has_asked(self, request_id: int) -> bool:
        """Return whether a command is a request that was made within LEAST_INTERVAL_MS."""
        return self._requests.find(request_id) is not None

    def lost(self) -> None:
        """Record a gap: no book is known any more, and answers to earlier requests do not count."""
        self._requests.lost()
        self._is_lost = bool(self._followed)

    def begin_day(self) -> None:
        """Record that a UTC day has begun: its file has no snapshot yet."""
        self._begin("day")

    def _begin(self, why: str) -> None:
        if not self._followed:
            return
        self.why = why
        self._is_reported = False
        self._new.clear()
        self._opening.clear()
        # One that did not answer before is asked for once and alone, so that it spoils no request of others.
        self._unknown = {market: MOST_TRIES - 1 if market in self._missing else 0 for market in self._followed}
        self._missing_came = False
        self._missing.clear()
        in_order = sorted(self._unknown, key=self._unknown.__getitem__)
        self._ready = {market: None for market in in_order if market not in self._waiting}
        if not self._is_available:
            self.give_up()

    def receive(self, market: str, request_id: int = 0, *, in_place: bool = True) -> None:
        """Take a snapshot. `request_id`: that of the request that it answers, 0 for none.

        `in_place`: whether its number belongs to its place in the stream.
        """
        if not self._is_lost and (in_place or not request_id or self._requests.is_valid(request_id)):
            self._mark_known(market)

    def _mark_known(self, market: str, *, came: bool = True) -> None:
        self._missing_came |= came and market in self._missing and self._is_available
        for markets in (self._unknown, self._missing, self._ready):
            markets.pop(market, None)

    def take_report(self) -> bool:
        """Return True once when no snapshot is still to come: then it is to be reported."""
        if self._is_lost or self._unknown or self._is_reported:
            return False
        self._is_reported = self._was_reported = True
        return True

    def due(self, passed_ms: int, most_requests: int | None = None) -> Iterator[Request]:
        """Yield the requests to send now; `passed_ms`: a time that never goes back, in ms; `most_requests`: how many
        there may be.
        """
        self._pass_time(passed_ms)
        ready = list(itertools.islice(self._ready, int(self._allowed)))
        requests = first = 0
        while first < len(ready) and requests != most_requests:
            tries = self._tries(ready[first])
            last = first + 1
            while last < min(len(ready), first + PORTIONS[tries]) and self._tries(ready[last]) == tries:
                last += 1
            yield self._ask(ready[first:last], tries)
            first, requests = last, requests + 1

    def _pass_time(self, passed_ms: int) -> None:
        allowed = self._allowed + self._per_second * (passed_ms - self._passed_ms) / 1000
        self._allowed = min(float(self._per_second), allowed)
        self._passed_ms = passed_ms
        self._opening.update(dict.fromkeys(self._new, self._passed_ms))
        self._new.clear()
        if self._is_lost:
            self._is_lost = False
            self._begin("gap")
        self._is_reported &= not self._missing_came
        self._missing_came = False
        over_ms = self._passed_ms - LEAST_INTERVAL_MS
        self._requests.forget(over_ms)
        for waiting in (self._waiting, self._opening):
            for market, _ in [*itertools.takewhile(lambda item: item[1] <= over_ms, waiting.items())]:
                del waiting[market]
                if market in self._unknown:
                    self._ask_again(market)
        if self._passed_ms >= self._retry_ms:
            self._retry_ms = self._passed_ms + RETRY_MS
            if self._is_available:
                self._ready.update((market, None) for market in self._missing if market not in self._waiting)

    def _tries(self, market: str) -> int:
        """Return how often a market was asked for. One that did not answer is asked for again alone."""
        return self._unknown.get(market, MOST_TRIES - 1)

    def _ask_again(self, market: str) -> None:
        if self._unknown[market] < MOST_TRIES:
            self._ready[market] = None
        else:
            del self._unknown[market]
            self._missing[market] = None

    def _ask(self, markets: list[str], tries: int) -> Request:
        request = self._requests.make(markets, tries, self._passed_ms)
        self._allowed -= len(markets)
        for market in markets:
            del self._ready[market]
            if market in self._unknown:
                self._unknown[market] += 1
                self._is_reported = False
            self._waiting.pop(market, None)
            self._waiting[market] = self._passed_ms
        return request

    def refused(self, request_id: int, named: Sequence[str] = ()) -> bool:
        """Record that the exchange has refused a request, perhaps because of the markets that the error names.

        Returns whether it was the first request for its markets.
        """
        request = self._requests.find(request_id)
        if request is None:
            return False
        wrong = set(named).intersection(request.markets)
        if len(request.markets) == 1 or 0 < len(wrong) < len(request.markets):
            for market in wrong or request.markets:
                if self._unknown.pop(market, None) is not None:
                    self._ready.pop(market, None)
                    self._missing[market] = None
        return request.tries == 0

    def repeat(self, request_id: int) -> None:
        """Make a request again: the exchange has not carried it out, because requests came too fast."""
        request = self._requests.find(request_id)
        for market in request.markets if request else ():
            self._waiting.pop(market, None)
            if market in self._unknown:
                self._unknown[market] = max(0, self._unknown[market] - 1)
                self._ready[market] = None

    def give_up(self) -> bool:
        """Ask for no book any more, because the exchange does not serve them; return whether that is new."""
        is_new, self._is_available = self._is_available, False
        self._is_reported = True
        self._missing.update(dict.fromkeys(self._unknown))
        self._unknown.clear()
        self._ready.clear()
        return is_new
