"""What messages and answers say of markets and events: which of them are followed, and what is asked about. Pure."""

from __future__ import annotations

from ssmd.exchange.kalshi.follow.answers import Change, Row
from ssmd.exchange.kalshi.follow.ends import DETERMINED_MS, SETTLED_MS
from ssmd.exchange.kalshi.follow.events import Events
from ssmd.exchange.kalshi.follow.found import Found
from ssmd.exchange.kalshi.follow.markets import Markets
from ssmd.exchange.kalshi.follow.questions import EVENT, MARKET, Questions

__all__ = ["Finder"]


class Finder:
    """`passed_ms`: a time that never goes back. `now_ms`: Unix milliseconds."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._events = Events()
        self.questions = Questions()

    def apply(self, change: Change, passed_ms: int, now_ms: int) -> None:
        """Take a life cycle message."""
        ticker = change.market
        match change.kind:
            case "event":
                self.learn(change.event, change.series, passed_ms, now_ms)
            case "created":
                is_open = 0 < change.open_seconds * 1000 <= now_ms
                times = change.open_seconds, change.close_seconds
                found = Found(ticker, change.event, "open" if is_open else "unopened", *times)
                self._consider(found, passed_ms, now_ms)
            case "activated" | "close_date_updated":
                self._markets.stays(ticker)
                if change.close_seconds:
                    self._markets.closes(ticker, change.close_seconds)
                if ticker not in self._markets and self._may_be_followed(ticker):
                    self._ask(MARKET, ticker, passed_ms)
            case "determined":
                self._ask_no_more(ticker)
                self._markets.closes(ticker, now_ms / 1000, at_the_latest=True)
                self._markets.ends(ticker, DETERMINED_MS, now_ms)
            case "settled":
                self._ask_no_more(ticker)
                self._markets.ends(ticker, SETTLED_MS, now_ms)

    def _ask(self, kind: str, name: str, passed_ms: int) -> None:
        self.questions.ask(kind, name, passed_ms, is_urgent=self._markets.looks_followed(name))

    def _ask_no_more(self, ticker: str) -> None:
        """Ask no questions about a market that has ended."""
        self.questions.done(MARKET, ticker)
        if event := self._events.forget(ticker):
            self.questions.done(EVENT, event)

    def _may_be_followed(self, ticker: str) -> bool:
        numbers, is_undecided = self._markets.decide(ticker, "", "")
        return (bool(numbers) or is_undecided) and self._markets.is_ours(ticker)

    def learn(self, event: str, series: str, passed_ms: int, now_ms: int) -> None:
        """Take the series of an event, which is empty when it is not known."""
        if series:
            self.questions.done(EVENT, event)
            for found in self._events.learn(event, series):
                self._consider(found, passed_ms, now_ms)

    def give_up(self, kind: str, name: str) -> None:
        """Take note that a question has no answer."""
        if kind == EVENT:
            self._events.give_up(name)

    def read(self, row: Row, series: str, passed_ms: int, now_ms: int, *, asks: bool) -> bool:
        """Take a market in an answer; return whether it is to be collected, or may be, and was not known.

        `series`: its series, empty when that is not known. `asks`: ask about its event when that is needed.
        """
        self.questions.done(MARKET, row.ticker)
        self.learn(row.event_ticker, series, passed_ms, now_ms)
        state = row.state
        found = Found(row.ticker, row.event_ticker, state, row.open_seconds, row.close_seconds)
        if self._markets.seen(found) or state == "settled":
            return False
        return self._consider(found, passed_ms, now_ms, asks=asks)

    def _consider(self, found: Found, passed_ms: int, now_ms: int, *, asks: bool = True) -> bool:
        """Follow a market if it is to be followed; returns as read()."""
        if not self._markets.is_ours(found.ticker):
            return False
        series = self._events.series_of(found.event)
        numbers, is_undecided = self._markets.decide(found.ticker, found.event, series)
        is_new = bool(numbers) and self._markets.follow(found, numbers, now_ms)
        if is_undecided and asks:
            if not found.event:
                self._ask(MARKET, found.ticker, passed_ms)
            elif self._events.wait(found):
                is_new = True
                self._ask(EVENT, found.event, passed_ms)
        return is_new
