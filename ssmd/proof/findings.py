"""Compares what a day contains with its ledger and its manifest, and returns the differences as findings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from ssmd.proof.day_count import Finding
from ssmd.proof.described import damaged_descriptions, not_understood
from ssmd.proof.examine import Examination
from ssmd.proof.gaps import NOT_KNOWN, FoundGap, differing
from ssmd.proof.scan import MOST_FINDINGS
from ssmd.proof.unconnected import has_unknown, imported_lines, unconnected_lines
from ssmd.store.ledger import CONTINUED, IMPORTED, OF_WHAT_IS_DURABLE, ROTATED, STARTED, STOPPED, Entry
from ssmd.store.manifest import Manifest
from ssmd.store.packed_entries import Entries

__all__ = ["against_ledger", "against_manifest"]

_NOT_OF_THE_DATA = {"sealed", "sealed_by", "block_sums"}


def against_ledger(found: Examination) -> Iterator[Finding]:
    """Yield what the ledger says that is not so, and what it should say and does not."""
    ledger, total, size = found.ledger, found.manifest.lines, found.manifest.bytes
    if ledger is None:
        yield Finding(None, "has no ledger: it is lost, or the day was recorded by a version that wrote none")
        return
    for number in ledger.bad[:MOST_FINDINGS]:
        yield Finding(None, f"line {number} of the ledger is not a ledger entry")
    if more := len(ledger.bad[MOST_FINDINGS:]):
        yield Finding(None, f"and {more:,} more lines of the ledger are not ledger entries")
    for loss in ledger.losses:
        gone = f"{loss.lines} lines that the ledger counts are gone"
        yield Finding(loss.line, f"was the last line when a run started: {gone}")
    entries = ledger.entries.outline()
    began = any(entry.line == 0 for entry in entries if entry.event in (STARTED, CONTINUED))
    if total and not began and not imported_lines(entries, total):
        yield Finding(1, "was written by a run that is not in the ledger: the beginning of the ledger is lost")
    if found.misplaced is not None:
        yield Finding(
            found.misplaced.line + 1,
            f"does not begin at byte {found.misplaced.offset}, where the ledger puts `{found.misplaced.event}`: "
            "lines before it are missing, added or changed",
        )
    else:
        for entry in entries:
            if entry.offset > size and entry.event in OF_WHAT_IS_DURABLE:
                lost = entry.line - total
                yield Finding(total, f"is the last line; the ledger says that {lost} more were written ({entry.event})")
    yield from _totals(found, entries)
    yield from _imported(entries, total)
    # With an event that this version does not know, a connection may have begun: that is for a note.
    for first, last in () if has_unknown(entries) else unconnected_lines(entries, total):
        also = f", and neither do the lines up to {last}" if last > first else ""
        yield Finding(first, f"belongs to no connection in the ledger{also}")
    for entry in damaged_descriptions(entries):
        yield Finding(entry.line + 1, f"has `{entry.event}` before it in the ledger, with a damaged description")
    # With a description that it does not understand, this version does not find all gaps; a note says so.
    yield from _gaps(found, ledger.entries, not not_understood(entries))


def _totals(found: Examination, entries: list[Entry]) -> Iterator[Finding]:
    """Yield totals of the ledger that are not what lies between its entries, and lines after the end of a run."""
    started: Entry | None = None
    ended: Entry | None = None
    for entry in entries:
        if ended is not None and entry.line != ended.line:
            yield Finding(ended.line + 1, f"was written after the collector had {ended.event}")
        ended = None
        if entry.event in (STARTED, CONTINUED):
            started = entry if entry.event == STARTED else None
        if entry.event in (STOPPED, ROTATED):
            if entry.event == ROTATED or started is not None:
                yield from _total(entry, started if entry.event == STOPPED else None)
            ended = entry
    if ended is not None and ended.line < found.manifest.lines:
        yield Finding(ended.line + 1, f"was written after the collector had {ended.event}")


def _total(end: Entry, started: Entry | None) -> Iterator[Finding]:
    """Yield that the end of a run, or of a file when `started` is None, counts other lines or bytes than there are."""
    line, offset = (started.line, started.offset) if started is not None else (0, 0)
    for unit, there in (("lines", end.line - line), ("bytes", end.offset - offset)):
        if (counted := end.fields.get(unit)) != there:
            yield Finding(end.line, f"is the last of {there} {unit}, but the ledger counts {counted}")


def _imported(entries: list[Entry], total: int) -> Iterator[Finding]:
    """Yield that not as many lines are there as were imported."""
    counted = [entry.fields.get("lines") for entry in entries if entry.event == IMPORTED]
    whole = sum(lines for lines in counted if isinstance(lines, int))
    if counted and whole != (there := imported_lines(entries, total)):
        yield Finding(there, f"is the last line before the first run, but the ledger has {whole} imported lines")


def _gaps(found: Examination, entries: Entries, of_ledger: bool) -> Iterator[Finding]:
    """Yield the gaps that only the data has, then, with `of_ledger`, those that only the ledger has: the first of each,
    and a count.
    """
    named: dict[bool, list[FoundGap]] = {False: [], True: []}
    count = Counter[bool]()
    for gap, is_in_ledger in differing(entries, found.gaps, found.manifest.lines):
        count[is_in_ledger] += 1
        if count[is_in_ledger] <= MOST_FINDINGS:
            named[is_in_ledger].append(gap)
    for gap in named[False]:
        yield Finding(gap.line + 1, f"follows a gap that the ledger does not have: {_described(gap)}")
    if (more := count[False] - MOST_FINDINGS) > 0:
        yield Finding(None, f"and {more:,} more lines, each of which follows a gap that the ledger does not have")
    if not of_ledger:
        return
    for gap in named[True]:
        yield Finding(gap.line + 1, f"has no gap before it, although the ledger has one there: {_described(gap)}")
    if (more := count[True] - MOST_FINDINGS) > 0:
        yield Finding(None, f"and {more:,} more gaps that only the ledger has")


def _described(gap: FoundGap) -> str:
    lost = "an unknown number" if gap.missing == NOT_KNOWN else gap.missing
    return f"sid {gap.sid}, expected {gap.expected}, got {gap.got}, {lost} lost"


def against_manifest(real: Manifest, sealed: Manifest) -> Iterator[Finding]:
    """Yield each field of the `sealed` manifest that differs from the `real` one, which was just worked out.

    When the lines themselves are not those that were sealed, one finding has all of the fields, with short values.
    """
    wrong = [
        name
        for name in Manifest.__struct_fields__
        if name not in _NOT_OF_THE_DATA and getattr(real, name) != getattr(sealed, name)
    ]
    if "sha256" in wrong and len(wrong) > 1:
        each = [_both(name, getattr(sealed, name), getattr(real, name)) for name in wrong]
        yield Finding(None, f"the manifest and the lines differ in {'; '.join(each)}")
        return
    for name in wrong:
        says, is_really = _short(getattr(sealed, name), 120), _short(getattr(real, name), 120)
        yield Finding(None, f"the manifest says {name} is {says}, but it is {is_really}")
    if real.sha256 == sealed.sha256 and real.block_sums != sealed.block_sums:
        yield Finding(None, "the manifest's block_sums are not those of the lines")


def _both(name: str, sealed: object, real: object) -> str:
    """Return the name of a field with both its values; without them where the beginning of each may be the same."""
    if isinstance(real, list | dict):
        return name
    return f"{name} ({_short(sealed, 24)} in the manifest, {_short(real, 24)} in the lines)"


def _short(value: object, most: int) -> str:
    if value is msgspec.UNSET:
        return "not there"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= most else text[: most - 1] + "…"
