"""The options that select recorded lines, which several commands take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmd.archive.selection import ALL, Selection, instant
from ssmd.errors import UsageError

__all__ = ["selection_of"]


def selection_of(arguments: Mapping[str, Any]) -> Selection:
    """What --from, --to, --type and --market select. An option that a command has not selects everything.

    Raises UsageError.
    """
    begin, end = arguments["--from"], arguments["--to"]
    selection = Selection(
        instant(begin, "--from") if begin else ALL.begin,
        instant(end, "--to") if end else ALL.end,
        frozenset(arguments.get("--type", ())),
        frozenset(arguments.get("--market", ())),
    )
    if selection.begin >= selection.end:
        raise UsageError("--from must be earlier than --to")
    return selection
