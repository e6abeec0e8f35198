"""The tap: shows people a few of the messages that are received. Nothing is looked at while nobody looks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.observer import Observer
from ssmd.contracts.tail import EVERYTHING, Seen, Wish
from ssmd.contracts.writer import Note, Reads
from ssmd.errors import printable
from ssmd.observing.harmless import Harmless

__all__ = ["Tap"]

KEPT = 4
"""So many messages of a wish are kept at most until they are taken, once a second or less often."""
PAUSE_SECONDS = 0.2
"""How far the messages of a wish are apart at least."""
LOOKS = 500
"""How many messages are looked at in each LOOK_SECONDS for wishes that name something. A rare one may not be found."""
LOOK_BYTES = 512 * 1024
"""Nor more than so many bytes of them, one message aside."""
LOOK_SECONDS = 0.1
RETRY_SECONDS = 0.01
"""How long to wait after a message that is not to be shown, when any will do."""
TEXT_BYTES = 4096
"""So much of a message is shown."""
_LONGEST_NAME = 200
"""So many characters of a type and of a market are shown."""
LONGEST_BYTES = 256 * 1024
"""A longer message is not shown: to find its type would take too long."""


class Tap:
    """Keeps the contracts of contracts/observer.py and contracts/tail.py.

    `reader`: finds the type and the market of a message. `is_public`: returns whether everybody may see the messages of
    a type. Others, and those that are not JSON, never come in. `monotonic`: returns seconds.
    """

    def __init__(
        self, reader: MessageReader, is_public: Callable[[str], bool], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = reader
        self._is_public = is_public
        self._monotonic = monotonic
        self._kept: dict[Wish, deque[Seen]] = {}
        """By what is wanted now; empty while nobody looks."""
        self._due: dict[Wish, float] = {}
        self._looks, self._bytes, self._looks_until = 0, 0, 0.0
        self.next_ns = 0
        """Nothing that was received before this time, of the wall clock, is looked at."""
        self._turn = 0
        self._observers: list[Observer] = []
        self._own = _WhenDue(self)

    def join(self, observers: list[Observer]) -> None:
        """Be one of these observers from now on, but only while somebody looks."""
        self._observers = observers

    def want(self, wishes: Collection[Wish]) -> None:
        self._kept = {wish: self._kept.get(wish, deque(maxlen=KEPT)) for wish in wishes}
        self._due = {wish: self._due.get(wish, 0.0) for wish in wishes}
        self.next_ns = 0
        if self._kept and self._own not in self._observers:
            self._observers.append(self._own)
        elif not self._kept and self._own in self._observers:
            self._observers.remove(self._own)

    def take(self, wish: Wish) -> Sequence[Seen]:
        kept = self._kept.get(wish)
        if not kept:
            return ()
        found = list(kept)
        kept.clear()
        return found

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        return ()

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        ts_ns, now = reads[-1][0], self._monotonic()
        for wish, kept in self._kept.items():
            if len(kept) == KEPT:
                self._due[wish] = now + PAUSE_SECONDS
            elif now >= self._due[wish]:
                self._due[wish] = now + self._look_for(wish, kept, ts_ns, payloads, now)
        self.next_ns = ts_ns + int((min(self._due.values(), default=now) - now) * 1e9)

    def _look_for(self, wish: Wish, kept: deque[Seen], ts_ns: int, payloads: list[bytes], now: float) -> float:
        """Keep a message for a wish, if there is one; return in how many seconds to look again."""
        if wish == EVERYTHING:
            # Not always the last one of what came together: it may always be of the same kind.
            self._turn += 1
            seen = self._read(payloads[self._turn % len(payloads)], ts_ns, wish)
        else:
            seen = self._search(payloads, ts_ns, wish, now)
        if seen is not None:
            kept.append(seen)
            return PAUSE_SECONDS
        if wish == EVERYTHING:
            return RETRY_SECONDS
        return 0.0 if self._looks > 0 and self._bytes > 0 else self._looks_until - now

    def _search(self, payloads: list[bytes], ts_ns: int, wish: Wish, now: float) -> Seen | None:
        """Return the last message that a wish is about; None when there is none, or too many were looked at by now."""
        if now >= self._looks_until:
            self._looks, self._bytes, self._looks_until = LOOKS, LOOK_BYTES, now + LOOK_SECONDS
        type_, market = wish.type.encode("utf-8", "replace"), wish.market.encode("utf-8", "replace")
        for payload in reversed(payloads):
            if self._looks <= 0 or self._bytes <= 0:
                break
            self._looks -= 1
            self._bytes -= len(payload)
            if type_ in payload and market in payload and (seen := self._read(payload, ts_ns, wish)) is not None:
                return seen
        return None

    def _read(self, payload: bytes, ts_ns: int, wish: Wish) -> Seen | None:
        """Return what is shown of a message; None when it is not to be shown."""
        if len(payload) > LONGEST_BYTES:
            return None
        try:
            [(type_, market)] = self._reader.read([payload])
        except (ValueError, RecursionError):
            return None
        if not self._is_public(type_) or (wish.type and wish.type != type_) or wish.market not in market:
            return None
        text = payload[:TEXT_BYTES].decode("utf-8", "replace")
        return Seen(ts_ns, printable(type_, _LONGEST_NAME), printable(market, _LONGEST_NAME), text, len(payload))


class _WhenDue:
    """Hands on to a tap what it is to look at. Keeps the contract of contracts/observer.py.

    It is asked for each read, and nearly always has nothing to do, so this takes as little time as it can.
    """

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._observer = Harmless(tap)

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        if reads[-1][0] >= self._tap.next_ns:
            self._observer.observe(reads, payloads)

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        return self._observer.notes(now_ns, end=end)
