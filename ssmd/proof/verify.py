"""Verifies a day: whether its data, ledger and manifest still agree, and are what was written."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator

import msgspec

from ssmd.errors import DataError
from ssmd.parquet.checksum import problems_in
from ssmd.proof.day_count import Finding
from ssmd.proof.day_shape import wrong_shape
from ssmd.proof.examine import Examination, examine
from ssmd.proof.findings import against_ledger, against_manifest
from ssmd.proof.ledger_notes import ledger_notes
from ssmd.proof.locate import CHANGED, DAMAGED, DOUBLED, EXTRA, MISSING, REORDERED, SWAPPED, Damage, locate
from ssmd.proof.missed_markets import note_of
from ssmd.proof.shards import of_another_shard
from ssmd.proof.verdict import Verdict, slim
from ssmd.reading.blocks import LineBlocks
from ssmd.store.head import split
from ssmd.store.inventory import other_forms, packed_ledger
from ssmd.store.layout import PARQUET, DayFile, live_folder, manifest_path
from ssmd.store.line import decode_line
from ssmd.store.manifest import BLOCK_LINES, Manifest, unpack_sums
from ssmd.store.manifest_file import read_exact_manifest
from ssmd.store.manifest_formats import FORMAT
from ssmd.store.timestamps import DAY_NS, day_begins, parse_timestamp, timestamp

__all__ = ["MOST_DAMAGES", "verify"]

MOST_DAMAGES = 20
"""How many places where a file differs from its block sums are named."""


def verify(file: DayFile, progress: Callable[[int], None] = lambda done: None) -> Verdict:
    """Read a day back and compare it with its ledger and its manifest. What cannot be read is a finding, too.

    `progress` is called now and then with the number of bytes of the file that are read so far.
    """
    manifest, findings = _manifest_of(file)
    sealed = manifest is not None
    if file.form == PARQUET:
        findings += [Finding(None, problem) for problem in problems_in(file.path)]
    try:
        found = examine(file, progress, partial=True, format=FORMAT if manifest is None else manifest.format)
    except DataError as error:
        return Verdict(file, sealed, None, [*findings, Finding(None, str(error).removeprefix(f"{file.path}/"))])
    if found.unread is not None:
        return Verdict(file, sealed, slim(found), [*findings, *_of_beginning(file, found, manifest)])
    findings += _of_unsealed(file, found) if manifest is None else _of_sealed(file, found, manifest)
    findings += against_ledger(found)
    findings += of_another_shard(file.shard, found.ledger.entries.outline() if found.ledger is not None else ())
    if found.ledger is None and (packed := packed_ledger(file.path.parent, file.stem)) is not None:
        findings.append(Finding(None, packed))
    wrong, duplicates = _of_other_forms(file, found)
    notes = _notes(file, found, sealed=sealed)
    return Verdict(file, sealed, slim(found), list(dict.fromkeys([*findings, *wrong])), duplicates, notes)


def _notes(file: DayFile, found: Examination, *, sealed: bool) -> list[str]:
    if found.ledger is None:
        return []
    until_ns = day_begins(file.day) + DAY_NS
    last_ns = parse_timestamp(found.manifest.last) if found.manifest.last is not None else 0
    entries = found.ledger.entries.outline()
    notes = list(ledger_notes(file.day, entries, found.manifest.lines, last_ns))
    if not sealed and entries:
        until_ns = min(max(last_ns, entries[-1].ts_ns), until_ns)
    return [*notes, *note_of(file.day, entries, found.manifest.sessions, until_ns)]


def _manifest_of(file: DayFile) -> tuple[Manifest | None, list[Finding]]:
    """Return the manifest, or None when none can be read, and what is wrong with the file itself."""
    try:
        read = read_exact_manifest(manifest_path(file.path.parent, file.stem))
    except DataError as error:
        return None, [Finding(None, f"has a manifest that cannot be used: {error}")]
    if read is None:
        return None, []
    manifest, exact = read
    if exact:
        return manifest, []
    return manifest, [Finding(None, "has a manifest that is not as ssmd writes it: something was added to it")]


def _of_unsealed(file: DayFile, found: Examination) -> Iterator[Finding]:
    if file.form in ("jsonl.zst", PARQUET) and not live_folder(file.path.parent, file.stem).exists():
        yield Finding(None, "is compressed but has no manifest: only sealed days are compacted")
    yield from found.findings


def _of_sealed(file: DayFile, found: Examination, manifest: Manifest) -> Iterator[Finding]:
    if found.torn:
        yield Finding(found.manifest.lines, f"is followed by {found.torn} bytes that are not a whole line")
    if found.ledger is not None and found.ledger.torn:
        yield Finding(None, "has a ledger that ends with bytes that are not a whole entry")
    if found.manifest.sha256 != manifest.sha256:
        yield from _located(file, manifest, manifest.lines)
    yield from against_manifest(found.manifest, manifest)
    yield from wrong_shape(file, found)
    yield from found.findings


def _of_other_forms(file: DayFile, found: Examination) -> tuple[list[Finding], list[DayFile]]:
    """Return what is wrong with the other forms in which the day exists, and the forms that contain the same lines."""
    findings, duplicates = [], []
    for other in other_forms(file.path) if file.path.exists() else []:
        try:
            if _has_same_lines(other, found):
                duplicates.append(other)
            else:
                findings.append(Finding(None, f"is also here as {other.path.name}, which has other lines"))
        except DataError as error:
            findings.append(Finding(None, f"is also here in another form; {error}"))
    return findings, duplicates


def _has_same_lines(other: DayFile, found: Examination) -> bool:
    """Return whether another form of a day contains the same lines. Raises DataError when it cannot be read."""
    digest = hashlib.sha256()
    blocks = LineBlocks(other.path)
    for block in blocks:
        digest.update(block)
    return (digest.hexdigest(), len(blocks.torn)) == (found.manifest.sha256, found.torn)


def _of_beginning(file: DayFile, found: Examination, manifest: Manifest | None) -> Iterator[Finding]:
    """Yield what is wrong with the lines before the part that cannot be read."""
    read = found.manifest.lines
    if manifest is not None:
        # The sums of a block that is not whole cannot be compared.
        yield from _located(file, manifest, manifest.lines if read >= manifest.lines else read - read % BLOCK_LINES)
    yield from found.findings
    reason = str(found.unread).removeprefix(f"{file.path}: ").removeprefix(f"{file.path}/")
    yield Finding(read, f"is the last whole line before the file {reason}")


def _located(file: DayFile, manifest: Manifest, count: int) -> Iterator[Finding]:
    """Yield where the first `count` lines are not those that were sealed."""
    lines = itertools.chain.from_iterable(split(block) for block in LineBlocks(file.path, partial=True))
    sums = unpack_sums(manifest.block_sums)[: -(-count // BLOCK_LINES)]
    damages = locate(sums, count, lines if count == manifest.lines else itertools.islice(lines, count))
    for damage in itertools.islice(damages, MOST_DAMAGES):
        words = _SENTENCES_OF_SEVERAL if damage.others else _SENTENCES
        yield Finding(damage.first, words[damage.kind].format(**_words(damage)))
    if next(damages, None) is not None:
        yield Finding(None, "and there is more damage")


_SENTENCES = {
    CHANGED: "is not what was sealed{which}",
    MISSING: "is missing{also_missing}{now}",
    DOUBLED: "is there twice{which}",
    EXTRA: "was not there when the day was sealed{which}{also_extra}",
    SWAPPED: "has changed places with line {last}{which}",
    REORDERED: "and the lines up to {last} are not in the order in which they were sealed; "
    "the block sums do not show which of them have moved",
    DAMAGED: "and the lines up to {last} are not what was sealed: some are changed, missing or added",
}
_SENTENCES_OF_SEVERAL = {
    MISSING: "is missing, or line {others} is: the block sums fit each of these",
    SWAPPED: "has changed places with line {last}, or line {others}: the block sums fit each of these",
}


class _Head(msgspec.Struct):
    sid: int | None = None
    seq: int | None = None


def _words(damage: Damage) -> dict[str, object]:
    """Return the words that the sentences need."""
    several = damage.last > damage.first
    which = _which(damage.line)
    others = [f"{one} with line {other}" if damage.kind == SWAPPED else f"{one}" for one, other in damage.others]
    return {
        "last": damage.last,
        "which": which,
        "now": f"; another line is there now{which}" if damage.line else "",
        "also_missing": f", and so are the lines up to {damage.last}" if several else "",
        "also_extra": f", nor were the lines up to {damage.last}" if several else "",
        "others": ", or line ".join(others),
    }


def _which(line: bytes) -> str:
    """Return the time and the sequence number of a line as text, as far as they can be read."""
    try:
        record = decode_line(line)
    except ValueError:
        return ""
    known = [f"ts {timestamp(record.received_ns)}"]
    try:
        head = msgspec.json.decode(record.payload, type=_Head)
    except (ValueError, RecursionError):
        head = _Head()
    known += [f"{name} {value}" for name, value in (("sid", head.sid), ("seq", head.seq)) if value is not None]
    return f" ({', '.join(known)})"
