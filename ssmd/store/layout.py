"""What a storage folder contains, and the names of its files. Pure.

    {storage}/{YYYY-MM-DD}/{feed}.jsonl             the data of a feed and a UTC day; or .jsonl.zst, .jsonl.gz
    {storage}/{YYYY-MM-DD}/{feed}.jsonl.torn        part of a line that a killed run left
    {storage}/{YYYY-MM-DD}/{feed}.ledger.jsonl      what happened to the capture
    {storage}/{YYYY-MM-DD}/{feed}.manifest.json     what a finished day contains
    {storage}/.{feed}.lock                          held by the collector of the feed
    {storage}/.{feed}.errors                        how the runs of the feed ended
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "DAY_FILES",
    "FEED",
    "FORMS",
    "LEDGER",
    "MANIFEST",
    "PACKED_LEDGERS",
    "RESERVED_ENDINGS",
    "DayFile",
    "FileKind",
    "data_path",
    "day_of",
    "errors_path",
    "forms_of",
    "ledger_path",
    "lock_path",
    "manifest_path",
    "read_name",
    "temporary",
    "torn_path",
]


class FileKind(NamedTuple):
    """A kind of file that a day may have for a feed."""

    suffix: str
    """What follows the feed in its name."""
    uploaded: bool
    """A copy of the day elsewhere needs it."""
    verified: bool
    """`ssmd verify` checks it against the day's other files."""
    pruned: bool
    """It may be removed here once a copy of the day is complete elsewhere."""


LEDGER = ".ledger.jsonl"
MANIFEST = ".manifest.json"
TORN = ".torn"
"""What is appended to the name of a data file or a ledger for the part of a line that was set aside."""

DAY_FILES = (
    FileKind(".jsonl", uploaded=True, verified=True, pruned=True),
    FileKind(".jsonl.zst", uploaded=True, verified=True, pruned=True),
    FileKind(".jsonl.gz", uploaded=True, verified=True, pruned=True),
    FileKind(LEDGER, uploaded=True, verified=True, pruned=False),
    FileKind(MANIFEST, uploaded=True, verified=True, pruned=False),
    FileKind(f".jsonl{TORN}", uploaded=True, verified=False, pruned=False),
    FileKind(f"{LEDGER}{TORN}", uploaded=True, verified=False, pruned=False),
)
"""Every kind of file in a day's folder; the only list of them."""

FORMS = tuple(kind.suffix[1:] for kind in DAY_FILES if kind.pruned)
"""The forms that a day's data may have. When there are several, as while a day is compacted, the first one is read."""

PACKED_LEDGERS = (f"{LEDGER}.zst", f"{LEDGER}.gz")
"""Ledgers that another program has compressed: ssmd compresses none."""

RESERVED_ENDINGS = (".ledger", *(kind.suffix for kind in DAY_FILES))
"""No feed's name may end in one of these: the data of a feed `x.ledger` would have the name of the ledger of `x`."""

FEED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DATA = re.compile(rf"(?P<feed>{FEED.pattern})\.(?P<form>{'|'.join(re.escape(form) for form in FORMS)})")


class DayFile(NamedTuple):
    """The data of one feed and one day. Sorts by day, then by feed."""

    day: str
    """YYYY-MM-DD, the name of its folder; empty for a file that is not in a day's folder."""
    feed: str
    form: str
    """One of FORMS."""
    path: Path


def data_path(folder: Path, feed: str) -> Path:
    """Return the path of a feed's uncompressed data in a day's folder."""
    return folder / f"{feed}.jsonl"


def ledger_path(folder: Path, feed: str) -> Path:
    """Return the path of a feed's ledger in a day's folder."""
    return folder / f"{feed}{LEDGER}"


def manifest_path(folder: Path, feed: str) -> Path:
    """Return the path of a feed's manifest in a day's folder."""
    return folder / f"{feed}{MANIFEST}"


def torn_path(path: Path) -> Path:
    """Return the path of the file that gets what is torn off a data file or a ledger."""
    return path.with_name(path.name + TORN)


def temporary(path: Path) -> Path:
    """Return the name that a file has until it is whole and durable. No command reads a file of such a name."""
    return path.with_name(f"{path.name}.new")


def lock_path(storage: Path, feed: str) -> Path:
    """Return the path of the file that a feed's collector locks."""
    return storage / f".{feed}.lock"


def errors_path(storage: Path, feed: str) -> Path:
    """Return the path of the file that counts how the runs of a feed ended."""
    return storage / f".{feed}.errors"


def day_of(folder: Path) -> str | None:
    """Return the day that a folder is named after, None for any other folder."""
    if _DAY.fullmatch(folder.name) is None:
        return None
    try:
        return date.fromisoformat(folder.name).isoformat()
    except ValueError:
        return None


def read_name(path: Path, day: str | None = None) -> DayFile | None:
    """Return what the name of a file says that it contains, None when it is no data file; it need not exist.

    `day`: the day of its folder, when that is known. Otherwise it is the day of the folder that the path leads to or,
    if that has another name, goes through.
    """
    match = _DATA.fullmatch(path.name)
    if match is None or path.name.endswith((LEDGER, *PACKED_LEDGERS)):
        return None
    if day is None:
        day = day_of(path.parent.resolve()) or day_of(path.absolute().parent) or ""
    return DayFile(day, match["feed"], match["form"], path)


def forms_of(folder: Path, feed: str) -> list[Path]:
    """Return the paths that a feed's data may have in a day's folder, in the order of FORMS."""
    return [folder / f"{feed}.{form}" for form in FORMS]
