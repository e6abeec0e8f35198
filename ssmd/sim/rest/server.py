"""The REST interface of the simulated Kalshi: who may ask for what, how often, and how it fails."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from gevent.event import Event

from ssmd.sim.births import SECOND
from ssmd.sim.faults import Faults
from ssmd.sim.handshake import KEY, SIGNATURE, TIMESTAMP, PublicKey, verify
from ssmd.sim.limits import Bucket
from ssmd.sim.rest.documents import compact, event_text, list_text, market_text, series_text
from ssmd.sim.rest.events import events_page
from ssmd.sim.rest.markets import markets_page
from ssmd.sim.rest.query import BadRequest, Page, Query
from ssmd.sim.universe import Universe
from ssmd.sim.upgrade import Answer, answer

__all__ = ["REST", "RestInterface"]

_log = logging.getLogger("ssmd.sim")

REST = "/trade-api/v2"
"""The path below which all of it is."""

_HTML = b"<!DOCTYPE html>\n<html><head><title>We'll be right back</title></head><body>Simulated fault</body></html>\n"


class RestInterface:
    """Answers the requests about the markets of a universe.

    All clients have one limit of requests together, as all programs of one account have at Kalshi.
    """

    def __init__(
        self,
        universe: Universe,
        credentials: Mapping[str, PublicKey],
        requests_per_second: int,
        faults: Faults,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: Unix seconds. The times of faults count from now."""
        self._universe = universe
        self._credentials = credentials
        self._bucket = Bucket(requests_per_second)
        self._faults = faults.rest
        self._clock = clock
        self._started = clock()
        self._answers = 0

    def answer(self, environ: Mapping[str, Any], path: str, stopped: Event) -> Answer:
        """Return the answer to a request, after the time that it takes. `stopped`: set when the simulator stops."""
        stopped.wait(self._faults.slow_seconds)
        answered = self._answer(environ, path, self._clock())
        _log.debug("request", extra={"path": path, "status": answered.status, "bytes": len(answered.body)})
        return answered

    def _answer(self, environ: Mapping[str, Any], path: str, now: float) -> Answer:
        if environ["REQUEST_METHOD"] != "GET":
            return answer(405, ("Allow", "GET"))
        if not self._bucket.takes(now):
            # https://docs.kalshi.com/getting_started/rate_limits: without Retry-After.
            return _document('{"error":"too many requests"}')._replace(status=429)
        if refused := self._unauthorized(environ, path, now):
            return refused
        self._answers += 1
        if self._faults.is_down(now - self._started):
            return answer(503)._replace(keeps_open=True)
        if self._faults.html and self._answers % self._faults.html == 0:
            return Answer(200, _HTML, content_type="text/html", keeps_open=True)
        try:
            answered = self._about(path, int(now * SECOND))
        except BadRequest as error:
            return _error(400, "bad_request", str(error))
        is_cut = self._faults.cut > 0 and self._answers % self._faults.cut == 0
        return answered._replace(is_cut=is_cut)

    def _unauthorized(self, environ: Mapping[str, Any], path: str, now: float) -> Answer | None:
        """Return the refusal of a wrong signature. What is served here is public: it needs none."""
        headers = {name: environ.get(f"HTTP_{name.replace('-', '_')}", "") for name in (KEY, TIMESTAMP, SIGNATURE)}
        if not any(headers.values()):
            return None
        refused = verify(headers, path, int(now * 1000), self._credentials)
        return Answer(*refused, keeps_open=True) if refused else None

    def _about(self, path: str, now_us: int) -> Answer:
        self._universe.advance(now_us)
        place, _, text = path.removeprefix(REST).partition("?")
        query, newest_us = Query(text), now_us - int(self._faults.late_seconds * SECOND)
        match place.strip("/").split("/"):
            case ["markets"]:
                return self._markets(markets_page(self._universe, query, newest_us))
            case ["markets", ticker]:
                return self._market(ticker, newest_us)
            case ["events"]:
                return self._events(events_page(self._universe, query, newest_us), query)
            case ["events", ticker]:
                return self._event(ticker, query, newest_us)
            case ["series"]:
                families = self._universe.families.values()
                wanted = [each for each in families if query.text("category") in ("", each.category)]
                return _document(f'{{"series":{list_text(map(series_text, wanted))}}}')
            case ["series", ticker]:
                family = self._universe.families.get(ticker)
                return _document(f'{{"series":{series_text(family)}}}') if family else _not_found()
            case ["exchange", "status"]:
                return _document(compact({"exchange_active": True, "trading_active": True}))
            case _:
                return _not_found()

    def _text_of(self, ticker: str) -> str:
        market = self._universe.markets[ticker]
        return market_text(market, self._universe.events[market.event], self._universe.births)

    def _markets(self, page: Page) -> Answer:
        return _document(f'{{"markets":{list_text(map(self._text_of, page.tickers))},"cursor":"{page.cursor}"}}')

    def _market(self, ticker: str, newest_us: int) -> Answer:
        market = self._universe.markets.get(ticker)
        if market is None or market.created_us > newest_us:
            return _not_found()
        return _document(f'{{"market":{self._text_of(ticker)}}}')

    def _events(self, page: Page, query: Query) -> Answer:
        nested, universe = query.flag("with_nested_markets"), self._universe
        texts = [event_text(universe.events[ticker], universe, with_markets=nested) for ticker in page.tickers]
        return _document(f'{{"events":{list_text(texts)},"cursor":"{page.cursor}"}}')

    def _event(self, ticker: str, query: Query, newest_us: int) -> Answer:
        event = self._universe.events.get(ticker)
        if event is None or event.created_us > newest_us:
            return _not_found()
        nested = query.flag("with_nested_markets")
        text = event_text(event, self._universe, with_markets=nested)
        # The markets are in the event or beside it.
        beside = "" if nested else f',"markets":{list_text(map(self._text_of, event.markets))}'
        return _document(f'{{"event":{text}{beside}}}')


def _document(text: str) -> Answer:
    return Answer(200, text.encode(), keeps_open=True)


def _error(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"error": {"code": code, "message": message}}, separators=(",", ":"))
    return _document(body)._replace(status=status)


def _not_found() -> Answer:
    return _error(404, "not_found", "not found")
