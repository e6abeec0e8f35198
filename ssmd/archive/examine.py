"""Reads a day back, data and ledger, and works out its manifest: for sealing it, and to hold a sealed one against.

Everything is done a block of some thousand lines at a time, by loops that run in C, because a day may have a
hundred million lines. Only lines that the fast way does not take are looked at one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ssmd import __version__
from ssmd.archive.coverage import DAY_NS, listened, time_gaps
from ssmd.archive.entries import Entries
from ssmd.archive.gaps import Gaps
from ssmd.archive.layout import DayFile, ledger_path
from ssmd.archive.ledger import CONTINUED, OF_WHAT_IS_DURABLE, STARTED, Entry
from ssmd.archive.ledger_file import LedgerFile, read_ledger
from ssmd.archive.lines import LineBlocks
from ssmd.archive.manifest import BLOCK_LINES, FORMAT, Manifest, pack_sums
from ssmd.archive.scan import Scan
from ssmd.archive.sessions import Session, sessions
from ssmd.archive.tally import Tally
from ssmd.envelope import timestamp
from ssmd.errors import DataError
from ssmd.exchange import EXCHANGES
from ssmd.runtime.interfaces import Inspector

__all__ = ["Examination", "Finding", "examine"]


class Finding(NamedTuple):
    """Something that is not as it should be."""

    line: int | None
    """The line of the data file that it is about, counted from 1."""
    text: str


class Examination(NamedTuple):
    """What a day holds, as read back."""

    manifest: Manifest
    """As sealing it now would write it."""
    ledger: LedgerFile | None
    """None when there is no ledger."""
    findings: list[Finding]
    """What is wrong with single lines."""
    gaps: Gaps
    """The gaps in the sequences, each at its line."""
    misplaced: Entry | None
    """The first of the ledger that does not stand where its line begins; not one behind the data."""
    torn: int
    """How many bytes follow the last whole line."""
    unread: str | None = None
    """Why all this is of the beginning of the data alone, when the rest cannot be read."""


def examine(
    file: DayFile, progress: Callable[[int], None] = lambda done: None, *, partial: bool = False
) -> Examination:
    """Read the file and its ledger. Raises DataError for what cannot be read, or is in no day's folder.

    `progress` is told now and then how many bytes of the file, compressed or not, are done. `partial`: when some lines
    can be read, they are enough.
    """
    if not file.day:
        raise DataError(f"{file.path}: does not lie in a folder of its day, so nothing can be said about the day")
    limit, ledger = _together(file)
    every = ledger.entries if ledger is not None else Entries()
    entries = every.outline()
    found = sessions(entries)
    tally = Tally(_inspector(None, entries))
    scan = Scan(file.feed, file.day, every)
    digest = hashlib.sha256()
    cuts = _cuts(entries, found)
    size = line = 0
    blocks = LineBlocks(file.path, partial=partial)
    for block in _up_to(limit, blocks):
        digest.update(block)
        lines = scan.take(block)
        first = 0
        while first < len(lines):
            while cuts and cuts[0].line <= line + first:
                cut = cuts.pop(0)
                scan.new_run()
                if cut.session is not None:
                    tally.begin_session(line + first, _inspector(cut.session, entries))
            end = min(len(lines), cuts[0].line - line) if cuts else len(lines)
            stretch = lines[first:end]
            if not tally.take(*scan.read(stretch, line + first)) and scan.trusted:
                scan.check_json(stretch, line + first)
            first = end
        line += len(lines)
        size += len(block)
        progress(blocks.bytes_read)
    if blocks.broken is not None and not line:
        raise DataError(blocks.broken)
    for cut in cuts:
        if cut.session is not None:
            tally.begin_session(line, _inspector(cut.session, entries))
    tally.add_midnight_gaps(found, every, line)
    parts = tally.parts[len(tally.parts) - len(found) :]
    times = listened(file.day, found, {index: part.last_ns for index, part in enumerate(parts)})
    gaps, seconds = time_gaps(file.day, times, entries)
    manifest = Manifest(
        format=FORMAT,
        feed=file.feed,
        day=file.day,
        sealed="",
        sealed_by=__version__,
        collected_by=sorted({str(entry.fields.get("version")) for entry in entries if _is_run(entry)}),
        lines=line,
        bytes=size,
        sha256=digest.hexdigest(),
        first=None if scan.first_ns is None else timestamp(scan.first_ns),
        last=None if scan.last_ns is None else timestamp(scan.last_ns),
        not_json=scan.not_json,
        messages_by_type=dict(sorted(tally.types.items())),
        messages_by_hour=scan.hours,
        sequence_gaps=len(tally.gaps),
        missing=tally.gaps.missing,
        sessions=tally.records(found, times, entries, line),
        gaps=gaps,
        listened_seconds=seconds,
        coverage_percent=round(100 * seconds * 1e9 / DAY_NS, 4),
        ledger_entries=len(every),
        ledger_sha256=ledger.sha256 if ledger is not None else "",
        block_lines=BLOCK_LINES,
        block_sums=pack_sums(scan.sums.pairs()),
    )
    findings = [Finding(number, text) for number, text in scan.findings]
    findings += [Finding(None, text) for text in scan.unnamed()]
    torn = len(blocks.torn) if limit is None else limit - size
    return Examination(manifest, ledger, findings, tally.gaps, scan.misplaced, torn, blocks.broken)


def _together(file: DayFile) -> tuple[int | None, LedgerFile | None]:
    """How many bytes of the data to read, None for all, and the ledger, which tells of all that happened to those.

    A collector may be writing both, an entry before the lines that it is about. So the size is taken first; and
    again when the ledger tells of an end behind it that came meanwhile.
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
    """None for what is compressed, and so complete."""
    try:
        return file.path.stat().st_size if file.form == "jsonl" else None
    except FileNotFoundError:
        return None  # Compacted meanwhile, so nothing is added to it; if it is gone altogether, reading it tells.
    except OSError as error:
        raise DataError(f"{file.path}: cannot be read: {error.strerror}") from None


def _up_to(limit: int | None, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The whole lines that lie within so many bytes."""
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
    """Where other lines begin than those before."""

    line: int
    session: Session | None
    """The one that begins there; None where a run does."""


def _cuts(entries: Iterable[Entry], found: Iterable[Session]) -> list[_Cut]:
    """Where runs begin, whose times are in order only among themselves, and where sessions do."""
    runs = [_Cut(entry.line, None) for entry in entries if entry.event == STARTED]
    began = [_Cut(session.began.line, session) for session in found]
    return sorted([*runs, *began], key=lambda cut: cut.line)


def _is_run(entry: Entry) -> bool:
    return entry.event in (STARTED, CONTINUED) and "version" in entry.fields


def _inspector(session: Session | None, entries: Iterable[Entry]) -> Callable[[], Inspector]:
    """Of the dialect that a connection spoke; what no ledger tells is read as the generic dialect does.

    What comes before all connections is read as the first run of the day did.
    """
    name = session.exchange if session is not None else None
    named = (entry.fields.get("exchange") for entry in entries if entry.event in (STARTED, CONTINUED))
    name = name or next((other for other in named if isinstance(other, str)), None)
    return EXCHANGES.get(name or "", EXCHANGES["generic"]).inspector
