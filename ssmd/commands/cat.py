"""Print recorded lines, or the exchange's own messages, from files, days or a whole storage folder.

Usage:
  ssmd cat [--from <time>] [--to <time>] [--type <type>]... [--market <ticker>]... [--feed <feed>]
           [--shard <i/n>] [--raw] [--jobs <n>] [--cache <folder>] [--cache-size <n>] <path>...
  ssmd cat --follow [--from <time>] [--type <type>]... [--market <ticker>]... [--feed <feed>] [--shard <i/n>]
           [--raw] <storage>
  ssmd cat (-h | --help)

Options:
  --from <time>      Only messages received at this time or later, such as 2025-12-22T10:30; UTC.
  --to <time>        Only messages received before this time.
  --type <type>      Only messages of this type; may be given several times.
  --market <ticker>  Only messages of this market; may be given several times.
  --feed <feed>      Only this feed, with all its shards.
  --shard <i/n>      Only this shard, such as 2/4; 1/1 for what was recorded without shards.
  --follow           Print what is recorded from now on, or from --from on, until Ctrl-C: of all feeds of a storage
                     folder, also those that begin later. A line is printed when it is safe on the disk.
  --raw              Print the exchange's bytes, one message a line, instead of ssmd's lines.
  --jobs <n>         Read so many days at once, each in a process of its own. Default: with --type or --market the
                     cores that ssmd may use, otherwise 1.
  --cache <folder>   Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>   How much the folder may keep, such as 500M or 20G [default: 20G].
  -h --help          Show this.

A path is a file (.jsonl, .jsonl.zst or .jsonl.gz), a day in Parquet (.parquet), a day's folder or the storage folder;
or any of these in a bucket, such as s3://<bucket>/<prefix>, which needs `ssmd[s3]` (docs/bucket.md). The days come one
after the other, and the lines of each are merged by time; with a file that is in no day's folder, those of all paths
are. Each file keeps its order. Of lines of the same time, those of the first feed come first, by name; within a feed,
those of fewer shards, and then of the shard with the lower number.
A message that was not valid JSON is printed by --raw unchanged, with any newlines that it contains. A line that
ssmd did not write is left out and reported on stderr, with file and line; the exit code is then 65. A line that is
still being written is left out too.

Kalshi's messages have their type in `type` and their market in `msg.market_ticker`. For other exchanges, the section
`dialect` of the feed says where they are. The ledger beside a file has the dialect and the paths with which its lines
were recorded. Messages without these are read as Kalshi's. When no message has the wanted type and market, a note on
stderr names the fields that were looked at, and what the first messages have there.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order
from ssmd.commands.jobs.outlet import Outlet, Task
from ssmd.commands.places import Places, places
from ssmd.commands.selecting import selection_of, shard_asked, warn_of_other_forms
from ssmd.errors import DataError, UsageError, printable
from ssmd.reading.merge import Trouble, by_stretch, merged
from ssmd.reading.messages import raw
from ssmd.reading.selection import Selection, Values, look_at
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.pruned import pruned_data

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
    if arguments["--follow"]:
        # Imported here: it makes each other use slower to start.
        from ssmd.commands.following import follow

        return follow(arguments)
    selection = selection_of(arguments)
    with places(arguments["<path>"], arguments, selection.may_hold) as found:
        return _cat_all(arguments, found, selection)


def _cat_all(arguments: Mapping[str, Any], read: Places, selection: Selection) -> int:
    jobs = jobs_asked(arguments)
    paths, shard = read.paths, shard_asked(arguments)
    files = data_files(paths, arguments["--feed"], shard)
    for text in pruned_data(paths, arguments["--feed"], shard, selection.may_hold):
        _note(text)
    if not files:
        of_feed = f" of feed {arguments['--feed']}" if arguments["--feed"] else ""
        of_feed += f" of shard {arguments['--shard']}" if arguments["--shard"] else ""
        remedy = "name a storage folder, a day or a file"
        raise UsageError(f"{', '.join(arguments['<path>'])}: no data{of_feed} here; {remedy}")
    warn_of_other_forms(files)
    troubles = _Troubles()
    found = False
    work = read.work(partial(_cat, selection=selection, as_raw=arguments["--raw"]), shown=False)
    with contextlib.closing(in_order(work, tasks_of(files, selection), jobs, take=troubles.take, shown=False)) as days:
        for found_here, damaged in days:
            found = found or found_here
            troubles.damaged += damaged
    if not found:
        _explain_nothing(files, selection)
    return troubles.close()


def tasks_of(files: Sequence[DayFile], selection: Selection) -> list[Task]:
    """Return a task for each day that may have wanted lines; one for all files when one of them is of no known day.

    Where all lines of a time are printed, the days count as no work: they are written one after the other, and that
    takes so much of the time that several processes are slower than one, with compressed days too.
    """
    day = operator.attrgetter("day")
    if not all(map(day, files)):
        return [Task(files, "the files", 0)]
    wanted = itertools.groupby((file for file in files if selection.may_hold(file.day)), day)
    days = ((name, list(group)) for name, group in wanted)
    passes = 1 if selection.by_content else 0
    return [Task(group, name, sum(one.bytes for one in day_tasks(group, passes))) for name, group in days]


def _cat(files: Sequence[DayFile], outlet: Outlet, *, selection: Selection, as_raw: bool) -> tuple[bool, Counter[Path]]:
    """Print the wanted lines of a day; return whether there were any, and how many lines of each file are damaged."""
    damaged: Counter[Path] = Counter()

    def trouble(one: Trouble) -> None:
        damaged[one.path] += not one.torn
        if one.torn or damaged[one.path] <= _NAMED_PER_FILE:
            outlet.report(one)

    lines = merged(files, selection, trouble=trouble)
    return _print(map(raw, lines) if as_raw else lines, outlet.write), damaged


def _print(blocks: Iterator[bytes], write: Callable[[bytes], object]) -> bool:
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
            write(b"".join(pieces))
            pieces, size = [], 0
    if pieces:
        write(b"".join(pieces))
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
        self.damaged: Counter[Path] = Counter()
        """How many lines of each file are damaged, named or not."""

    def take(self, trouble: Trouble) -> None:
        print(f"ssmd: {trouble}{', left out' if trouble.line is not None else ''}", file=sys.stderr)

    def close(self) -> int:
        """Report how many lines were not named; return the exit code."""
        for path, count in self.damaged.items():
            if count > _NAMED_PER_FILE:
                print(f"ssmd: {path}: {count - _NAMED_PER_FILE} more lines left out", file=sys.stderr)
        return DataError.exit_code if self.damaged.total() else 0
