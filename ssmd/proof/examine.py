"""Reads a day back, data and ledger, and works out its manifest: to seal the day, or to verify a sealed one.

Everything is done a block of about a thousand lines at a time, by loops that run in C, because a day may have a hundred
million lines. Only lines that the fast way does not accept are read one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ssmd import __version__
from ssmd.contracts.exchange import Inspector
from ssmd.errors import DataError
from ssmd.exchange import EXCHANGES
from ssmd.proof.coverage import open_times, outages
from ssmd.proof.gaps import Gaps
from ssmd.proof.scan import Scan
from ssmd.proof.tally import Tally
from ssmd.reading.blocks import LineBlocks
from ssmd.store.layout import DayFile, ledger_path
from ssmd.store.ledger import CONTINUED, OF_WHAT_IS_DURABLE, STARTED, Entry
from ssmd.store.ledger_file import LedgerFile, read_ledger
from ssmd.store.manifest import BLOCK_LINES, FORMAT, Manifest, pack_sums
from ssmd.store.packed_entries import Entries
from ssmd.store.sessions import Session, sessions
from ssmd.store.timestamps import DAY_NS, timestamp

__all__ = ["Examination", "Finding", "examine"]


class Finding(NamedTuple):
    """Something that is not as it should be."""

    line: int | None
    """The line of the data file that it is about, counted from 1; None when it is about the whole day."""
    text: str


class Examination(NamedTuple):
    """What a day contains, as read back."""

    manifest: Manifest
    """As sealing the day now would write it."""
    ledger: LedgerFile | None
    """None when there is no ledger."""
    findings: list[Finding]
    """What is wrong with single lines."""
    gaps: Gaps
    """The gaps in the sequences, each at its line."""
    misplaced: Entry | None
    """The ledger's first entry whose place is not where its line begins; not one after the end of the data."""
    torn: int
    """How many bytes follow the last whole line."""
    unread: str | None = None
    """Why the rest of the data could not be read, when all this is only about its beginning."""


def examine(
    file: DayFile, progress: Callable[[int], None] = lambda done: None, *, partial: bool = False
) -> Examination:
    """Read the file and its ledger. Raises DataError for what cannot be read, or is not in a day's folder.

    `progress` is called now and then with the bytes of the file, compressed or not, that are read so far. `partial`:
    when only the beginning can be read, examine that.
    """
    if not file.day:
        raise DataError(f"{file.path}: is not in a folder named after its day, so nothing can be proved about the day")
    limit, ledger = _read_together(file)
    day = _Day(file, ledger)
    blocks = LineBlocks(file.path, partial=partial)
    for block in _up_to(limit, blocks):
        day.take(block)
        progress(blocks.bytes_read)
    if blocks.broken is not None and not day.lines:
        raise DataError(blocks.broken)
    manifest = day.finish()
    torn = len(blocks.torn) if limit is None else limit - day.bytes
    return Examination(manifest, ledger, day.findings(), day.tally.gaps, day.scan.misplaced, torn, blocks.broken)


class _Day:
    """Adds up one day, block by block."""

    def __init__(self, file: DayFile, ledger: LedgerFile | None) -> None:
        self._file = file
        self._ledger = ledger
        self._all_entries = ledger.entries if ledger is not None else Entries()
        self._entries = self._all_entries.outline()
        self._sessions = sessions(self._entries)
        self._cuts = _cuts(self._entries, self._sessions)
        self._digest = hashlib.sha256()
        self.tally = Tally(_inspector(None, self._entries))
        self.scan = Scan(file.feed, file.day, self._all_entries)
        self.lines = self.bytes = 0

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
        if not self.tally.take(*self.scan.read(lines, before)) and self.scan.unchecked:
            self.scan.check_json(lines, before)

    def _cut_before(self, line: int) -> None:
        """Begin the runs and sessions that begin at or before a line."""
        while self._cuts and self._cuts[0].line <= line:
            cut = self._cuts.pop(0)
            self.scan.new_run()
            if cut.session is not None:
                self.tally.begin_session(line, _inspector(cut.session, self._entries))

    def finish(self) -> Manifest:
        """Return the manifest of all that was taken."""
        for cut in self._cuts:
            if cut.session is not None:
                self.tally.begin_session(self.lines, _inspector(cut.session, self._entries))
        found, tally, scan = self._sessions, self.tally, self.scan
        tally.add_midnight_gaps(found, self._all_entries, self.lines)
        last_line_ns = {index: one.last_ns for index, one in enumerate(tally.last_sessions(len(found)))}
        times = open_times(self._file.day, found, last_line_ns)
        gaps, seconds = outages(self._file.day, times, self._entries)
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
            sequence_gaps=len(tally.gaps),
            missing=tally.gaps.missing,
            sessions=tally.records(found, times, self._entries, self.lines),
            gaps=gaps,
            listened_seconds=seconds,
            coverage_percent=round(100 * seconds * 1e9 / DAY_NS, 4),
            ledger_entries=len(self._all_entries),
            ledger_sha256=self._ledger.sha256 if self._ledger is not None else "",
            block_lines=BLOCK_LINES,
            block_sums=pack_sums(scan.sums.pairs()),
        )

    def findings(self) -> list[Finding]:
        """Return what is wrong with single lines."""
        named = [Finding(number, text) for number, text in self.scan.findings]
        return named + [Finding(None, text) for text in self.scan.unnamed()]


def _read_together(file: DayFile) -> tuple[int | None, LedgerFile | None]:
    """Return how many bytes of the data to read, None for all, and the ledger that describes all of those.

    A collector may be writing both, each entry before the lines that it is about. So the size is taken first; and
    again when the ledger has an end after that size, which came meanwhile.
    """
    path = ledger_path(file.path.parent, file.feed)
    while True:
        limit = _size(file)
        ledger = read_ledger(path)
        if limit is None or ledger is None or limit == _size(file):
            return limit, ledger
        if not any(entry.offset > limit for entry in ledger.entries.outline() if entry.event in OF_WHAT_IS_DURABLE):
            return limit, ledger


def _size(file: DayFile) -> int | None:
    """Return the size of a plain file; None for a compressed one, which is complete."""
    try:
        return file.path.stat().st_size if file.form == "jsonl" else None
    except FileNotFoundError:
        return None  # Compacted meanwhile, so nothing is added to it. If it is gone altogether, reading it says so.
    except OSError as error:
        raise DataError(f"{file.path}: cannot be read: {error.strerror}") from None


def _up_to(limit: int | None, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the whole lines among the first `limit` bytes, in blocks."""
    rest = limit
    for block in blocks:
        if rest is not None and len(block) >= rest:
            if whole := block[: block.rfind(b"\n", 0, rest) + 1]:
                yield whole
            return
        if rest is not None:
            rest -= len(block)
        yield block


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


def _inspector(session: Session | None, entries: Iterable[Entry]) -> Callable[[], Inspector]:
    """Return what makes an inspector of the dialect that a connection used, or of the generic one if no entry names it.

    Lines before all connections are read as those of the day's first run.
    """
    name = session.exchange if session is not None else None
    named = (entry.fields.get("exchange") for entry in entries if entry.event in (STARTED, CONTINUED))
    name = name or next((other for other in named if isinstance(other, str)), None)
    return EXCHANGES.get(name or "", EXCHANGES["generic"]).inspector
