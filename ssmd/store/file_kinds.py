"""The kinds of files that a day may have. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DAY_FILES", "LEDGER", "MANIFEST", "PRUNED", "SHAPE", "TORN", "FileKind"]


class FileKind(NamedTuple):
    """A kind of file that a day may have for a stem."""

    suffix: str
    """What follows the stem in its name."""
    uploaded: bool
    """A copy of the day elsewhere needs it."""
    verified: bool
    """`ssmd verify` checks it against the day's other files."""
    pruned: bool
    """It may be removed here once a copy of the day is complete elsewhere."""


LEDGER = ".ledger.jsonl"
MANIFEST = ".manifest.json"
PRUNED = ".pruned.json"
SHAPE = ".shape.json"
TORN = ".torn"
"""What is appended to the name of a data file or a ledger for the part of a line that was set aside."""

DAY_FILES = (
    FileKind(".jsonl", uploaded=True, verified=True, pruned=True),
    FileKind(".jsonl.zst", uploaded=True, verified=True, pruned=True),
    FileKind(".jsonl.gz", uploaded=True, verified=True, pruned=True),
    FileKind(".parquet", uploaded=True, verified=True, pruned=True),
    FileKind(LEDGER, uploaded=True, verified=True, pruned=False),
    FileKind(MANIFEST, uploaded=True, verified=True, pruned=False),
    FileKind(SHAPE, uploaded=True, verified=True, pruned=False),
    FileKind(PRUNED, uploaded=False, verified=False, pruned=False),
    FileKind(f".jsonl{TORN}", uploaded=True, verified=False, pruned=False),
    FileKind(f"{LEDGER}{TORN}", uploaded=True, verified=False, pruned=False),
)
"""Every kind of file in a day's folder; the only list of them. `.parquet` is a folder."""
