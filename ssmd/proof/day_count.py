"""Adds up a day, block by block: everything that its manifest says, and what is wrong with single lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec import UNSET

from ssmd import __version__
from ssmd.contracts.exchange import Inspector
from ssmd.exchange.readers import inspector_of, markets_of
from ssmd.proof.coverage import open_times, unconnected
from ssmd.proof.scan import Scan
from ssmd.proof.tally import Tally
from ssmd.proof.violations import violations_in
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.markets import MarketCount
from ssmd.store.layout import DayFile
from ssmd.store.ledger import CONTINUED, IMPORTED, OF_A_RUN, STARTED, Entry
from ssmd.store.ledger_file import LedgerFile
from ssmd.store.manifest import BLOCK_LINES, Manifest, pack_sums
from ssmd.store.manifest_formats import FORMAT, Knowable, most_sequences
from ssmd.store.packed_entries import Entries
from ssmd.store.sessions import RecordedDialect, Session, recorded_dialects, sessions
from ssmd.store.timestamps import timestamp

__all__ = ["DayCount", "Finding"]


class Finding(NamedTuple):
    """Something that is not as it should be."""

    line: int | None
    """The line of the data file that it is about, counted from 1; None when it is about the whole day."""
    text: str


class DayCount:
    """Adds up one day, block by block. `format`: of the manifest. `shape`: learns the shape of the messages. `markets`:
    counts the messages of each market.
    """

    def __init__(
        self,
        file: DayFile,
        ledger: LedgerFile | None,
        format: int = FORMAT,
        shape: ShapeLearner | None = None,
        markets: MarketCount | None = None,
    ) -> None:
        self._file = file
        self._ledger = ledger
        self._all_entries = ledger.entries if ledger is not None else Entries()
        self._entries = self._all_entries.outline()
        self._sessions = sessions(self._entries)
        self._cuts = _cuts(self._entries, self._sessions)
        self._digest = hashlib.sha256()
        self._last_dialect: tuple[RecordedDialect, Callable[[], Inspector]] | None = None
        self.tally = Tally(self._inspector(None), most_sequences(format))
        self.scan = Scan(file.feed, file.day, self._all_entries)
        self.lines = self.bytes = 0
        self._shape = shape
        self._markets = markets
        if markets is not None:
            markets.expect(self._entries)
        self._find_markets(None)

    def take(self, block: bytes) -> None:
        """Take the next block of whole lines."""
        self._digest.update(block)
        lines = self.scan.take(block)
        first = 0
        while first < len(lines):
            self._cut_before(self.lines + first)
            end = min(len(lines), self._cuts[0].line - self.lines) if self._cuts else len(lines)
            self._take_stretch(lines[first:end], self.lines + first)
            first = end
        self.lines += len(lines)
        self.bytes += len(block)

    def _take_stretch(self, lines: list[bytes], before: int) -> None:
        """Take lines of one session, which have `before` lines before them."""
        payloads, before, last_ns = self.scan.read(lines, before)
        if not self.tally.take(payloads, before, last_ns) and self.scan.unchecked:
            self.scan.check_json(lines, before)
        if self._shape is not None:
            self._shape.add(payloads, self.tally.newest, before)
        if self._markets is not None:
            self._count_markets(self._markets, payloads)

    def _count_markets(self, count: MarketCount, payloads: list[bytes]) -> None:
        markets = self._markets_of
        if markets is None:
            count.add(None)
            return
        if markets.wanted:
            count.add(markets.of(payloads))
        else:
            count.skip(len(payloads))
        markets.wanted = count.wants_next

    def _cut_before(self, line: int) -> None:
        """Begin the runs and sessions that begin at or before a line."""
        while self._cuts and self._cuts[0].line <= line:
            cut = self._cuts.pop(0)
            self.scan.new_run()
            if cut.session is not None:
                self._begin_session(cut.session, line)

    def _begin_session(self, session: Session, line: int) -> None:
        self.tally.begin_session(line, self._inspector(session), continued=session.began.event == CONTINUED)
        self._find_markets(session)

    def _find_markets(self, session: Session | None) -> None:
        """Let the tally's new inspector find markets, if they are to be counted."""
        if self._markets is not None:
            found = self._dialect(session)
            name, description = ("generic", {}) if found is None else (found.exchange, found.description)
            self._markets_of = markets_of(self.tally.inspector, name, description)

    def _inspector(self, session: Session | None) -> Callable[[], Inspector]:
        """Return what makes an inspector of the dialect of a connection, or of the generic one if none is named."""
        found = self._dialect(session)
        if found is None:
            return inspector_of("generic", {})
        known = self._last_dialect
        if known is None or not found.is_like(known[0]):  # A day may have thousands of connections.
            self._last_dialect = known = found, inspector_of(found.exchange, found.description)
        return known[1]

    def _dialect(self, session: Session | None) -> RecordedDialect | None:
        """Return the dialect that a connection used, with the description of the same entry of the ledger.

        Lines before all connections are read as those of the day's first run, or as the import says.
        """
        found = session.dialect if session is not None else None
        return found or next(recorded_dialects(self._entries), None)

    def finish(self) -> Manifest:
        """Return all that was counted, as in_format() needs it."""
        for cut in self._cuts:
            if cut.session is not None:
                self._begin_session(cut.session, self.lines)
        found, tally, scan = self._sessions, self.tally, self.scan
        tally.add_midnight_gaps(found, self._all_entries, self.lines)
        last_line_ns = {index: one.last_ns for index, one in enumerate(tally.last_sessions(len(found)))}
        times = open_times(self._file.day, found, last_line_ns)
        without = unconnected(self._file.day, times, self._entries)
        return Manifest(
            format=FORMAT,
            feed=self._file.feed,
            day=self._file.day,
            sealed="",
            sealed_by=__version__,
            collected_by=sorted({str(entry.fields.get("version")) for entry in self._entries if _is_run(entry)}),
            lines=self.lines,
            bytes=self.bytes,
            sha256=self._digest.hexdigest(),
            first=None if scan.first_ns is None else timestamp(scan.first_ns),
            last=None if scan.last_ns is None else timestamp(scan.last_ns),
            not_json=scan.not_json,
            messages_by_type=dict(sorted(tally.types.items())),
            messages_by_hour=scan.hours,
            peak_second=scan.peak.most,
            sequence_gaps=len(tally.gaps),
            missing=tally.gaps.missing,
            schema_violations=violations_in(self._entries),
            sessions=tally.records(found, times, self._entries, self.lines),
            gaps=without.outages,
            closed=without.closed or UNSET,
            listened_seconds=without.listened_seconds,
            coverage_percent=None,
            ledger_entries=len(self._all_entries),
            ledger_sha256=self._ledger.sha256 if self._ledger is not None else "",
            block_lines=BLOCK_LINES,
            block_sums=pack_sums(scan.sums.pairs()),
        )

    def knowable(self) -> Knowable:
        """Return which figures of the day can be known.

        An empty ledger without data is that of a collector that ended as it began the day. What was imported was not
        received by a connection that the ledger describes.
        """
        events = {entry.event for entry in self._entries}
        coverage = bool(events & OF_A_RUN) if events else self._ledger is not None and not self.lines
        return Knowable(self.tally.numbered, coverage and IMPORTED not in events)

    def findings(self) -> list[Finding]:
        """Return what is wrong with single lines."""
        named = [Finding(number, text) for number, text in self.scan.findings]
        return named + [Finding(None, text) for text in self.scan.unnamed()]


class _Cut(NamedTuple):
    """Where the lines of another run or session begin."""

    line: int
    session: Session | None
    """The session that begins there; None where a run does."""


def _cuts(entries: Iterable[Entry], found: Iterable[Session]) -> list[_Cut]:
    """Return where runs begin, within each of which times are in order, and where sessions begin."""
    runs = [_Cut(entry.line, None) for entry in entries if entry.event == STARTED]
    began = [_Cut(session.began.line, session) for session in found]
    return sorted([*runs, *began], key=lambda cut: cut.line)


def _is_run(entry: Entry) -> bool:
    return entry.event in (STARTED, CONTINUED) and "version" in entry.fields
