"""What the commands that read recorded lines share: their options, and a warning about data that is not read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ssmd.errors import DataError, UsageError
from ssmd.exchange import EXCHANGES, dialect_of
from ssmd.reading.selection import ALL, Selection, instant
from ssmd.reading.stretches import Stretch
from ssmd.store.inventory import other_forms
from ssmd.store.layout import DayFile, ledger_path
from ssmd.store.ledger_file import read_ledger
from ssmd.store.sessions import Spoken, spoken

__all__ = ["selection_of", "stretches_of", "warn_of_other_forms"]

_USUAL = Stretch(0, EXCHANGES["kalshi"].reader(), known=False)
"""Where nothing says how an exchange's messages are to be read: as Kalshi's, whose `type` many exchanges have too."""


def selection_of(arguments: Mapping[str, Any]) -> Selection:
    """Return what --from, --to, --type and --market select. An option that a command does not have selects everything.

    Raises UsageError.
    """
    begin, end = arguments["--from"], arguments["--to"]
    selection = Selection(
        instant(begin, "--from") if begin is not None else ALL.begin,
        instant(end, "--to") if end is not None else ALL.end,
        frozenset(arguments.get("--type", ())),
        frozenset(arguments.get("--market", ())),
        stretches_of,
    )
    if selection.begin >= selection.end:
        raise UsageError("--from must be earlier than --to")
    return selection


def warn_of_other_forms(files: Iterable[DayFile]) -> None:
    """Print on stderr which of these days exist in another form too, which is not read."""
    for file in files:
        for other in other_forms(file.path):
            print(
                f"ssmd: {file.path}: is read, and {other.path.name} beside it is not; `ssmd verify` checks whether "
                "they hold the same",
                file=sys.stderr,
            )


def stretches_of(file: DayFile) -> list[Stretch]:
    """Return what reads the types and markets of a file: what the ledger beside it says, for each part of the file."""
    try:
        ledger = read_ledger(ledger_path(file.path.parent, file.feed), every_gap=False) if file.feed else None
    except DataError:
        ledger = None
    found: list[Stretch] = []
    last: Spoken | None = None
    for one in spoken(ledger.entries.outline()) if ledger is not None else ():
        if last is None or one[:2] != last[:2]:  # Most starts change nothing.
            last = one
            found.append(_stretch(one))
    return found or [_USUAL]


def _stretch(dialect: Spoken) -> Stretch:
    reader = dialect_of(dialect.exchange, dialect.description).reader()
    if reader.type_field or reader.market_field:
        return Stretch(dialect.offset, reader)
    return _USUAL._replace(offset=dialect.offset)
