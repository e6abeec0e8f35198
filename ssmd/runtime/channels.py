"""Watches, once a second, whether what was asked for on each channel is confirmed, and whether it comes.

Time counts only while ssmd listens. While its process is stopped, or does not read because the disk is behind, nothing
can be heard, and that is no silence of the exchange. Nor does time count in which silence is expected.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from ssmd.contracts.events import ChannelState
from ssmd.contracts.exchange import Exchange
from ssmd.errors import Disconnected
from ssmd.metadata.hours import Times
from ssmd.runtime.channel_status import ChannelStatus
from ssmd.runtime.expected_silence import NO_SILENCES, ExpectedSilence
from ssmd.runtime.journal import Journal
from ssmd.runtime.reason import Reason
from ssmd.runtime.reporter import ACKNOWLEDGE_SECONDS, some
from ssmd.runtime.status import Status
from ssmd.runtime.watched_channel import WatchedChannel, is_confirmed
from ssmd.store.ledger import HEARD, SILENT
from ssmd.store.timestamps import timestamp
from ssmd.words import counted

__all__ = ["BOOKS_SECONDS", "FOREIGN_SECONDS", "NO_LIMITS", "ChannelWatch", "Limits"]

BOOKS_SECONDS = 60.0
"""How long an order book may stay unknown before that is reported."""
NOTE_SECONDS = 60.0
"""A channel gets at most one entry `silent` in this time, and its `heard` at once."""
UNHEARD_SECONDS = 3600.0
"""The log names the markets of a channel that were never heard from at most once in this time."""
NAMES_IN_LEDGER = 20
FOREIGN_SECONDS = 60.0
"""For how long messages come before it is reported that none is of a market that was asked for."""

LONGEST_TICK_SECONDS = 2.0
"""A longer time between two ticks counts as this many seconds: the process was stopped, or had no time to read."""

_NEVER_HEARD = (
    "markets never heard from: quiet, settled, misspelt or in the wrong case; if only quiet, raise silent_after_seconds"
)

_log = logging.getLogger("ssmd.runner")


class Limits(NamedTuple):
    """How long a channel may be silent, in seconds."""

    silent_seconds: float = math.inf
    """After this time it is reported."""
    timeout_seconds: Mapping[str, float] = MappingProxyType({})
    """By channel: after this time the run ends."""
    silences: Times = NO_SILENCES
    """When no message is expected: that time does not count."""


NO_LIMITS = Limits()


class ChannelWatch:
    """Sets `status.channels`, and reports in the log and the ledger what does not come.

    `clock`: returns ns since the epoch, for the ledger; it is read only for dialects that know channels, and where
    silence is expected at times. `monotonic`: returns seconds. `hold` and `wall_clock`: see ExpectedSilence.
    """

    def __init__(
        self,
        exchange: Exchange,
        status: Status,
        journal: Journal,
        limits: Limits,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        hold: Callable[[bool], None] = lambda held: None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._exchange = exchange
        self._status = status
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic
        self._silence = ExpectedSilence(limits.silences, status, journal, hold, clock, wall_clock)
        self._last_tick: float | None = None
        self._unacknowledged = self._unsent = 0.0
        self._watched: dict[str, WatchedChannel] = {}

    def tick(self) -> None:
        """Look at every channel; called once a second. Raises Disconnected when a channel's time-out has passed."""
        self._silence.tick()
        if not self._status.connected:
            return
        seconds = self._listened()
        channels: dict[str, list[ChannelState]] = {}
        for state in self._exchange.channels():
            channels.setdefault(state.channel, []).append(state)
        self._status.channels = [self._look(name, states, seconds) for name, states in channels.items()]
        self._status.missing = [*self._unsent_messages(seconds), *self._unconfirmed_subscriptions(seconds, channels)]
        for name, seconds_allowed in self._limits.timeout_seconds.items():
            if name in self._watched and self._watched[name].quiet >= seconds_allowed:
                silence = f"no message of the channel {name} came for {seconds_allowed:g} s"
                raise Disconnected(f"{silence} (channel_timeout_seconds)")

    def _listened(self) -> float:
        """Return for how many seconds the exchange was listened to since the last tick."""
        last, self._last_tick = self._last_tick, self._monotonic()
        if last is None or self._journal.pressed or self._status.silence_until_ns is not None:
            return 0.0
        return min(self._last_tick - last, LONGEST_TICK_SECONDS)

    def _unsent_messages(self, seconds: float) -> Iterator[Reason]:
        """Yield how much of the opening is still to be sent, when that takes long."""
        unsent = self._exchange.unsent()
        self._unsent = self._unsent + seconds if unsent else 0.0
        if self._unsent > ACKNOWLEDGE_SECONDS:
            yield Reason(f"{unsent} messages that ask for data are still to be sent (rate_limit_per_second)")

    def _unconfirmed_subscriptions(self, seconds: float, channels: Collection[str]) -> Iterator[Reason]:
        """Yield what is not confirmed, for a dialect that does not know channels."""
        count = 0 if channels or self._exchange.unsent() else self._status.unacknowledged
        self._unacknowledged = self._unacknowledged + seconds if count else 0.0
        if self._unacknowledged > ACKNOWLEDGE_SECONDS:
            text = f"{count} subscriptions not confirmed for {self._unacknowledged:.0f} s"
            yield Reason(text, says_how_long=True)

    def _look(self, name: str, states: Sequence[ChannelState], seconds: float) -> ChannelStatus:
        watched = self._watched.get(name)
        if watched is None:
            watched = self._watched[name] = WatchedChannel([0] * len(states))
        watched.update(states, seconds, self._status.last_received_ns)
        may_be_silent = all(state.may_be_silent for state in states)
        now = ChannelStatus(
            channel=name,
            asked=_sum(state.asked for state in states),
            confirmed_markets=_sum(state.confirmed for state in states),
            heard=_sum(state.heard for state in states),
            confirmed=None if any(state.pending is None for state in states) else all(map(is_confirmed, states)),
            silent=watched.quiet >= self._limits.silent_seconds and not may_be_silent,
            last_ns=watched.last_ns,
            books_pending=_sum(state.books_pending for state in states),
            books_missing=_sum(state.books_missing for state in states),
            may_be_silent=may_be_silent,
            numbered=_sum(state.numbered for state in states),
        )
        if not now.books_pending:
            self._status.broken_books.discard(name)
        self._note_silence(watched, now)
        if self._status.silence_until_ns is not None:
            now = replace(now, silent=False)
        self._report_unheard(watched, now)
        _report_foreign(watched, now)
        self._report_books(watched, now)
        return replace(now, missing=list(self._missing(watched, now)))

    def _missing(self, watched: WatchedChannel, now: ChannelStatus) -> Iterator[Reason]:
        """Yield why what was asked for on a channel is not coming."""
        name = now.channel
        if watched.unconfirmed > ACKNOWLEDGE_SECONDS and name not in self._status.refused:
            what = now.some_unconfirmed or "subscription not confirmed"
            yield Reason(f"{name}: {what} for {watched.unconfirmed:.0f} s", name, says_how_long=True)
        if now.silent:
            yield Reason(f"{name}: no message for {watched.quiet:.0f} s", name, says_how_long=True)
        if watched.books > BOOKS_SECONDS and name not in self._status.broken_books:
            text = f"{name}: {counted(now.books_pending, 'order book')} not known for {watched.books:.0f} s"
            yield Reason(text, name, says_how_long=True)
        if now.books_missing:
            yield Reason(f"{name}: {counted(now.books_missing, 'order book')} not sent by the exchange", name)

    def _note_silence(self, watched: WatchedChannel, now: ChannelStatus) -> None:
        """Log, and write to the ledger, that a channel has fallen silent, or is heard again."""
        if now.silent == watched.noted or (now.silent and watched.since_note < NOTE_SECONDS):
            return
        watched.noted = now.silent
        ts_ns = self._clock()
        if not now.silent:
            _log.info("channel heard again", extra={"channel": now.channel})
            self._journal.note(HEARD, ts_ns, channel=now.channel)
            return
        watched.since_note = 0.0
        markets = None if now.asked is None or now.heard is None else now.asked - now.heard
        names = list(self._exchange.unheard(now.channel)[:NAMES_IN_LEDGER]) if markets else []
        since = timestamp(watched.last_ns or self._status.connected_ns or ts_ns)
        extra = {"channel": now.channel, "seconds": round(watched.quiet), "since": since}
        _log.warning("channel silent", extra=extra)
        self._journal.note(SILENT, ts_ns, channel=now.channel, since=since, markets=markets, names=names)

    def _report_unheard(self, watched: WatchedChannel, now: ChannelStatus) -> None:
        """Log the markets that were asked for and never heard from, unless they are the same as the last time."""
        if watched.listened < self._limits.silent_seconds or watched.since_unheard < UNHEARD_SECONDS:
            return
        if now.may_be_silent or now.asked is None or now.heard is None:
            return
        watched.since_unheard = 0.0
        names = self._exchange.unheard(now.channel) if now.heard < now.asked else ()
        if names and frozenset(names) != watched.unheard:
            extra = {"channel": now.channel, "seconds": round(watched.listened), "of": now.asked}
            extra |= {"count": len(names), "markets": some(names)}
            _log.warning(_NEVER_HEARD, extra=extra)
        watched.unheard = frozenset(names)

    def _report_books(self, watched: WatchedChannel, now: ChannelStatus) -> None:
        if watched.books > BOOKS_SECONDS and not watched.books_warned:
            extra = {"channel": now.channel, "books": now.books_pending, "seconds": round(watched.books)}
            _log.warning("order books not known: their snapshots have not come", extra=extra)
        watched.books_warned = watched.books > BOOKS_SECONDS


def _report_foreign(watched: WatchedChannel, now: ChannelStatus) -> None:
    """Log once that messages of a channel come, and none of them is of a market that was asked for."""
    if now.asked and now.heard == 0 and watched.foreign >= FOREIGN_SECONDS and not watched.foreign_warned:
        watched.foreign_warned = True
        remedy = "compare `paths.market` with `asked.market` in the feed's dialect: they must give one name"
        _log.warning("no message is of a market that was asked for", extra={"channel": now.channel, "remedy": remedy})


def _sum(counts: Iterator[int | None]) -> int | None:
    """Return the sum of counts; None when one of them is unknown."""
    found = list(counts)
    return None if None in found else sum(count for count in found if count is not None)
