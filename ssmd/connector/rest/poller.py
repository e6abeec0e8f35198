"""One request of a REST feed, made again and again in a greenlet of its own, so that it delays no other."""

from __future__ import annotations

import http
import logging
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from ssmd.connector.http_call import is_good
from ssmd.connector.refusal import refusal, retry_after
from ssmd.connector.rest.client import RestClient, place_of
from ssmd.connector.rest.dialect import RestExchange
from ssmd.connector.rest.pages import Pages
from ssmd.connector.rest.section import RequestSpec
from ssmd.contracts.events import Response
from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.errors import ConnectError, printable
from ssmd.pace import Pace, Pause
from ssmd.runtime.threads import LARGE_BYTES, off_the_hub

__all__ = ["LATE_SECONDS", "Deal", "Limits", "Poller"]

LONGEST_PAUSE_SECONDS = 3600.0
"""A server that asks for a longer pause gets no more than this."""

LATE_SECONDS = 60.0
"""For how long a request that was answered before may fail until it counts as missing."""

T = TypeVar("T")

_log = logging.getLogger("ssmd.connector")


class Limits(NamedTuple):
    """What holds for every request of a feed."""

    timeout_seconds: float
    most_bytes: int
    pace: Pace
    """Of all requests together."""
    turn: BoundedSemaphore
    """Whose turn it is to wait for the pace: the requests come in the order in which they were due."""
    direct: bool


class Deal(NamedTuple):
    """What a Poller does with the answers."""

    arrived: Callable[[bytes, Response], None]
    """Takes the body of an answer that is kept."""
    answered: Callable[[], None]
    """Is called after each answer that is good, also an unchanged one."""
    unchanged: Callable[[], None]
    """Is called for an answer that is not kept, because it is the same as the one before."""
    room: Callable[[], None]
    """Blocks while too much has arrived that is not written yet."""


class _TooFast(ConnectError):
    """The server answers 429: no request of the feed is made for a while."""


class Poller:
    """run() is the greenlet's whole life. `endpoint`: the URL below which the requests are."""

    def __init__(
        self, spec: RequestSpec, endpoint: str, exchange: RestExchange, limits: Limits, deal: Deal
    ) -> None:
        self._spec = spec
        self._endpoint = endpoint.rstrip("/")
        self._exchange = exchange
        self._limits = limits
        self._deal = deal
        self._pages = Pages(spec)
        self._client = RestClient(direct=limits.direct)
        self._pause = Pause()
        self._failing_since: float | None = None
        """When the first attempt since the last good answer began that has failed; None when none has."""
        self._was_answered = False
        """Whether there was a good answer in this run."""
        self._warned = ""
        self._began = 0.0
        """When the present attempt began."""
        self.error: ConnectError | None = None
        """Why the last attempt has failed; None when it has not."""

    @property
    def path(self) -> str:
        return self._spec.path

    def failing_seconds(self, now: float) -> float:
        """Return for how long every attempt has failed; `now`: monotonic."""
        return 0.0 if self._failing_since is None else now - self._failing_since

    def missing(self, now: float) -> str | None:
        """Return why no answers are coming, for people; None when they are, or were a short time ago."""
        seconds = self.failing_seconds(now)
        is_missing = self.error is not None and (not self._was_answered or seconds >= LATE_SECONDS)
        return f"{self.path}: no good answer for {seconds:.0f} s" if is_missing else None

    def close(self) -> None:
        """End the request that is being made. Idempotent; kill the greenlet after it."""
        self._client.close()

    def run(self) -> None:
        while True:
            due = time.monotonic() + self._spec.every_seconds
            self._all_pages()
            self._rest(due)

    def _all_pages(self) -> None:
        """Ask for the pages from the first to the last, each again until it is answered."""
        while True:
            self._deal.room()
            self._keep_pace()
            try:
                self._one_page()
            except ConnectError as error:
                self._failed(error)
                continue
            self._succeeded()
            if self._pages.is_at_beginning:
                return

    def _keep_pace(self) -> None:
        with self._limits.turn:
            while (wait_ms := self._limits.pace.wait_ms(_now_ms())) > 0:
                gevent.sleep(wait_ms / 1000)
            self._limits.pace.sent(_now_ms())

    def _rest(self, until: float) -> None:
        while (seconds := until - time.monotonic()) > 0:
            gevent.sleep(seconds)

    def _one_page(self) -> None:
        """Ask for the page that is due. Raises ConnectError."""
        self._began = time.monotonic()
        target, headers = self._pages.target, self._pages.headers
        request = self._exchange.request(self._endpoint + target, headers, int(time.time() * 1000))
        answer = self._client.request(request, self._limits.timeout_seconds, self._limits.most_bytes)
        if not is_good(answer.status) and not (answer.status == http.HTTPStatus.NOT_MODIFIED and headers):
            raise self._refused(request, answer)
        # What takes long for a large answer comes after it is handed over: its line has the time at which it had come.
        if _work_on(self._pages.keeps, answer):
            etag = printable(answer.headers.get("etag", ""), hidden=request.hidden) or None
            response = Response(request.shown_url, answer.status, etag, round(answer.seconds, 6))
            self._deal.arrived(answer.body, response)
        else:
            self._deal.unchanged()
        _work_on(self._pages.take, answer)
        if self._pages.fault is not None:
            self._warn("a listing ends early", self._pages.fault)

    def _refused(self, request: HttpRequest, answer: HttpAnswer) -> ConnectError:
        place = place_of(request, direct=self._limits.direct)
        error = refusal(place, answer, time.time(), signed=request.signed, hidden=request.hidden)
        if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
            error = _TooFast(str(error))
        elif answer.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            self._pages.begin_again()
        error.wait_seconds = min(retry_after(answer.headers, time.time()) or 0.0, LONGEST_PAUSE_SECONDS)
        return error

    def _failed(self, error: ConnectError) -> None:
        self.error = error
        if self._failing_since is None:
            self._failing_since = self._began
        self._warn("a request has failed; it is made again", str(error))
        self._pause.refused(error.wait_seconds)
        wait_ms = self._pause.wait_ms(_now_ms())
        if isinstance(error, _TooFast):
            self._limits.pace.hold(_now_ms() + wait_ms)
        while wait_ms > 0:
            gevent.sleep(wait_ms / 1000)
            wait_ms = self._pause.wait_ms(_now_ms())

    def _succeeded(self) -> None:
        if self.error is not None:
            _log.info("a request that has failed is answered again", extra={"path": self._spec.path})
            self._warned = ""
        self.error = self._failing_since = None
        self._was_answered = True
        self._pause.accepted()
        self._deal.answered()

    def _warn(self, text: str, reason: str) -> None:
        """Log what is wrong, once until something else is."""
        if reason != self._warned:
            self._warned = reason
            _log.warning(text, extra={"path": self._spec.path, "reason": reason})


def _work_on(work: Callable[[HttpAnswer], T], answer: HttpAnswer) -> T:
    """Return what a function says of an answer; of a large one, nothing else waits for it."""
    return work(answer) if len(answer.body) < LARGE_BYTES else off_the_hub(work, answer)


def _now_ms() -> float:
    return 1000 * time.monotonic()
