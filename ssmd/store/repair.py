"""Repairs a data file and its ledger after a run that was killed, and notes in the ledger what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.store.layout import ledger_path
from ssmd.store.ledger_appender import LedgerAppender
from ssmd.store.torn import set_torn_tail_aside

__all__ = ["Repaired", "repair"]


class Repaired(NamedTuple):
    """What was wrong with a data file, or a ledger, that was opened again."""

    file: Path
    torn: int = 0
    """Bytes that were set aside."""
    lost: Mapping[str, int] = {}
    """What its ledger has counted and was not there: `lines` and `bytes`; empty when nothing is lost."""


def repair(file: Path, stem: str, now_ns: int) -> list[Repaired]:
    """Repair a data file that no other process writes, and its ledger.

    Returns what was done to the two; what was sound has `torn` 0 and no `lost`. Raises OSError, DataError, OutputError
    and WriteError.
    """
    torn = set_torn_tail_aside(file)
    ledger_file = ledger_path(file.parent, stem)
    if not ledger_file.exists():  # A new one would hide that it is lost, and describe a day without any run.
        return [Repaired(file, torn)]
    ledger = LedgerAppender(stem)
    try:
        ledger_torn = ledger.open_day(file, torn, now_ns)
        ledger.write()
    finally:
        ledger.close()
    return [Repaired(file, torn, ledger.lost), Repaired(ledger_file, ledger_torn)]
