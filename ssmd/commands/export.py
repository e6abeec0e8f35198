"""Export recorded days as Parquet for DuckDB, Spark, polars and others, to a folder or to a bucket.

Usage:
  ssmd export <storage> --to <target> [--day <day>]... [--feed <feed>] [--type <type>]... [--layout <layout>]
              [--stream <name>] [--unsealed] [--again] [--jobs <n>] [--cache <folder>] [--cache-size <n>]
  ssmd export (-h | --help)

Options:
  --to <target>      A folder, which is made where it is missing, or a bucket with or without a prefix, such as
                     s3://bucket/lake.
  --day <day>        Only this day, YYYY-MM-DD; may be given several times. Default: all days.
  --feed <feed>      Only this feed, with all its shards.
  --type <type>      Only messages of this type; may be given several times.
  --layout <layout>  hive or ssmd; see below [default: hive].
  --stream <name>    The name of the stream in the paths of the layout ssmd [default: all].
  --unsealed         Also export days that are not sealed, and today's, with the lines that they have so far.
  --again            Also export days that the target has already, and replace files of other programs.
  --jobs <n>         Work on so many days at once, each in a process of its own. Default: the cores that ssmd may use.
  --cache <folder>   Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>   How much the folder may keep, such as 500M or 20G [default: 20G].
  -h --help          Show this.

<storage> is the environment's storage.path, or a storage in a bucket, such as s3://<bucket>/<prefix>. What is missing
in the target is exported, and what has changed since is replaced, so the command can run daily, be killed at any time
and run again. A file gets its name when it is whole and durable. Days that are not sealed are left out: their lines
are not final. The lines of a sealed day are compared with its manifest; when they do not agree, nothing is exported
of the day, and the exit code is 65.

The layout hive has a file for each feed, type of message and day, in the order in which the messages were received:
  <target>/feed=kalshi/type=trade/date=2025-12-22/part-0000.parquet
Shards have names such as part-1of4-0000.parquet. docs/tables.md has the columns, and docs/lake.md examples in SQL.

The layout ssmd is that of aaronwald/ssmd's archiver and ssmd-parquet-gen, for programs that read their files:
  <target>/kalshi/all/2025-12-22/1015.jsonl.gz
  <target>/kalshi/all/2025-12-22/trade_1000.parquet
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order, print_in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.commands.places import Places, places
from ssmd.commands.selecting import warn_of_other_forms
from ssmd.errors import SsmdError, UsageError, visible
from ssmd.spelling import nearest
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.pruned import pruned_data
from ssmd.tables.export.day import Exported, export_day
from ssmd.tables.export.layout import Layout
from ssmd.tables.export.open import open_layout, open_target
from ssmd.tables.export.plan import Job, Plan
from ssmd.tables.export.receipt import FOLDER
from ssmd.tables.export.target import Target
from ssmd.words import counted

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    days = frozenset(map(_day, arguments["--day"]))
    with places([arguments["<storage>"]], arguments, lambda day: not days or day in days) as read:
        return _export_days(arguments, read, days)


def _export_days(arguments: Mapping[str, Any], read: Places, days: frozenset[str]) -> int:
    """Export what is asked for; return the exit code."""
    jobs, layout = jobs_asked(arguments), _layout(arguments)
    types = frozenset(arguments["--type"]) or None
    target = open_target(arguments["--to"])
    files = [file for file in data_files(read.paths, arguments["--feed"]) if file.day]
    _note_pruned(read.paths, arguments["--feed"], days, target, layout)
    here, files = files, _of_days(files, days, unsealed=arguments["--unsealed"])
    if here and not files:
        print("there is only today's data here, and today is not over; --unsealed exports it as it is")
    warn_of_other_forms(files)
    with contextlib.suppress(OSError):
        os.nice(19)  # The collector beside it comes first.
    plan = Plan(target, layout, types, again=arguments["--again"])
    code = 0

    def left(file: DayFile, why: str, failed: int) -> None:
        nonlocal code
        code = code or failed
        print(f"ssmd: {why}" if failed else f"{file.path}: {why}", file=sys.stderr if failed else sys.stdout)

    todo = list(plan.jobs(files, unsealed=arguments["--unsealed"], left=left))
    _note_types(types, plan.seen)
    reading = day_tasks((job.file for job in todo), read.passes)
    tasks = [task._replace(unit=job) for task, job in zip(reading, todo, strict=True)]
    if not tasks and plan.done:
        print(f"{counted(plan.done, 'day')} {'is' if plan.done == 1 else 'are'} exported already")
    return print_in_order(in_order(read.work(partial(_export, target=target, layout=layout)), tasks, jobs)) or code


def _export(job: Job, outlet: Outlet, *, target: Target, layout: Layout) -> tuple[str, int]:
    """Return what to print about a day, and the exit code."""
    try:
        outcome = export_day(job, target, layout, outlet.progress)
    except SsmdError as error:
        return f"ssmd: {error}", error.exit_code
    return f"{job.file.path}: {_text(outcome)}", 0


def _text(outcome: Exported | None) -> str:
    if outcome is None:
        return "another ssmd command is exporting it; left as it is"
    what = "exported again" if outcome.again else "exported"
    return f"{what}, {counted(outcome.lines, 'line')} to {counted(outcome.files, 'file')} of {outcome.bytes:,} bytes"


def _of_days(files: Sequence[DayFile], days: frozenset[str], *, unsealed: bool) -> list[DayFile]:
    """Return the files of these days or, without any, of all days; today's only when it is wanted."""
    if missing := days - {file.day for file in files}:
        raise UsageError(f"there is no data of {', '.join(sorted(missing))} here")
    today = datetime.now(UTC).date().isoformat()
    return [file for file in files if (file.day in days if days else unsealed or file.day < today)]


def _note_pruned(
    paths: Sequence[Path], feed: str | None, days: frozenset[str], target: Target, layout: Layout
) -> None:
    """Note on stderr the days whose data `ssmd prune` has removed before they were exported."""
    if next(pruned_data(paths, feed), None) is None:
        return
    receipts = [name for name in target.sizes(f"{FOLDER}/") if name.endswith(f".{layout.name}.json")]
    exported = {name.split("/")[1] for name in receipts}
    for text in pruned_data(paths, feed, wanted=lambda day: day not in exported and (not days or day in days)):
        print(f"ssmd: {text}; export it from there", file=sys.stderr)


def _note_types(types: frozenset[str] | None, seen: set[str]) -> None:
    """Note on stderr a type that no message of sealed days has: it may be misspelt."""
    for name in sorted(types or ()) if seen else ():
        if name not in seen and not name.startswith("_"):
            hint = nearest(name, sorted(seen)) or f"; there are {', '.join(sorted(seen))}"
            print(f"ssmd: no message of these days has the type '{visible(name)}'{hint}", file=sys.stderr)


def _layout(arguments: Mapping[str, Any]) -> Layout:
    stream: str = arguments["--stream"]
    if _STREAM.fullmatch(stream) is None:
        raise UsageError(f"--stream is '{visible(stream)}'; it must be a name of letters, digits, dots and dashes")
    return open_layout(arguments["--layout"], stream)


def _day(text: str) -> str:
    try:
        if len(text) == len("2025-12-22"):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise UsageError(f"--day is '{visible(text)}'; it must be a day such as 2025-12-22")
