"""Whether the kept days are what they were when they were written: every file that belongs to each, held together."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ssmd.archive.examine import Examination, Finding, examine
from ssmd.archive.findings import against_ledger, against_manifest
from ssmd.archive.layout import DayFile, manifest_path, packed_ledger, twins
from ssmd.archive.lines import LineBlocks, split
from ssmd.archive.locate import CHANGED, DAMAGED, DOUBLED, EXTRA, MISSING, REORDERED, SWAPPED, Damage, locate
from ssmd.archive.manifest import BLOCK_LINES, Manifest, decode_manifest, encode_manifest, unpack_sums
from ssmd.archive.missing import missing_files
from ssmd.archive.verdict import Verdict, slim
from ssmd.envelope import decode_line, timestamp
from ssmd.errors import DataError

__all__ = ["MOST_DAMAGES", "Verdict", "missing_files", "verify"]

MOST_DAMAGES = 20
"""More places at which a file departs from its manifest are not named."""


def verify(file: DayFile, progress: Callable[[int], None] = lambda done: None) -> Verdict:
    """Read a day back and hold it against its ledger and its manifest. Never raises DataError: that is a finding."""
    path = manifest_path(file.path.parent, file.feed)
    findings: list[Finding] = []
    manifest = None
    try:
        manifest, exact = _read_manifest(path)
        if not exact:
            findings.append(Finding(None, "has a manifest that is not as ssmd writes it: something was added to it"))
    except DataError as error:
        findings.append(Finding(None, str(error)))
    try:
        found = examine(file, progress, partial=True)
    except DataError as error:
        return Verdict(file, manifest is not None, None, [*findings, Finding(None, str(error))])
    if found.unread is not None:
        return Verdict(file, manifest is not None, slim(found), [*findings, *_of_beginning(file, found, manifest)])
    if manifest is None:
        if file.form == "jsonl.zst":
            findings.append(Finding(None, "is compressed and has no manifest, and only sealed days are compacted"))
        findings += found.findings
    else:
        if found.torn:
            findings.append(Finding(found.manifest.lines, f"is followed by {found.torn} bytes that are no whole line"))
        if found.ledger is not None and found.ledger.torn:
            findings.append(Finding(None, "has a ledger that ends in bytes which are no whole entry"))
        if found.manifest.sha256 != manifest.sha256:
            findings += _located(file, manifest, manifest.lines)
        findings += against_manifest(found.manifest, manifest)
        findings += found.findings
    findings += against_ledger(found)
    if found.ledger is None and (packed := packed_ledger(file.path.parent, file.feed)) is not None:
        findings.append(Finding(None, packed))
    notes = []
    for twin in twins(file.path) if file.path.exists() else []:
        told = f"is here in two forms: {file.form} and {twin.form}"
        try:
            same = _holds(twin, found)
        except DataError as error:
            findings.append(Finding(None, f"{told}; {error}"))
            continue
        if same:
            notes.append(f"{told}, which hold the same; `ssmd compact` keeps one")
        else:
            findings.append(Finding(None, f"{told}, which do not hold the same"))
    return Verdict(file, manifest is not None, slim(found), list(dict.fromkeys(findings)), notes)


def _holds(twin: DayFile, found: Examination) -> bool:
    """Whether another form of a day holds the same lines. Raises DataError."""
    digest = hashlib.sha256()
    blocks = LineBlocks(twin.path)
    for block in blocks:
        digest.update(block)
    return (digest.hexdigest(), len(blocks.torn)) == (found.manifest.sha256, found.torn)


def _read_manifest(path: Path) -> tuple[Manifest | None, bool]:
    """None without one, and whether it is byte for byte as ssmd writes it. Raises DataError for one that is none."""
    try:
        data = path.read_bytes()
        manifest = decode_manifest(data)
        return manifest, encode_manifest(manifest) == data
    except FileNotFoundError:
        return None, True
    except OSError as error:
        raise DataError(f"the manifest cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"the manifest cannot be read: it {error}") from None


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
