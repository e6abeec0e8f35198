"""Runs of the following of markets against the simulated Kalshi, without sockets and by a clock of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from gevent.event import Event

from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.exchange.kalshi.follow.endpoint import Requests
from ssmd.exchange.kalshi.follow.following import Following, Subscribed
from ssmd.exchange.kalshi.follow.markets import Markets, Subscription
from ssmd.exchange.kalshi.follow.matcher import Matcher
from ssmd.exchange.kalshi.follow.section import Follow, read_follow
from ssmd.sim.births import Births
from ssmd.sim.faults import Faults
from ssmd.sim.rest.server import RestInterface
from ssmd.sim.universe import Universe

__all__ = ["NOW_MS", "Exchange", "Run", "following", "markets_of"]

NOW_MS = 1_790_000_000_000


def markets_of(follows: Mapping[int, Follow], shard: Shard = WHOLE, most: int | None = None) -> Markets:
    subscriptions = [Subscription(number, Matcher(each), each.status) for number, each in follows.items()]
    return Markets(subscriptions, shard.takes, most)


def following(
    *values: Any, most: int | None = None, shard: Shard = WHOLE, subscribed: Subscribed | None = None
) -> tuple[Following, Markets]:
    """Return what follows markets as these sections say."""
    follows = dict(enumerate(map(read_follow, values), 1))
    markets = markets_of(follows, shard, most)
    requests = Requests("http://exchange.test/trade-api/v2", lambda method, path, now_ms: {})
    nothing = Subscribed(lambda: True, lambda number: (), lambda number: 0, {})
    return Following(requests, shard.of, follows, markets, subscribed or nothing), markets


class Exchange:
    """The simulated exchange at a time that is set."""

    def __init__(self, births: Births, *faults: str, requests_per_second: int = 20, lost: float = 0.0) -> None:
        self.now_ms = NOW_MS
        self.universe = Universe(1, births, NOW_MS * 1000)
        self._rest = RestInterface(self.universe, {}, requests_per_second, Faults.parse(faults), self._clock)
        self._seen = self.universe.end
        self._lost = lost
        self._random = random.Random(1)
        self._stopped = Event()

    def _clock(self) -> float:
        return self.now_ms / 1000

    def pass_time(self, ms: int) -> list[bytes]:
        """Return the life cycle messages of this time."""
        self.now_ms += ms
        self.universe.advance(self.now_ms * 1000)
        steps = self.universe.since(self._seen) or ()
        self._seen = self.universe.end
        events = [event for step in steps for event in step.messages if self._random.random() >= self._lost]
        return [f'{{"type":"{event.type}","sid":1,"msg":{event.msg}}}'.encode() for event in events]

    def answer(self, request: HttpRequest) -> HttpAnswer:
        url = urlsplit(request.url)
        path = f"{url.path}?{url.query}" if url.query else url.path
        found = self._rest.answer({"REQUEST_METHOD": request.method}, path, self._stopped)
        body = found.body[: len(found.body) // 2] if found.is_cut else found.body
        return HttpAnswer(found.status, {}, body, 0.01)


class Run:
    """One run, in steps of STEP_MS; each request takes LATENCY_MS. Everything is confirmed at the next step."""

    STEP_MS = 50
    LATENCY_MS = 100

    def __init__(self, exchange: Exchange, *values: Any, **settings: Any) -> None:
        self.exchange = exchange
        self.confirmed: dict[int, set[str]] = {n: set() for n, _ in enumerate(values, 1)}
        self.subscribed_ms: dict[str, int] = {}
        self.requests: list[tuple[int, str]] = []
        self.errors: list[str] = []
        self.subscribed = Subscribed(lambda: True, self._confirmed, lambda number: 0, {})
        self.following, self.markets = following(*values, subscribed=self.subscribed, **settings)
        self._answer_ms = 0
        self._asked: HttpRequest | None = None
        self._next_ms = 0.0

    def _confirmed(self, number: int) -> Collection[str]:
        return self.confirmed[number]

    def step(self) -> None:
        now_ms = self.exchange.now_ms + self.STEP_MS
        for message in self.exchange.pass_time(self.STEP_MS):
            self.following.receive(message)
        if self._asked is not None and now_ms >= self._answer_ms:
            self.following.answered(self.exchange.answer(self._asked), now_ms)
            self._asked, self._next_ms = None, now_ms
            if (error := self.following.state().error) is not None:
                self.errors.append(error)
        if self._asked is None and now_ms >= self._next_ms:
            turn = self.following.next(now_ms)
            if isinstance(turn, HttpRequest):
                self.requests.append((now_ms, turn.url))
                self._asked, self._answer_ms = turn, now_ms + self.LATENCY_MS
            else:
                self._next_ms = now_ms + 1000 * turn
        for number, add, remove in self.following.tick(now_ms):
            self.confirmed[number].update(add)
            self.confirmed[number].difference_update(remove)
            for ticker in add:
                self.subscribed_ms.setdefault(ticker, now_ms)

    def until(self, is_over: Callable[[], bool], seconds: float = 600) -> None:
        end_ms = self.exchange.now_ms + 1000 * seconds
        while not is_over():
            assert self.exchange.now_ms < end_ms, "it takes too long"
            self.step()

    def go_on(self, seconds: float) -> None:
        end_ms = self.exchange.now_ms + 1000 * seconds
        self.until(lambda: self.exchange.now_ms >= end_ms, seconds + 1)

    def listed(self) -> None:
        """Go on until a whole listing is complete."""
        before = self.following.state().last_listed_ms
        self.until(lambda: self.following.state().last_listed_ms != before)
