"""Print recorded lines, or the exchange's own messages, from files, days or a whole storage folder.

Usage:
  ssmd cat [--from <time>] [--to <time>] [--type <type>]... [--market <ticker>]... [--feed <feed>] [--raw] <path>...
  ssmd cat (-h | --help)

Options:
  --from <time>      Only messages received at this time or later, such as 2025-12-22T10:30; UTC.
  --to <time>        Only messages received before this time.
  --type <type>      Only messages of this type; may be given several times.
  --market <ticker>  Only messages of this market; may be given several times.
  --feed <feed>      Only this feed.
  --raw              Print the exchange's bytes, one message a line, instead of ssmd's lines.
  -h --help          Show this.

A path is a file (.jsonl, .jsonl.zst or .jsonl.gz), a day's folder or the storage folder. The lines of all paths are
merged by time. --raw prints a message that was not valid JSON unchanged, with any newlines that it contains. A line
that ssmd did not write is left out and reported on stderr, with file and line; the exit code is then 65. A line that
is still being written is left out too.

Kalshi's messages have their type in `type` and their market in `msg.market_ticker`. For other exchanges, the section
`dialect` of the feed says where they are. The ledger beside a file has the dialect and the paths with which its lines
were recorded. Messages without these are read as Kalshi's. When no message has the wanted type and market, a note on
stderr names the fields that were looked at, and what the first messages have there.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ssmd.commands.selecting import selection_of, warn_of_other_forms
from ssmd.errors import DataError, UsageError, printable
from ssmd.reading.merge import Trouble, by_stretch, merged
from ssmd.reading.messages import raw
from ssmd.reading.selection import Selection, Values, look_at
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile

_GATHERED_BYTES = 64 * 1024
"""At least so much is written at once. It is less than a block, so that blocks are not copied."""
_NAMED_PER_FILE = 10
_LOOKED_AT_BLOCKS = 20
"""How many blocks are read for the note when nothing matches: some 10,000 messages."""
_NAMED_VALUES = 10
_REMEDY = (
    "add the path to `dialect.paths` of the feed (docs/dialect.md); it has an effect on what is recorded from then on"
)


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    selection = selection_of(arguments)
    files = data_files(map(Path, arguments["<path>"]), arguments["--feed"])
    if not files:
        of_feed = f" of feed {arguments['--feed']}" if arguments["--feed"] else ""
        remedy = "name a storage folder, a day or a file"
        raise UsageError(f"{', '.join(arguments['<path>'])}: no data{of_feed} here; {remedy}")
    warn_of_other_forms(files)
    troubles = _Troubles()
    lines = merged(files, selection, trouble=troubles.take)
    if not _print(map(raw, lines) if arguments["--raw"] else lines, sys.stdout.buffer):
        _explain_nothing(files, selection)
    return troubles.close()


def _print(blocks: Iterator[bytes], out: BinaryIO) -> bool:
    """Write all blocks; return whether there were any. Small ones are gathered: where files overlap, each line may be
    a block.
    """
    pieces: list[bytes] = []
    size = 0
    found = False
    for block in blocks:
        found = True
        pieces.append(block)
        size += len(block)
        if size >= _GATHERED_BYTES:
            out.write(b"".join(pieces))
            pieces, size = [], 0
    out.write(b"".join(pieces))
    return found


def _explain_nothing(files: Sequence[DayFile], selection: Selection) -> None:
    """Print on stderr why nothing was selected by type and market: perhaps the messages have no such fields."""
    if not selection.by_content:
        return
    _note("no message matches")
    seen = look_at(itertools.islice(by_stretch(files, selection), _LOOKED_AT_BLOCKS))
    if not seen.messages:
        _note("no message at all was received in this time")
        return
    found_all = True
    for option, wanted, values in (
        ("--type", selection.types, seen.types),
        ("--market", selection.markets, seen.markets),
    ):
        if wanted and wanted.isdisjoint(values.names):
            found_all = found_all and bool(values.names)
            _note(_about(option, values, seen.messages))
    if not (seen.known or found_all):
        _note(
            "neither a ledger nor a description says where these messages have their type and market, so they were "
            f"read as Kalshi's; {_REMEDY}"
        )


def _about(option: str, values: Values, messages: int) -> str:
    """Return what the first messages have in the field that an option looks at."""
    if not values.fields:
        return f"the feed's description has no path to what {option} looks for; {_REMEDY}"
    field = " or ".join(f"`{name}`" for name in values.fields)
    if not values.names:
        return f"none of the first {messages:,} messages has a {field}, which {option} looks at"
    named = ", ".join(printable(value) for value in values.names[:_NAMED_VALUES])
    more = f" and {len(values.names) - _NAMED_VALUES:,} more" if len(values.names) > _NAMED_VALUES else ""
    return f"{option} looks at {field}, which in the first {messages:,} messages is {named}{more}"


def _note(text: str) -> None:
    print(f"ssmd: note: {text}", file=sys.stderr)


class _Troubles:
    """Reports what cannot be read, but only some lines of each file: in a file of another kind, every line is wrong."""

    def __init__(self) -> None:
        self._damaged: dict[Path, int] = {}

    def take(self, trouble: Trouble) -> None:
        if trouble.torn:
            print(f"ssmd: {trouble}, left out", file=sys.stderr)
            return
        count = self._damaged[trouble.path] = self._damaged.get(trouble.path, 0) + 1
        if count <= _NAMED_PER_FILE:
            print(f"ssmd: {trouble}{', left out' if trouble.line is not None else ''}", file=sys.stderr)

    def close(self) -> int:
        """Report how many lines were not named; return the exit code."""
        for path, count in self._damaged.items():
            if count > _NAMED_PER_FILE:
                print(f"ssmd: {path}: {count - _NAMED_PER_FILE} more lines left out", file=sys.stderr)
        return DataError.exit_code if self._damaged else 0
