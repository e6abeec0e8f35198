"""What the commands that read recorded lines have in common: the options, and a word on what is left unread."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ssmd.errors import UsageError
from ssmd.reading.selection import ALL, Selection, instant
from ssmd.store.inventory import other_forms
from ssmd.store.layout import DayFile

__all__ = ["selection_of", "tell_twins"]


def selection_of(arguments: Mapping[str, Any]) -> Selection:
    """What --from, --to, --type and --market select. An option that a command has not selects everything.

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


def tell_twins(files: Iterable[DayFile]) -> None:
    """Say on stderr which days are there in another form too, which is not read."""
    for file in files:
        for twin in other_forms(file.path):
            print(
                f"ssmd: {file.path}: is read, and {twin.path.name} beside it is not; `ssmd verify` tells whether they "
                "hold the same",
                file=sys.stderr,
            )
