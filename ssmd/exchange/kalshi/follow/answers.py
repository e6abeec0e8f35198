"""Reads what is needed from Kalshi's REST answers and life cycle messages; the rest of them is skipped. Pure.

Sources: https://docs.kalshi.com/openapi.yaml, https://docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from ssmd.exchange.kalshi.follow.section import STATUSES

__all__ = ["LIFE_CYCLE_TYPES", "Change", "Page", "Row", "read_event", "read_life_cycle", "read_market", "read_page"]

LIFE_CYCLE_TYPES = ("market_lifecycle_v2", "multivariate_market_lifecycle", "event_lifecycle")
"""The types of the messages about markets and events that are new, or have changed."""

_STATUS = {"initialized": "unopened", "active": "open", "inactive": "paused", "finalized": "settled"}


class Row(msgspec.Struct, gc=False):
    """A market in an answer. It has no series (https://docs.kalshi.com/openapi.yaml, "Market")."""

    ticker: str
    event_ticker: str = ""
    status: str = ""
    open_time: str = ""
    close_time: str = ""

    @property
    def open_seconds(self) -> float:
        """When it opens, Unix seconds; 0 when that is not known."""
        return _seconds_of(self.open_time)

    @property
    def close_seconds(self) -> float:
        return _seconds_of(self.close_time)

    @property
    def state(self) -> str:
        """Its state by the names of the filter: one of STATUSES, or settled."""
        found = _STATUS.get(self.status, self.status)
        # Any other status is of a market that has closed: determined, disputed, amended, and what Kalshi may add.
        return found if found in STATUSES or found == "settled" else "closed"


class Page(msgspec.Struct, gc=False):
    """One page of `GET /markets`."""

    markets: list[Row]
    cursor: str | None = None
    """For the next page; empty or None on the last page."""


class _Market(msgspec.Struct, gc=False):
    market: Row


class _Event(msgspec.Struct, gc=False):
    series_ticker: str = ""


class _OfEvent(msgspec.Struct, gc=False):
    event: _Event


class _Metadata(msgspec.Struct, gc=False):
    event_ticker: str = ""


class _Body(msgspec.Struct, gc=False):
    market_ticker: str = ""
    event_type: str = ""
    event_ticker: str = ""
    series_ticker: str = ""
    open_ts: float | None = None
    close_ts: float | None = None
    additional_metadata: _Metadata | None = None


class _Message(msgspec.Struct, gc=False):
    type: str
    msg: _Body


class Change(NamedTuple):
    """A life cycle message."""

    kind: str
    """`event` for a new event, otherwise the `event_type` of a market's message."""
    market: str
    event: str
    series: str
    open_seconds: float
    """When the market opens, Unix seconds; 0 when the message has no such time."""
    close_seconds: float


_decode_page = msgspec.json.Decoder(Page).decode
_decode_market = msgspec.json.Decoder(_Market).decode
_decode_event = msgspec.json.Decoder(_OfEvent).decode
_decode_message = msgspec.json.Decoder(_Message).decode


def read_page(body: bytes) -> Page | None:
    """Return a page of markets; None when the body is not one."""
    try:
        return _decode_page(body)
    except (ValueError, RecursionError):
        return None


def read_market(body: bytes) -> Row | None:
    """Return the market in the answer to `GET /markets/{ticker}`; None when the body has none."""
    try:
        return _decode_market(body).market
    except (ValueError, RecursionError):
        return None


def read_event(body: bytes) -> str:
    """Return the series in the answer to `GET /events/{ticker}`; empty when the body has none."""
    try:
        return _decode_event(body).event.series_ticker
    except (ValueError, RecursionError):
        return ""


def read_life_cycle(payload: bytes) -> Change | None:
    """Return what a life cycle message says; None when it cannot be read."""
    try:
        message = _decode_message(payload)
    except (ValueError, RecursionError):
        return None
    body = message.msg
    event = body.event_ticker or (body.additional_metadata.event_ticker if body.additional_metadata else "")
    kind = "event" if message.type == "event_lifecycle" else body.event_type
    return Change(kind, body.market_ticker, event, body.series_ticker, body.open_ts or 0.0, body.close_ts or 0.0)


def _seconds_of(time: str) -> float:
    try:
        return datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0
