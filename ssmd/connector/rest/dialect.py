"""A dialect as a REST feed needs it: the exchange's own, which signs the requests, with another `subscribe` section."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ssmd.connector.rest.section import problems_of, read_requests, texts_of
from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.dialect import Dialect, Terms
from ssmd.contracts.events import Asked, ChannelState
from ssmd.contracts.exchange import Exchange, Inspection, Inspector, MessageReader, Opening
from ssmd.contracts.http import HttpRequest
from ssmd.contracts.listing import Listing
from ssmd.contracts.table import Table
from ssmd.errors import ConfigError, SsmdError

__all__ = ["LOSS_NOTE", "RestDialect", "RestExchange"]


_ACTING = ("headers", "paths", "message_types")
"""What acts in the description of a REST feed: the headers of each request, and where readers find what they need."""


LOSS_NOTE = "each message answers a request; what changes between two requests does not show"
"""What people should know about lost messages: an answer that does not come is asked for again."""


class RestExchange:
    """The Exchange of a REST feed: it has no channels, and its messages are kept without being looked at.

    `inner`: signs the requests; None when no keys are given to an exchange that needs none for this.
    `requests_per_second`: None for no limit.
    """

    sequence = idle = ""
    shows_loss = False
    heads = None
    loss_note = LOSS_NOTE
    tick_seconds: float | None = None
    listing: Listing | None = None

    def __init__(self, inner: Exchange | None, subscribe: Any, requests_per_second: float | None) -> None:
        self._inner = inner
        self.requests = read_requests(subscribe)
        self.requests_per_second = requests_per_second

    def request(self, url: str, headers: Mapping[str, str], now_ms: int) -> HttpRequest:
        """Return a request with its placeholders filled in, and signed. Raises ConnectError."""
        opening = self.opening(url, now_ms)
        return HttpRequest(
            "GET", opening.url, {**headers, **opening.headers}, None, opening.hidden, opening.signed
        )

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return Opening(endpoint) if self._inner is None else self._inner.opening(endpoint, now_ms)

    def inspect(self, payloads: list[bytes]) -> Inspection:
        return Inspection(decoded=False)

    def sequence_name(self, sid: int) -> str:
        return ""

    def prepare(self, now_ms: int) -> HttpRequest | None:
        return None

    def prepared(self, answer: bytes) -> None:
        pass

    def commands(self) -> Sequence[bytes]:
        return ()

    def unsent(self) -> int:
        return 0

    def asked(self) -> Sequence[Asked]:
        return ()

    def tick(self, now_ms: int) -> Inspection:
        return Inspection(decoded=True)

    def unacknowledged(self) -> Sequence[str]:
        return ()

    def channels(self) -> Sequence[ChannelState]:
        return ()

    def unheard(self, channel: str) -> Sequence[str]:
        return ()

    def unconfirmed(self, channel: str) -> Sequence[str]:
        return ()

    def expects_text(self, payload: bytes) -> bool:
        return False

    def hidden(self) -> Collection[str]:
        return () if self._inner is None else self._inner.hidden()

    def reconfigure(self, subscribe: Any) -> None:
        raise ConfigError("a feed of the type rest cannot change `subscribe` while it runs; restart the run")

    def closed(self, code: int | None, reason: str) -> SsmdError | None:
        return None


class RestDialect:
    """Keeps the Dialect contract. What is recorded is read by the exchange's own dialect."""

    knows_markets = False
    can_be_divided = False
    rest_without_keys = False

    def __init__(self, inner: Dialect) -> None:
        self._inner = inner

    def check_description(self, description: Mapping[str, Any]) -> Iterator[FieldProblem]:
        yield from self._inner.check_description(description)
        for name in description:
            if name == "prepare":
                message = "cannot be used by a feed of the type rest, whose requests stand alone; remove it"
                yield FieldProblem((name,), message)
            elif name not in _ACTING:
                yield FieldProblem((name,), "has no effect on a feed of the type rest", warning=True, lenient=True)

    def described(self, description: Mapping[str, Any]) -> Dialect:
        return RestDialect(self._inner.described(description))

    def needed_to_read(self, description: Mapping[str, Any]) -> dict[str, Any]:
        return self._inner.needed_to_read(description)

    def __call__(self, keys: Mapping[str, str], subscribe: Any, terms: Terms) -> RestExchange:
        is_open = not keys and self._inner.rest_without_keys
        inner = None if is_open else self._inner(keys, {}, terms)
        return RestExchange(inner, subscribe, terms.commands_per_second)

    def check(self, subscribe: Any) -> Iterator[FieldProblem]:
        yield from problems_of(subscribe)
        for path, text in texts_of(subscribe):
            if fault := self._inner.check_endpoint(text):
                yield FieldProblem(path, fault)

    def check_endpoint(self, endpoint: str) -> str | None:
        return self._inner.check_endpoint(endpoint)

    def rest_endpoint(self, endpoint: str) -> str:
        return ""

    def followed(self, subscribe: Any) -> Sequence[str]:
        return ()

    def check_keys(self, fields: Sequence[str], endpoint: str, subscribe: Any) -> Iterable[FieldProblem]:
        if not fields and self._inner.rest_without_keys:
            return ()
        return self._inner.check_keys(fields, endpoint, subscribe)

    def channel_names(self, subscribe: Any) -> Sequence[str]:
        return ()

    def markets(self, subscribe: Any) -> Collection[str]:
        return ()

    def book_channels(self, subscribe: Any) -> Sequence[str]:
        return ()

    def inspector(self) -> Inspector:
        return self._inner.inspector()

    def reader(self) -> MessageReader:
        return self._inner.reader()

    def tables(self) -> Sequence[Table]:
        return self._inner.tables()
