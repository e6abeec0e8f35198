"""Whether the kept days are what they were when they were written: every file that belongs to each, held together."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator

import msgspec

from ssmd.errors import DataError
from ssmd.proof.examine import Examination, Finding, examine
from ssmd.proof.findings import against_ledger, against_manifest
from ssmd.proof.locate import CHANGED, DAMAGED, DOUBLED, EXTRA, MISSING, REORDERED, SWAPPED, Damage, locate
from ssmd.proof.missing import missing_files
from ssmd.proof.verdict import Verdict, slim
from ssmd.reading.blocks import LineBlocks
from ssmd.store.head import split
from ssmd.store.inventory import other_forms, packed_ledger
from ssmd.store.layout import DayFile, manifest_path
from ssmd.store.line import decode_line
from ssmd.store.manifest import BLOCK_LINES, Manifest, unpack_sums
from ssmd.store.manifest_file import read_exact_manifest
from ssmd.store.timestamps import timestamp

__all__ = ["MOST_DAMAGES", "Verdict", "missing_files", "verify"]

MOST_DAMAGES = 20
"""More places at which a file departs from its manifest are not named."""


def verify(file: DayFile, progress: Callable[[int], None] = lambda done: None) -> Verdict:
    """Read a day back and compare it with its ledger and its manifest. Never raises DataError: that is a finding.

    `progress` is called now and then with the bytes of the file that are read so far.
    """
    manifest, findings = _manifest_of(file)
    sealed = manifest is not None
    try:
        found = examine(file, progress, partial=True)
    except DataError as error:
        return Verdict(file, sealed, None, [*findings, Finding(None, str(error))])
    if found.unread is not None:
        return Verdict(file, sealed, slim(found), [*findings, *_of_beginning(file, found, manifest)])
    findings += _of_unsealed(file, found) if manifest is None else _of_sealed(file, found, manifest)
    findings += against_ledger(found)
    if found.ledger is None and (packed := packed_ledger(file.path.parent, file.feed)) is not None:
        findings.append(Finding(None, packed))
    wrong, notes = _of_other_forms(file, found)
    return Verdict(file, sealed, slim(found), list(dict.fromkeys([*findings, *wrong])), notes)


def _manifest_of(file: DayFile) -> tuple[Manifest | None, list[Finding]]:
    """Return the manifest, None when there is none that can be read, and what is wrong with it by itself."""
    try:
        read = read_exact_manifest(manifest_path(file.path.parent, file.feed))
    except DataError as error:
        return None, [Finding(None, f"has a manifest that cannot be used: {error}")]
    if read is None:
        return None, []
    manifest, exact = read
    if exact:
        return manifest, []
    return manifest, [Finding(None, "has a manifest that is not as ssmd writes it: something was added to it")]


def _of_unsealed(file: DayFile, found: Examination) -> Iterator[Finding]:
    if file.form == "jsonl.zst":
        yield Finding(None, "is compressed and has no manifest, and only sealed days are compacted")
    yield from found.findings


def _of_sealed(file: DayFile, found: Examination, manifest: Manifest) -> Iterator[Finding]:
    if found.torn:
        yield Finding(found.manifest.lines, f"is followed by {found.torn} bytes that are no whole line")
    if found.ledger is not None and found.ledger.torn:
        yield Finding(None, "has a ledger that ends in bytes which are no whole entry")
    if found.manifest.sha256 != manifest.sha256:
        yield from _located(file, manifest, manifest.lines)
    yield from against_manifest(found.manifest, manifest)
    yield from found.findings


def _of_other_forms(file: DayFile, found: Examination) -> tuple[list[Finding], list[str]]:
    """Return what is wrong with the other forms in which the day exists, and what is worth a note."""
    findings, notes = [], []
    for other in other_forms(file.path) if file.path.exists() else []:
        both = f"is here in two forms: {file.form} and {other.form}"
        try:
            same = _holds(other, found)
        except DataError as error:
            findings.append(Finding(None, f"{both}; {error}"))
            continue
        if same:
            notes.append(f"{both}, which hold the same; `ssmd compact` keeps one")
        else:
            findings.append(Finding(None, f"{both}, which do not hold the same"))
    return findings, notes


def _holds(other: DayFile, found: Examination) -> bool:
    """Whether another form of a day holds the same lines. Raises DataError."""
    digest = hashlib.sha256()
    blocks = LineBlocks(other.path)
    for block in blocks:
        digest.update(block)
    return (digest.hexdigest(), len(blocks.torn)) == (found.manifest.sha256, found.torn)


def _of_beginning(file: DayFile, found: Examination, manifest: Manifest | None) -> Iterator[Finding]:
    """What is wrong with the lines before those that cannot be read."""
    read = found.manifest.lines
    if manifest is not None:
        # Of a block that is not whole the sums tell nothing.
        yield from _located(file, manifest, manifest.lines if read >= manifest.lines else read - read % BLOCK_LINES)
    yield from found.findings
    reason = str(found.unread).removeprefix(f"{file.path}: ")
    yield Finding(read, f"is the last whole line before the file {reason}")


def _located(file: DayFile, manifest: Manifest, count: int) -> Iterator[Finding]:
    """Where the lines are not those that were sealed, of which `count` are looked at."""
    lines = itertools.chain.from_iterable(split(block) for block in LineBlocks(file.path, partial=True))
    sums = unpack_sums(manifest.block_sums)[: -(-count // BLOCK_LINES)]
    damages = locate(sums, count, lines if count == manifest.lines else itertools.islice(lines, count))
    for damage in itertools.islice(damages, MOST_DAMAGES):
        words = _TOLD_OF_SEVERAL if damage.others else _TOLD
        yield Finding(damage.first, words[damage.kind].format(**_words(damage)))
    if next(damages, None) is not None:
        yield Finding(None, "and there is more")


_TOLD = {
    CHANGED: "is not what was sealed{which}",
    MISSING: "is missing; {many}what stands there now is another{which}",
    DOUBLED: "is there twice{which}",
    EXTRA: "was not there when the day was sealed{which}{upto}",
    SWAPPED: "has changed places with line {last}{which}",
    REORDERED: "and the lines to {last} are not in the order in which they were sealed; "
    "the block sums do not show which of them have moved",
    DAMAGED: "and the lines to {last} are not what was sealed: some are changed, missing or too many",
}
_TOLD_OF_SEVERAL = {
    MISSING: "is missing, or line {others} is: the block sums fit each of these",
    SWAPPED: "has changed places with line {last}, or line {others}: the block sums fit each of these",
}


class _Head(msgspec.Struct):
    sid: int | None = None
    seq: int | None = None


def _words(damage: Damage) -> dict[str, object]:
    many = f"so are those to line {damage.last}; " if damage.last > damage.first else ""
    upto = f", and so were those to line {damage.last}" if damage.last > damage.first else ""
    others = [f"{one} with line {other}" if damage.kind == SWAPPED else f"{one}" for one, other in damage.others]
    return {
        "last": damage.last,
        "which": _which(damage.line),
        "many": many,
        "upto": upto,
        "others": ", or line ".join(others),
    }


def _which(line: bytes) -> str:
    """The time and the number of a line, as far as they can be read."""
    try:
        record = decode_line(line)
    except ValueError:
        return ""
    told = [f"ts {timestamp(record.received_ns)}"]
    try:
        head = msgspec.json.decode(record.payload, type=_Head)
    except (ValueError, RecursionError):
        head = _Head()
    told += [f"{name} {value}" for name, value in (("sid", head.sid), ("seq", head.seq)) if value is not None]
    return f" ({', '.join(told)})"
