"""Snapshot requests on one connection to Kalshi: when and how they are made, and what the answers mean."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ssmd.contracts.events import Event, Gap, Refused, SnapshotsReceived, SnapshotsRequested
from ssmd.contracts.exchange import SnapshotPolicy
from ssmd.errors import Disconnected
from ssmd.exchange.kalshi.books import Books
from ssmd.exchange.kalshi.changing_markets import remove
from ssmd.exchange.kalshi.channels import BOOKS
from ssmd.exchange.kalshi.command import CommandIds
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.errors import KalshiError
from ssmd.exchange.kalshi.market import market_in

__all__ = ["Snapshots"]

_DAY_MS = 86_400_000

_NOT_SERVED = (
    "no fresh order books: after a gap they are unknown until the next run; with `snapshots: {after_gap: end}` "
    "the run ends at a gap"
)


class Snapshots:
    """The snapshots of one subscription. `channel`: that of the order books. `ids`: of the connection's commands."""

    def __init__(self, channel: ChannelOfConnection, ids: CommandIds, policy: SnapshotPolicy) -> None:
        self._channel = channel
        self._policy = policy
        self._books = Books(ids, policy.per_second)
        self._day: int | None = None
        self._early: set[str] = set()
        """The markets whose snapshots have come before they were confirmed."""

    @property
    def pending(self) -> int:
        return self._books.pending

    @property
    def missing(self) -> int:
        return len(self._books.missing)

    def are_of(self, channel: ChannelOfConnection) -> bool:
        return self._channel is channel

    def has_asked(self, command_id: int) -> bool:
        """Return whether a command is one of those that have asked for order books of late."""
        return self._books.has_asked(command_id)

    def begin(self, now_ms: int) -> None:
        """Record when the connection is opened: messages are in the file of this day, or of a later one."""
        self._day = now_ms // _DAY_MS

    def confirmed(self, markets: Sequence[str], no_longer: Sequence[str]) -> None:
        """Follow the books of the markets that are confirmed now, and no longer those of others."""
        self._books.follow(markets, no_longer)
        self._early.difference_update(no_longer)
        for market in self._early.intersection(markets):
            self._early.discard(market)
            self._books.receive(market)

    @property
    def sid(self) -> int | None:
        """The sid of the order books; None before it is confirmed."""
        return self._channel.sid

    def lost(self, gap: Gap) -> Disconnected | None:
        """Act on a gap of any subscription; return the error that ends the run, if it is one."""
        if self._channel.sid is None:
            self._early.clear()
        if gap.sid != self._channel.sid:
            return None
        if self._policy.after_gap == "end":
            what = f"a message of {BOOKS} is missing (sid {gap.sid}: {gap.got} came, not {gap.expected})"
            return Disconnected(f"{what}; the run ends because of `after_gap: end`, and the next run gets fresh books")
        self._early.clear()
        self._books.lost()
        return None

    def receive(self, sid: int, payload: bytes, request_id: int, in_place: bool) -> None:
        """Read a snapshot. `request_id`: 0 when it was not asked for. `in_place`: as for Books.receive()."""
        if self._channel.sid not in (None, sid):
            return
        market = market_in(payload)
        remove(self._channel.unheard, [market])
        if market in self._channel.unconfirmed:
            self._early.add(market)
        else:
            self._books.receive(market, request_id, in_place=in_place or not request_id)

    def report(self, place: int) -> Sequence[Event]:
        """Return an event, once, when no snapshot is still to come."""
        # At the start the markets of all commands count together.
        is_opening = self._books.why == "start" and (self._channel.pending or self._channel.can_change)
        if self._channel.sid is None or is_opening or not self._books.take_report():
            return ()
        books = self._books
        return [SnapshotsReceived(self._channel.sid, BOOKS, books.known, place, books.missing)]

    def notice_day(self, now_ms: int) -> bool:
        """Begin anew when a UTC day begins; return whether one does. A clock that goes back does not bring an earlier
        day back.
        """
        day = now_ms // _DAY_MS
        is_new = self._day is not None and day > self._day
        if is_new and self._policy.daily:
            self._early.clear()
            self._books.begin_day()
        self._day = day if self._day is None else max(day, self._day)
        return is_new

    def ask(self, passed_ms: int, most_commands: int) -> tuple[Sequence[bytes], Sequence[Event]]:
        """Return the commands that are due, and an event that names all their markets. `passed_ms`: see Books.due()."""
        commands: list[bytes] = []
        markets: list[str] = []
        sid = self._channel.sid or 0
        for request in self._books.due(passed_ms, most_commands):
            params = {"sids": [sid], "action": "get_snapshot", "market_tickers": request.markets}
            command = {"id": request.id, "cmd": "update_subscription", "params": params}
            commands.append(json.dumps(command, separators=(",", ":")).encode())
            markets += request.markets
        return commands, [SnapshotsRequested(sid, BOOKS, markets, self._books.why)] if markets else ()

    def refused(self, request_id: int, error: KalshiError, place: int) -> Refused | Disconnected | None:
        """Read the error that answers a request; return what to report, or the error that ends the run."""
        if error.is_unknown_sid:
            return Disconnected(f"{error.text}; Kalshi has ended that subscription")
        if error.is_too_many_commands:
            self._books.repeat(request_id)
        elif error.is_bad_command:
            if self._books.give_up():
                return Refused(BOOKS, error.code, f"{error.text}; {_NOT_SERVED}", place)
        elif not error.is_timeout and self._books.refused(request_id, error.named):
            text = f"{error.text}; asking again for fewer order books at a time"
            return Refused(BOOKS, error.code, text, place, for_now=True)
        return None
