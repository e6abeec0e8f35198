"""The days of a feed as strips, from their manifests and ledgers: what the live page shows.

Of the data, only the last line of a run that was killed is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ssmd.contracts.strip import CLOSED, LISTENING, OUTAGE, UNKNOWN, End, Piece, Strip
from ssmd.errors import DataError, printable
from ssmd.proof.coverage import open_times, unconnected
from ssmd.store.last_line import last_received
from ssmd.store.layout import data_path, ledger_path, manifest_path
from ssmd.store.ledger import (
    CONTINUED,
    DISCONNECTED,
    FIRST_OF_A_RUN,
    GAP,
    OF_A_RUN,
    ROTATED,
    STARTED,
    STOPPED,
    Entry,
    time_in,
)
from ssmd.store.ledger import OUTAGE as OUTAGE_FOUND
from ssmd.store.ledger_file import readable_entries
from ssmd.store.manifest import ClosedTime, Manifest, TimeGap
from ssmd.store.manifest_file import read_manifest
from ssmd.store.manifest_formats import known
from ssmd.store.sessions import KILLED, Session, sessions
from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns, parse_timestamp

__all__ = ["DAYS", "Strips", "of_entries", "of_files", "of_manifest"]

DAYS = 8
"""How many days there are: today, and the seven before it."""
_LONGEST_REASON = 500


class Strips:
    """Reads the days of one stem in a storage folder. A manifest is read once: a sealed day does not change.

    `is_connected`: returns whether this process is connected now. `clock`: returns ns since the epoch.
    """

    def __init__(self, storage: Path, stem: str, is_connected: Callable[[], bool], clock: Callable[[], int]) -> None:
        self._storage = storage
        self._stem = stem
        self._is_connected = is_connected
        self._clock = clock
        self._sealed: dict[str, Strip] = {}

    def read(self) -> Sequence[Strip]:
        """Return the days as of now, the oldest first, the last one today. It may be called in a thread."""
        now_ns = self._clock()
        begins = [day_begins(day_of_ns(now_ns)) - number * DAY_NS for number in reversed(range(DAYS))]
        days = [day_of_ns(begin) for begin in begins]
        self._sealed = {day: strip for day, strip in self._sealed.items() if day in days}
        found: list[Strip] = []
        goes_on = self._is_connected()  # In the file of the newest day that has one: today's has none before a message.
        for day in reversed(days):
            strip, is_empty = self._day(day, now_ns, goes_on)
            found.append(strip)
            goes_on = goes_on and is_empty
        return found[::-1]

    def _day(self, day: str, now_ns: int, is_connected: bool) -> tuple[Strip, bool]:
        """Return a day, and whether nothing is recorded of it. `is_connected`: its last connection is open now."""
        if day not in self._sealed:
            folder = self._storage / day
            try:
                manifest = read_manifest(manifest_path(folder, self._stem))
            except DataError:  # `ssmd verify` reports it. The ledger may say more.
                manifest = None
            if manifest is None:
                entries = readable_entries(ledger_path(folder, self._stem)).outline()
                strip = of_files(day, data_path(folder, self._stem), entries, now_ns, is_connected=is_connected)
                return strip, not entries
            self._sealed[day] = of_manifest(manifest)
        return self._sealed[day], False


def of_files(day: str, data: Path, entries: Sequence[Entry], now_ns: int, *, is_connected: bool) -> Strip:
    """Return a day that is not sealed, from the entries of its ledger, and from its data where they do not say enough.

    See of_entries(). Raises OSError.
    """
    last_ns = 0 if is_connected else _last_line_ns(data, entries)
    return of_entries(day, entries, now_ns, is_connected=is_connected, last_line_ns=last_ns)


def _last_line_ns(data: Path, entries: Sequence[Entry]) -> int:
    """Return when the last line was received, in ns since the epoch, if the ledger says nothing after it; else 0.

    Raises OSError.
    """
    found = sessions(entries)
    if not found or found[-1].next is not None:
        return 0
    last = last_received(data)
    return 0 if last is None else last.ns


def of_manifest(manifest: Manifest) -> Strip:
    """Return a sealed day."""
    manifest = known(manifest)
    begin = day_begins(manifest.day)
    if manifest.gaps is None:
        pieces = [Piece(begin, begin + DAY_NS, UNKNOWN)]
    else:
        pieces = list(_whole(begin, begin + DAY_NS, _pieces(manifest.gaps, manifest.closed or ())))
    return Strip(manifest.day, pieces, gaps=manifest.sequence_gaps, missing=manifest.missing)


def of_entries(
    day: str, entries: Sequence[Entry], now_ns: int, *, is_connected: bool, last_line_ns: int = 0
) -> Strip:
    """Return a day that is not sealed, from the entries of its ledger: in full, or in outline.

    `is_connected`: its last connection is open now, if the ledger has no end of it.
    `last_line_ns`: otherwise it went on until then at least; 0 where the ledger says enough.
    """
    begin = day_begins(day)
    end = max(begin, min(begin + DAY_NS, now_ns))
    is_today = now_ns < begin + DAY_NS
    if not any(entry.event in OF_A_RUN for entry in entries):
        # A connection that was open at midnight has no file of this day before its first message.
        goes_on = is_today and is_connected and not entries
        return Strip(day, [Piece(begin, end, LISTENING if goes_on else UNKNOWN)] if begin < end else [])
    found = sessions(entries)
    times = open_times(day, found, {len(found) - 1: last_line_ns} | _killed_at(found, entries))
    if times and found[-1].cause == KILLED and is_connected and found[-1].next is None:
        until = min(end + 1000, begin + DAY_NS)  # Outages are in whole microseconds.
        times[-1] = times[-1]._replace(end_ns=max(until, times[-1].begin_ns))
    gone = unconnected(day, times, entries)
    pieces = _whole(begin, end, _pieces(gone.outages, gone.closed))
    gaps_ns = [entry.ts_ns for entry in entries if entry.event == GAP]
    last_end = _last_end(entries, last_line_ns, goes_on=is_today or is_connected)
    return Strip(day, list(pieces), gaps_ns, last_end=last_end)


def _last_end(entries: Sequence[Entry], last_line_ns: int, *, goes_on: bool) -> End | None:
    """Return how the last run that is over has ended. `goes_on`: a run goes on if the ledger has no end of it and no
    later run. `last_line_ns`: otherwise it went on until then at least.
    """
    found: End | None = None
    is_first, is_running, last_ns, why = True, False, 0, None
    for entry in entries:
        if entry.event == STARTED:
            if is_running:
                found = End(last_ns, None)
            is_first, is_running, why = False, True, None
        elif entry.event == CONTINUED:
            is_first, is_running = False, True
        elif entry.event == ROTATED:  # The run goes on, in the file of another day.
            is_running = False
        elif entry.event == DISCONNECTED:
            why = entry.fields.get("reason")
        elif entry.event == STOPPED:
            # What ended the connection says more than that the run has ended with it.
            reason = printable(str(why or entry.fields.get("reason", "")), _LONGEST_REASON)
            found, is_running = End(entry.ts_ns, reason), False
        elif entry.event == OUTAGE_FOUND and entry.fields.get("cause") == KILLED:
            killed_ns = time_in(entry, "from")  # When its last line was received.
            last_ns = max(last_ns, killed_ns)
            if is_first and killed_ns:  # It is of an earlier day.
                found = End(killed_ns, None)
        if entry.event not in FIRST_OF_A_RUN or entry.event == STARTED:
            last_ns = entry.ts_ns
    return End(max(last_ns, last_line_ns), None) if is_running and not goes_on else found


def _killed_at(found: Sequence[Session], entries: Sequence[Entry]) -> dict[int, int]:
    """Return when the sessions that were killed had their last line, by their index, in ns.

    The next start finds that line in the data, and its `outage` begins there. Nothing else says it without the data.
    """
    ends: dict[int, int] = {}
    index = -1
    for entry in entries:
        if index + 1 < len(found) and entry is found[index + 1].began:
            index += 1
        elif index >= 0 and found[index].ended is None and entry.event == OUTAGE_FOUND:
            ends.setdefault(index, time_in(entry, "from") if entry.fields.get("cause") == KILLED else 0)
    return ends


def _pieces(outages: Sequence[TimeGap], closed: Sequence[ClosedTime]) -> list[Piece]:
    found = [Piece(parse_timestamp(gap.from_), parse_timestamp(gap.to), OUTAGE, gap.cause) for gap in outages]
    return found + [Piece(parse_timestamp(time.from_), parse_timestamp(time.to), CLOSED) for time in closed]


def _whole(begin: int, end: int, pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Yield the pieces, cut to a stretch of time, and LISTENING for the rest of it."""
    cursor = begin
    for piece in sorted(pieces):
        since, until = max(piece.begin_ns, cursor), min(piece.end_ns, end)
        if since >= until:
            continue
        if since > cursor:
            yield Piece(cursor, since, LISTENING)
        yield piece._replace(begin_ns=since, end_ns=until)
        cursor = until
    if cursor < end:
        yield Piece(cursor, end, LISTENING)
