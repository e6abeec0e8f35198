"""When followed markets were open and not collected, by what the ledgers of a feed say. Pure.

A market is to be collected from its opening to its close, since the first run with the same configuration: one that
was born during an outage is missed as well as one that was known before it. It is collected while it is confirmed on
each of its channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssmd.proof.coverage import OpenTime
from ssmd.store.asked import ALL, REMOVE, SUBSCRIBE
from ssmd.store.closed_hours import joined
from ssmd.store.ledger import (
    ASKED,
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    FIRST_OF_A_RUN,
    FOLLOWED,
    OUTAGE,
    RECONFIGURED,
    ROTATED,
    STARTED,
    STOPPED,
    SUBSCRIBED,
    UNFOLLOWED,
    Entry,
    time_in,
)
from ssmd.store.sessions import sessions
from ssmd.store.timestamps import day_begins

__all__ = ["FollowedMarket", "FollowedMarkets"]

_SECOND = 1_000_000_000
_LAST_SECOND = 253_402_300_800
"""The end of the year 9999."""
_ENDS = (STOPPED, DISCONNECTED, ROTATED)


class FollowedMarket:
    """One market. All times are in ns since the epoch."""

    __slots__ = ("channels", "close_ns", "collected", "on_ns", "open_ns", "wanted")

    def __init__(self, since_ns: int) -> None:
        self.open_ns: int | None = None
        self.close_ns: int | None = None
        self.wanted: list[tuple[int, int | None]] = [(since_ns, None)]
        """When it was to be collected, if it was open; None for an end that has not come."""
        self.collected: list[tuple[int, int]] = []
        self.channels: tuple[str, ...] = ()
        """The channels on which it is to be collected."""
        self.on_ns: int | None = None
        """Since when it is confirmed on all of them; None when it is not."""

    def off(self, ns: int) -> None:
        """End the time in which it is collected, if it is."""
        if self.on_ns is not None and ns > self.on_ns:
            if self.collected and self.collected[-1][1] == self.on_ns:
                self.on_ns = self.collected.pop()[0]  # It went on over midnight.
            self.collected.append((self.on_ns, ns))
        self.on_ns = None

    def due(self, until_ns: int) -> list[tuple[int, int]]:
        """Return when it was open and to be collected, up to a time."""
        last_ns = until_ns if self.close_ns is None else min(until_ns, self.close_ns)
        stretches = (
            (max(since_ns, self.open_ns or 0), last_ns if to_ns is None else min(to_ns, last_ns))
            for since_ns, to_ns in self.wanted
        )
        return list(joined(stretches))


class FollowedMarkets:
    """The followed markets of one feed or shard. Take its days in their order."""

    def __init__(self) -> None:
        self.markets: dict[str, FollowedMarket] = {}
        self.times: list[OpenTime] = []
        """When a connection was open."""
        self._on: dict[str, set[str]] = {}
        """By channel, the markets that are confirmed."""
        self._asked: dict[str, set[str]] = {}
        """By channel, the markets that a subscription names."""
        self._ends_ns: int | None = None
        """When the present session ends; None when there is none."""
        self._configuration: object = None
        self._since_ns = 0
        """Since when this configuration is in force, in one run or in several after each other."""
        self._left: dict[str, int] = {}
        """The markets that were followed with an earlier configuration, and not yet with this one, each with when that
        ended.
        """

    def take(self, day: str, entries: Iterable[Entry], times: Sequence[OpenTime]) -> None:
        """Take the ledger of a day (YYYY-MM-DD). `times`: of its sessions, as open_times() returns them."""
        found = list(entries)
        ends = {id(one.began): time.end_ns for one, time in zip(sessions(found), times, strict=False)}
        self.times += times
        since_ns = 0
        for entry in found:
            if entry.event == OUTAGE:
                since_ns = max(day_begins(day), time_in(entry, "from"))
            if entry.event in (CONNECTED, CONTINUED, *FIRST_OF_A_RUN, *_ENDS):
                self._end_session()
            if entry.event in (STARTED, CONTINUED, RECONFIGURED):
                at_ns = day_begins(day) if entry.event == CONTINUED else entry.ts_ns
                self._configured(entry.fields.get("configuration"), at_ns, since_ns)
            if id(entry) in ends:
                self._ends_ns = ends[id(entry)]
            elif self._ends_ns is not None:
                self._take(entry)

    def _configured(self, configuration: object, ns: int, since_ns: int) -> None:
        if self._configuration is None:
            self._since_ns = since_ns or ns
        elif configuration != self._configuration:
            self._since_ns = ns
            for name, market in self.markets.items():
                if market.wanted[-1][1] is None:
                    self._left.setdefault(name, ns)
        self._configuration = configuration

    def _end_session(self) -> None:
        if self._ends_ns is None:
            return
        for market in self.markets.values():
            market.off(self._ends_ns)
            market.channels = ()
        self._ends_ns, self._on, self._asked = None, {}, {}

    def _take(self, entry: Entry) -> None:
        ts_ns, fields = entry.ts_ns, entry.fields
        if entry.event == FOLLOWED:
            channels, markets = _names(fields, "channels"), fields.get("markets")
            for name, times in markets.items() if isinstance(markets, Mapping) else ():
                self._followed(name, channels, times, ts_ns)
        elif entry.event == UNFOLLOWED:
            for name in list(self.markets) if fields.get("markets") == ALL else _names(fields, "markets"):
                self._unfollowed(name, ts_ns)
        elif entry.event == SUBSCRIBED:
            channel = str(fields.get("channel"))
            names = _names(fields, "tickers") if "tickers" in fields else self._asked.get(channel, ())
            self._on.setdefault(channel, set()).update(names)
            self._on[channel].difference_update(unconfirmed := _names(fields, "unconfirmed"))
            self._look([*names, *unconfirmed], ts_ns)
        elif entry.event == ASKED:
            self._asked_for(str(fields.get("channel")), fields, ts_ns)

    def _asked_for(self, channel: str, fields: Mapping[str, Any], ts_ns: int) -> None:
        if fields.get("action") == SUBSCRIBE:
            self._asked.setdefault(channel, set()).update(_names(fields, "markets"))
        elif fields.get("action") == REMOVE and (on := self._on.get(channel)):
            names = list(on) if fields.get("markets") == ALL else _names(fields, "markets")
            on.difference_update(names)
            self._look(names, ts_ns)

    def _followed(self, name: str, channels: Sequence[str], times: object, ts_ns: int) -> None:
        market = self.markets.get(name)
        if market is None:
            market = self.markets[name] = FollowedMarket(self._since_ns)
        elif (ended_ns := market.wanted[-1][1]) is not None:
            market.wanted.append((max(ended_ns, self._since_ns), None))
            market.channels = ()
        self._left.pop(name, None)
        if isinstance(times, Sequence) and len(times) == 2:
            market.open_ns, market.close_ns = (_ns_of(each) for each in times)
        market.channels = tuple(dict.fromkeys([*market.channels, *channels]))
        self._look([name], ts_ns)

    def _unfollowed(self, name: str, ts_ns: int) -> None:
        market = self.markets.get(name)
        if market is not None and market.wanted[-1][1] is None:
            # It goes on being collected until it is removed: after a reload, it may be followed again at once.
            market.wanted[-1] = (market.wanted[-1][0], ts_ns)

    def _look(self, names: Iterable[str], ts_ns: int) -> None:
        """Find out for some markets whether they are confirmed on all their channels."""
        for name in names:
            market = self.markets.get(name)
            if market is None:
                continue
            if not market.channels or not all(name in self._on.get(channel, ()) for channel in market.channels):
                market.off(ts_ns)
            elif market.on_ns is None:
                market.on_ns = ts_ns

    def finish(self) -> None:
        """End the last session; call it after the last day."""
        self._end_session()
        for name, ns in self._left.items():
            self._unfollowed(name, ns)


def _names(fields: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of names; a damaged ledger may have anything there."""
    value = fields.get(name)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _ns_of(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < _LAST_SECOND:
        return None
    return int(seconds * _SECOND)
