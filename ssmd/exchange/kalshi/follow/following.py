"""The following of markets on one connection to Kalshi: its listing, and what the life cycle messages say. Pure.

A listing begins when the channel of the life cycle messages is confirmed. So a market that is created during the
listing is in a message, and no market is in neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.contracts.listing import ListingState
from ssmd.exchange.kalshi.follow.answers import read_event, read_life_cycle, read_market, read_page
from ssmd.exchange.kalshi.follow.endpoint import Requests
from ssmd.exchange.kalshi.follow.finder import Finder
from ssmd.exchange.kalshi.follow.markets import Markets
from ssmd.exchange.kalshi.follow.news import FollowNews
from ssmd.exchange.kalshi.follow.patience import IDLE_SECONDS, Patience, fault_of
from ssmd.exchange.kalshi.follow.plan import Plan
from ssmd.exchange.kalshi.follow.questions import EVENT, MARKET
from ssmd.exchange.kalshi.follow.section import Follow
from ssmd.exchange.kalshi.follow.unlisted import Unlisted
from ssmd.exchange.kalshi.follow.waiting import Waiting

__all__ = ["Following", "Subscribed"]

_PAGES = "/markets"
_LISTENING_SECONDS = 0.1
"""How often to look whether the channel of the life cycle messages is confirmed."""


class Subscribed(NamedTuple):
    """What the connection knows. A subscription is given by its place in the `subscribe` list, from 1."""

    is_listening: Callable[[], bool]
    """Returns whether the channel of the life cycle messages is confirmed."""
    confirmed: Callable[[int], Collection[str]]
    """Returns the confirmed markets of a subscription."""
    over_limit: Callable[[int], int]
    """Returns how many markets of a subscription the exchange has refused because of a limit."""
    named: Mapping[int, Collection[str]]
    """The markets that the sections of the subscriptions name."""


class Following:
    """Keeps the Listing contract. `shards`: how many processes share the limit of requests."""

    def __init__(
        self,
        requests: Requests,
        shards: int,
        follows: Mapping[int, Follow],
        markets: Markets,
        subscribed: Subscribed,
    ) -> None:
        """`follows`: what each subscription follows, by its place in the list, from 1."""
        self._requests = requests
        self._follows = follows
        self._markets = markets
        self._subscribed = subscribed
        self._plan = Plan(list(follows.values()))
        self._unlisted = Unlisted(follows.values())
        self._finder = Finder(markets)
        self._waiting = Waiting(subscribed.confirmed)
        self._patience = Patience(shards)
        self._arrived: list[bytes] = []
        self._has_news = False
        """Whether the present pages had a market that was not known."""
        self._is_void = False
        """Whether the last request was for what is not followed any more."""
        self._asked: tuple[str, str] | None = None
        """What the last request asks about: a kind and a name; None when it is for a page."""
        self._was_question = False
        """Whether the last request was not for a page."""
        self._responses: Counter[int] = Counter()
        self._last_listed_ms: int | None = None
        self._disbelief: str | None = None
        """Why the last whole listing is not believed; None when it is."""

    def change_to(self, follows: Mapping[int, Follow], markets: Markets, subscribed: Subscribed) -> None:
        """Follow other markets from now on, as a new instance would.

        Markets that were followed before, and are not any more, are removed when the next whole listing is complete.
        """
        self._subscribed = subscribed
        if follows == self._follows:
            self._markets.begin_again(markets.most)
            return
        markets.replace(self._markets)
        self._follows, self._markets = follows, markets
        self._plan = Plan(list(follows.values()))
        self._unlisted = Unlisted(follows.values())
        self._finder = Finder(markets)
        self._waiting = Waiting(subscribed.confirmed)
        self._is_void = True
        self._last_listed_ms = None

    # The stream.

    def receive(self, payload: bytes) -> None:
        """Take a life cycle message; the next tick() acts on it."""
        self._arrived.append(payload)

    def tick(self, now_ms: int) -> Iterator[tuple[int, Sequence[str], Sequence[str]]]:
        """Let time pass (Unix ms); yield each subscription that changes, with the markets to add and to remove."""
        self._patience.pass_time(now_ms)
        arrived, self._arrived = self._arrived, []
        for payload in arrived:
            if (change := read_life_cycle(payload)) is not None:
                self._finder.apply(change, self._patience.passed_ms, now_ms)
        self._markets.pass_time(now_ms)
        self._markets.make_room(self._left_out())  # What is over goes at once where a limit leaves out others.
        for number, add, remove in self._markets.changes():
            self._waiting.end(number, remove)
            self._waiting.begin(number, add, now_ms)
            yield number, add, remove

    def news(self) -> tuple[Sequence[str], Iterable[FollowNews]]:
        """Return what has changed since the last call; see News.take()."""
        return self._markets.news.take()

    def _left_out(self) -> int:
        """Return how many markets a limit leaves out, of the feed or of the exchange."""
        return self._markets.over + max(map(self._subscribed.over_limit, self._markets.counts), default=0)

    # The listing.

    def next(self, now_ms: int) -> HttpRequest | float:
        patience = self._patience
        patience.pass_time(now_ms)
        if not self._subscribed.is_listening():
            return _LISTENING_SECONDS
        if self._plan.next_pages(patience.passed_ms, now_ms):
            self._markets.listing += 1
            self._unlisted.begin()
        is_page_due = not self._plan.pages.are_over
        is_slow = self._plan.is_whole and self._last_listed_ms is not None
        wait = patience.wait_seconds(is_slow=is_slow) if is_page_due else IDLE_SECONDS
        # They take turns: there may always be more questions than requests are allowed. Most markets that are asked
        # about at the beginning are in the first listing.
        is_first = is_page_due and self._last_listed_ms is None
        question = self._finder.questions.next(patience.passed_ms, only_events=is_first)
        if question is not None and (wait or not self._was_question):
            wait = patience.wait_seconds(is_slow=False)
        else:
            question = None
        if wait:
            return wait
        patience.asked()
        self._is_void = False
        self._asked, self._was_question = question, question is not None
        if self._asked is not None:
            kind, name = self._asked
            return self._requests.get(kind + quote(name, safe=""), {}, now_ms)
        return self._requests.get(_PAGES, self._plan.pages.parameters(), now_ms)

    def answered(self, answer: HttpAnswer, now_ms: int) -> bool:
        self._patience.pass_time(now_ms)
        self._responses[answer.status] += 1
        if self._is_void:
            return False
        if self._asked is not None:
            return self._read_answer(*self._asked, answer, now_ms)
        page = read_page(answer.body) if answer.status == 200 else None
        if page is None:
            self._fail(fault_of(answer, "page of markets"))
            return False
        pages = self._plan.pages
        series = pages.series
        if fault := pages.take(page):
            self._patience.failed(fault)
            return False
        self._patience.succeeded()
        asks = not self._plan.is_whole
        for row in page.markets:
            self._unlisted.see(row, series)
            self._has_news |= self._finder.read(row, series, self._patience.passed_ms, now_ms, asks=asks)
        if pages.are_over:
            self._end_pages(now_ms)
        return True

    def _read_answer(self, kind: str, name: str, answer: HttpAnswer, now_ms: int) -> bool:
        """Read the answer to a question; return whether it is used."""
        passed_ms = self._patience.passed_ms
        series = read_event(answer.body) if kind == EVENT and answer.status == 200 else ""
        row = read_market(answer.body) if kind == MARKET and answer.status == 200 else None
        if series or row is not None:
            self._patience.succeeded()
            self._finder.questions.done(kind, name)
            self._finder.learn(name, series, passed_ms, now_ms)
            if row is not None:
                self._finder.read(row, "", passed_ms, now_ms, asks=True)
            return True
        if answer.status == 404:
            self._patience.succeeded()
        else:
            self._patience.failed(fault_of(answer, kind.strip("/s")))
        # A refusal of this name alone must not stop the others.
        is_about_it = answer.status < 500 and answer.status != 429
        if is_about_it and not self._finder.questions.unknown(kind, name, passed_ms):
            self._finder.give_up(kind, name)
        return False

    def _end_pages(self, now_ms: int) -> None:
        if self._plan.ended(self._has_news, self._patience.passed_ms, now_ms):
            self._last_listed_ms = now_ms
            self._disbelief = self._markets.end_listing(now_ms)
            self._unlisted.end()
        self._has_news = False

    def failed(self, reason: str, now_ms: int) -> None:
        self._patience.pass_time(now_ms)
        self._responses[0] += 1
        if not self._is_void:
            self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._patience.failed(reason)
        if self._asked is None:
            self._plan.pages.failed()

    def state(self) -> ListingState:
        followed = len(self._markets)
        confirmed = sum(map(self._confirmed, self._markets.counts))
        wanted = sum(self._markets.counts.values()) + self._markets.over
        missing = min(max(0, wanted - confirmed), followed)
        over_limit = self._markets.over + sum(map(self._subscribed.over_limit, self._markets.counts))
        return ListingState(
            listed=None if self._last_listed_ms is None else followed,
            subscribed=followed - missing,
            not_subscribed=missing,
            over_limit=min(over_limit, missing),
            last_listed_ms=self._last_listed_ms,
            error=self._patience.error or self._disbelief,
            pause_seconds=self._patience.pause_seconds,
            responses=self._responses,
            waiting_since_ms=self._waiting.oldest_ms(),
            is_over=not self._follows,
            unlisted=self._unlisted.names,
        )

    def _confirmed(self, number: int) -> int:
        """Return how many of the markets that a subscription follows are confirmed."""
        confirmed = self._subscribed.confirmed(number)
        only_named = (name for name in self._subscribed.named.get(number, ()) if name not in self._markets)
        return len(confirmed) - sum(name in confirmed for name in only_named)
