"""What one client of the simulated Kalshi gets: the messages of its subscriptions, in the course of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import filterfalse
from random import Random

from ssmd.sim.book import moment
from ssmd.sim.event import LIFECYCLE, Event
from ssmd.sim.faults import Faults
from ssmd.sim.markets import ACTIONS, Markets
from ssmd.sim.pool import Pool
from ssmd.sim.subscription import CHANNELS, Subscription
from ssmd.sim.universe import Step

__all__ = ["Following"]


class Following:
    """The subscriptions of one connection, and the messages that they get. Its subclass Session carries out commands.

    What happens in the universe is sent when it happens, in addition to the messages that are made up.
    """

    def __init__(self, markets: Markets, faults: Faults) -> None:
        self._markets = markets
        self._universe = markets.universe
        self._faults = faults
        self._by_channel: dict[str, Subscription] = {}
        self._actions: list[str] = []
        self._seen = self._universe.end

    @property
    def active(self) -> bool:
        """Whether there is a subscription that market data can be made up for."""
        return bool(self._actions)

    def announce(self, now_ns: int) -> list[bytes]:
        """Return the messages about what has happened in the universe up to this time, whatever the rate."""
        self._universe.advance(now_ns // 1000)
        if self._seen == self._universe.end:
            return []
        steps = self._universe.since(self._seen)
        self._seen = self._universe.end
        frames: list[bytes] = []
        if steps is None:
            self._catch_up()
        else:
            for step in steps:
                frames += self._take(step)
        self._plan()
        return frames

    def quiet_seconds(self, now_ns: int) -> float:
        """Return in how many seconds announce() may have something."""
        return max(0.0, self._universe.next_us / 1e6 - now_ns / 1e9)

    def produce(self, count: int, now_ns: int) -> list[bytes]:
        """Return about `count` messages of the subscriptions: at most one more, fewer when their channels are quiet."""
        when = moment(now_ns)
        frames: list[bytes] = []
        attempts = 50 * count + 100
        while self._actions and len(frames) < count and attempts:
            attempts -= 1
            action = self._markets.pick(self._actions)
            for event in self._markets.happen(action, self._pick_for(self._by_channel[action]), when):
                subscription = self._by_channel.get(event.channel)
                if subscription is not None and not subscription.muted and subscription.wants(event.ticker):
                    frames.append(subscription.frame(event))
        return frames

    def lose(self, count: int, channel: str) -> None:
        """Lose the next `count` messages of a channel, or of every channel if it is empty: their numbers are missing.

        A lost change of a book has happened all the same: the book is known again only after its next snapshot.
        """
        for subscription in self._by_channel.values():
            if channel in ("", subscription.channel):
                books = self._choices(subscription) if subscription.channel == "orderbook_delta" else ()
                for _ in range(count):
                    if books:
                        self._markets.step(books, ["orderbook_delta"], moment(0))
                    subscription.number()

    def mute(self, channel: str) -> None:
        """Send no more data on a channel; commands about it are still answered."""
        if (subscription := self._by_channel.get(channel)) is not None:
            subscription.muted = True
            self._plan()

    def _take(self, step: Step) -> list[bytes]:
        """Take note of a step of a market; return the messages about it."""
        frames = []
        if step.messages and (lifecycle := self._by_channel.get(LIFECYCLE)) is not None:
            frames = lifecycle.frames(filterfalse(self._is_lost, step.messages))
        books = self._by_channel.get("orderbook_delta")
        has_book = books is not None and books.wants(step.ticker)
        match step.name:
            case "opened" | "activated":
                if has_book:
                    self._markets.begin(step.ticker)
                for pool in self._pools():
                    pool.opened(step.ticker)
            case "closed" | "deactivated":
                for pool in self._pools():
                    pool.closed(step.ticker)
        if step.name == "closed":
            self._markets.forget(step.ticker)
            if books is not None and has_book:
                # As seen on the real feed, where it comes some seconds after the closing.
                frames += books.frames([self._markets.snapshot_of(step.ticker)])
        return frames

    def _is_lost(self, message: Event) -> bool:
        """Return whether a fault has lost a message: as if it had never been sent, so that no number is missing.
        All connections lose the same ones.
        """
        share = self._faults.lost_lifecycle
        # Nothing secret is made with it.
        return share > 0 and Random(message.msg).random() < share  # nosec B311

    def _catch_up(self) -> None:
        """Bring the subscriptions to the state of the universe, without the messages in between: the client was too
        slow for them.
        """
        for pool in self._pools():
            for ticker in list(pool):
                if self._universe.is_open(ticker):
                    pool.opened(ticker)
                else:
                    pool.closed(ticker)

    def _pools(self) -> Iterable[Pool]:
        return (each.tickers for each in self._by_channel.values() if each.tickers is not None)

    def _summaries(self, to: Subscription, tickers: Iterable[str], now_ns: int) -> list[bytes]:
        """Return the first messages of the ticker channel: those of the markets that are open."""
        when = moment(now_ns)
        is_open = self._universe.is_open
        return [to.frame(self._markets.ticker(self._markets.market(t), when)) for t in tickers if is_open(t)]

    def _choices(self, subscription: Subscription) -> Sequence[str]:
        return self._markets.tickers if subscription.tickers is None else subscription.tickers.open

    def _pick_for(self, subscription: Subscription) -> str:
        """Choose a market whose message a subscription gets; the empty text for the channel of life cycles."""
        if subscription.channel == LIFECYCLE:
            return ""
        pool = subscription.tickers
        return self._markets.pick_any() if pool is None else self._markets.pick(pool.open)

    def _plan(self) -> None:
        """Set, after each change of the subscriptions and of their markets, which messages are made up."""
        self._actions = []
        for name, weight in ACTIONS.items():
            subscription = self._by_channel.get(name)
            if subscription is not None and not subscription.muted and self._has_data(subscription):
                self._actions += [name] * weight

    def _has_data(self, subscription: Subscription) -> bool:
        """Return whether messages of a subscription are to be made up now: none about markets that are not open."""
        if CHANNELS[subscription.channel].tickers == "none":
            return not self._universe.births.per_hour
        return subscription.tickers is None or bool(subscription.tickers.open)
