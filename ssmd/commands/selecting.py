"""What the commands that read recorded lines share: their options, and a warning about data that is not read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ssmd.commands.shard import read_shard
from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.shard import Shard
from ssmd.errors import DataError, UsageError
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.exchange.readers import reader_of
from ssmd.reading.selection import ALL, Selection, instant
from ssmd.reading.stretches import Stretch
from ssmd.store.inventory import other_forms
from ssmd.store.layout import DayFile, feed_and_shard, ledger_path
from ssmd.store.ledger_file import read_ledger
from ssmd.store.sessions import changed_dialects

__all__ = ["reader_or_kalshi", "selection_of", "shard_asked", "stretches_of", "warn_of_other_forms"]


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


def shard_asked(arguments: Mapping[str, Any]) -> Shard | None:
    """Return the shard that --shard names, None without the option.

    Raises UsageError, also for a shard that is named with --feed.
    """
    feed, text = arguments["--feed"], arguments["--shard"]
    named = feed_and_shard(feed) if feed is not None else None
    if named is not None and not named[1].is_whole:
        raise UsageError(f"--feed is '{feed}', a shard of a feed; give --feed {named[0]} --shard {named[1]}")
    return None if text is None else read_shard(text)


def warn_of_other_forms(files: Iterable[DayFile]) -> None:
    """Print on stderr which of these days exist in another form too, which is not read."""
    for file in files:
        for other in other_forms(file.path):
            print(
                f"ssmd: {file.path}: is read, and {other.path.name} beside it is not; `ssmd verify` checks whether "
                "they hold the same",
                file=sys.stderr,
            )


def reader_or_kalshi(exchange: str, description: Mapping[str, Any]) -> MessageReader:
    """Return what reads the types and markets of a dialect's messages, from its name and its description.

    Where these do not say it, messages are read as Kalshi's: many other exchanges have a `type` too.
    """
    reader = reader_of(exchange, description)
    return reader if reader.type_field or reader.market_field else KalshiReader()


def stretches_of(file: DayFile) -> list[Stretch]:
    """Return what reads the types and markets of a file: what the ledger beside it says, for each part of the file.

    Where nothing says it, messages are read as Kalshi's: many other exchanges have a `type` too.
    """
    usual = Stretch(0, KalshiReader(), known=False)
    try:
        ledger = read_ledger(ledger_path(file.path.parent, file.stem), whole=False) if file.feed else None
    except DataError:
        ledger = None
    found: list[Stretch] = []
    for one in changed_dialects(ledger.entries.outline()) if ledger is not None else ():
        reader = reader_of(one.exchange, one.description)
        has_fields = reader.type_field or reader.market_field
        found.append(Stretch(one.offset, reader) if has_fields else usual._replace(offset=one.offset))
    return found or [usual]
