"""Show the shape of recorded messages: which fields those of each type have, and of which kind the values are.

Usage:
  ssmd shape [--feed <feed>] [--type <type>]... [--json] [--jobs <n>] [--cache <folder>] [--cache-size <n>] <path>...
  ssmd shape --schema [--feed <feed>] [--type <type>]... [--jobs <n>] [--cache <folder>] [--cache-size <n>] <path>...
  ssmd shape (-h | --help)

Options:
  --feed <feed>      Only this feed, with all its shards.
  --type <type>      Only messages of this type; may be given several times.
  --json             Print one JSON object, in the form of a day's shape file (docs/drift.md).
  --schema           Print a JSON Schema to start from, which all these messages satisfy.
  --jobs <n>         Work on so many days at once, each in a process of its own. Default: the cores that ssmd may use.
  --cache <folder>   Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>   How much the folder may keep, such as 500M or 20G [default: 20G].
  -h --help          Show this.

A path is a data file, a day in Parquet (.parquet), the folder of a day, or a storage folder; or any of these in a
bucket, such as s3://<bucket>/<prefix>, which needs `ssmd[s3]` (docs/bucket.md). Several days are added up. A sealed day
has its shape beside its data; other days are read, and with --schema every message of all days is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.commands.places import Places, places
from ssmd.commands.selecting import stretches_of, warn_of_other_forms
from ssmd.errors import UsageError, printable, visible
from ssmd.proof.read_shape import day_shape
from ssmd.reports.text import print_whole
from ssmd.shape.json_schema import json_schema
from ssmd.shape.paths import Path
from ssmd.shape.shape import FORMAT, Shape, TypeShape
from ssmd.shape.together import together
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.pruned import pruned_data
from ssmd.words import counted

_WIDE = 160
"""Columns for a file or a pipe, where nothing has to be cut off."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    with places(arguments["<path>"], arguments) as read:
        files = _files(arguments, read)
        work = read.work(partial(_shape, exact=arguments["--schema"]))
        shapes = list(in_order(work, day_tasks(files, read.passes), jobs_asked(arguments)))
        type_path = _type_path(files) if arguments["--schema"] else ()
    wanted = arguments["--type"]
    types = {name: one for name, one in together(shapes).items() if not wanted or name in wanted}
    if arguments["--schema"]:
        print(json.dumps(json_schema(types, type_path), indent=2))
    elif arguments["--json"]:
        print(json.dumps({"format": FORMAT, "types": msgspec.to_builtins(types)}, indent=1))
    else:
        _print(types)
    return 0


def _files(arguments: Mapping[str, Any], read: Places) -> Sequence[DayFile]:
    """Return the days, oldest first."""
    feed = arguments["--feed"]
    for text in pruned_data(read.paths, feed):
        print(f"ssmd: note: {text}", file=sys.stderr)
    files = data_files(read.paths, feed)
    if not files:
        named = ", ".join(map(printable, arguments["<path>"]))
        others = sorted({file.feed for file in data_files(read.paths) if file.feed})
        if others:
            there = ", ".join(map(printable, others))
            raise UsageError(f"{named}: no data of the feed {visible(feed)} here; there is data of {there}")
        raise UsageError(f"{named}: no data here; name a storage folder, a day or a file")
    warn_of_other_forms(files)
    return files


def _type_path(files: Sequence[DayFile]) -> Path:
    """Return where all messages have their type as a text; empty where that is not one place."""
    readers = [stretch.reader for file in files for stretch in stretches_of(file)]
    paths = {tuple(reader.type_path) for reader in readers}
    if len(paths) == 1 and (path := paths.pop()):
        return path
    fields = printable(", ".join(sorted({reader.type_field for reader in readers}))) or "none known"
    print(
        f"ssmd: note: the type of a message is not the whole text of one field ({fields}), so the "
        "schema does not tie a type to its form, and a faulty message may pass as one of another type; add the "
        "types to the schema by hand (docs/schemas.md)",
        file=sys.stderr,
    )
    return ()


def _shape(file: Any, outlet: Outlet, *, exact: bool) -> Shape:
    return day_shape(file, stretches_of, outlet.progress, exact=exact)


def _print(types: Mapping[str, TypeShape]) -> None:
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = _WIDE
    for name, one in types.items():
        out.print(Text(f"{printable(name) or 'without a type'}: {counted(one.messages, 'message')}", style="bold"))
        print_whole(_table(one), out)
        out.print()


def _table(one: TypeShape) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("field", "in", "first line", "kinds"):
        table.add_column(title, justify="right" if title in ("in", "first line") else "left", no_wrap=True)
    for path, field in one.fields.items():
        kinds: Sequence[str] = sorted(field.kinds, key=lambda kind: -field.kinds[kind].count)
        part = f"{int(1000 * field.messages / one.messages) / 10:g} %"
        table.add_row(Text(printable(path) or "(the message)"), part, f"{field.line:,}", ", ".join(kinds))
    return table
