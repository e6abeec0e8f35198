"""Reads a day back, data and ledger, and works out its manifest: to seal the day, or to verify a sealed one.

Everything is done a block of about a thousand lines at a time, by loops that run in C, because a day may have a hundred
million lines. Only lines that the fast way does not accept are read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ssmd.errors import DataError
from ssmd.proof.day_count import DayCount, Finding
from ssmd.proof.gaps import Gaps
from ssmd.reading.blocks import LineBlocks
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.markets import MarketCount
from ssmd.store.layout import DayFile, ledger_path
from ssmd.store.ledger import OF_WHAT_IS_DURABLE, Entry
from ssmd.store.ledger_file import LedgerFile, read_ledger
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_formats import FORMAT, in_format

__all__ = ["Examination", "examine"]


_PROGRESS_BYTES = 4 * 1024 * 1024
"""How many bytes of a file are read between two reports of the progress."""


class Examination(NamedTuple):
    """What a day contains, as read back."""

    manifest: Manifest
    """As sealing the day now would write it, in the format that was asked for."""
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
    file: DayFile,
    progress: Callable[[int], None] = lambda done: None,
    *,
    partial: bool = False,
    format: int = FORMAT,
    shape: ShapeLearner | None = None,
    markets: MarketCount | None = None,
) -> Examination:
    """Read the file and its ledger. Raises DataError for what cannot be read, or is not in a day's folder.

    `progress` is called now and then with the bytes of the file, compressed or not, that are read so far. `partial`:
    when only the beginning can be read, examine that. `format`: of the manifest. `shape`: learns the shape of the
    messages. `markets`: counts the messages of each market.
    """
    if not file.day:
        raise DataError(f"{file.path}: is not in a folder named after its day, so nothing can be proved about the day")
    limit, ledger = _read_together(file)
    day = DayCount(file, ledger, format, shape, markets)
    blocks = LineBlocks(file.path, partial=partial)
    reported = 0
    for block in _up_to(limit, blocks):
        day.take(block)
        if blocks.bytes_read >= reported + _PROGRESS_BYTES:
            reported = blocks.bytes_read
            progress(reported)
    progress(blocks.bytes_read)
    if blocks.broken is not None and not day.lines:
        raise DataError(blocks.broken)
    manifest = in_format(format, day.finish(), day.knowable())
    torn = len(blocks.torn) if limit is None else limit - day.bytes
    return Examination(manifest, ledger, day.findings(), day.tally.gaps, day.scan.misplaced, torn, blocks.broken)


def _read_together(file: DayFile) -> tuple[int | None, LedgerFile | None]:
    """Return how many bytes of the data to read, None for all, and the ledger that describes all of those.

    A collector may be writing both, each entry before the lines that it is about. So the size is taken first; and
    again when the ledger has an end after that size, which came meanwhile.
    """
    path = ledger_path(file.path.parent, file.stem)
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
