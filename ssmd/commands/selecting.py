"""What the commands that read recorded lines share: their options, and a warning about data that is not read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ssmd.errors import UsageError
from ssmd.reading.selection import ALL, Selection, instant
from ssmd.store.inventory import other_forms
from ssmd.store.layout import DayFile

__all__ = ["selection_of", "warn_of_other_forms"]


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
