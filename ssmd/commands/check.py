"""Check recorded messages against a schema.

Usage:
  ssmd check --schema <schema> [--config-dir <path>] [--json] [--jobs <n>] [--cache <folder>] [--cache-size <n>]
             <path>...
  ssmd check (-h | --help)

Options:
  --schema <schema>    A schema of the metadata tree, such as kalshi:v2, with --config-dir; or a file, .json, .proto or
                       .capnp.
  --config-dir <path>  The metadata tree, with environments/, feeds/ and schemas/.
  --json               Print one JSON object.
  --jobs <n>           Work on so many days at once, each in a process of its own. Default: the cores that ssmd may use.
  --cache <folder>     Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>     How much the folder may keep, such as 500M or 20G [default: 20G].
  -h --help            Show this.

A path is a data file, a day in Parquet (.parquet), the folder of a day, or a storage folder; or any of these in a
bucket, such as s3://<bucket>/<prefix>, which needs `ssmd[s3]` (docs/bucket.md).

Prints how many messages of each type there are, and how many of them are not as the schema says; then each fault, with
the first line that has it. Nothing is changed. The exit code is 0 when every message is as the schema says, and 65 when
one is not, or when a line cannot be read. docs/schemas.md says more about schemas.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.commands.places import Places, places
from ssmd.commands.selecting import stretches_of, warn_of_other_forms
from ssmd.errors import DataError, UsageError, printable, visible
from ssmd.metadata.named_schema import definition_in
from ssmd.proof.schema_check import OTHERS, CheckedDay, Fault, check_day
from ssmd.reports.text import print_whole
from ssmd.schema.check import Checker, make_checker
from ssmd.schema.definition import FORMATS, Definition, json_schema_of
from ssmd.schema.rules import Inexpressible
from ssmd.schema.variants import variants_of
from ssmd.store.inventory import data_files
from ssmd.store.pruned import pruned_data

_WIDE = 160
"""Columns for a file or a pipe, where nothing has to be cut off."""
_NAMED_TYPES = 10
_NO_TYPE = "without a type"


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    definition = _definition(arguments["--schema"], arguments["--config-dir"])
    schema = json_schema_of(definition)
    make_checker(schema, definition.name)  # What is wrong with it is said once, and before anything is read.
    with places(arguments["<path>"], arguments) as read:
        days = _check_all(read, schema, definition.name, jobs_asked(arguments), arguments["<path>"])
        others = _without_a_part(schema, days)
        if arguments["--json"]:
            print(json.dumps({**_as_json(arguments["--schema"], days), "not_described": others}, indent=2))
        else:
            _print(days)
            if others:
                named = ", ".join(map(printable, others[:_NAMED_TYPES])) + (", …" if others[_NAMED_TYPES:] else "")
                print(f"ssmd: note: no part of the schema is about messages of the type {named}", file=sys.stderr)
    failed = any(day.violations or day.damaged or day.broken for day in days)
    return DataError.exit_code if failed else 0


def _definition(text: str, config_dir: str | None) -> Definition:
    """Return the definition that --schema names. Raises UsageError and ConfigError."""
    format = FORMATS.get(Path(text).suffix)
    if format is None:
        if config_dir is None:
            endings = " or ".join(FORMATS)
            remedy = f"give --config-dir for a schema of a metadata tree, or the path of a file ({endings})"
            raise UsageError(f"--schema is '{visible(text)}'; {remedy}")
        return definition_in(Path(config_dir), text)
    try:
        return Definition(text, format, Path(text).read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{printable(text)}: cannot be read: {reason}; name a schema") from None


def _check_all(read: Places, schema: bytes, name: str, jobs: int | None, named: Sequence[str]) -> list[CheckedDay]:
    for text in pruned_data(read.paths):
        print(f"ssmd: note: {text}", file=sys.stderr)
    files = {file.path.resolve(): file for file in data_files(read.paths)}
    if not files:
        raise UsageError(f"{', '.join(map(printable, named))}: no data here; name a storage folder, a day or a file")
    warn_of_other_forms(files.values())
    tasks = day_tasks(sorted(files.values()), read.passes)
    return list(in_order(read.work(partial(_check, schema=schema, name=name)), tasks, jobs))


def _check(file: Any, outlet: Outlet, *, schema: bytes, name: str) -> CheckedDay:
    return check_day(file, _checker(schema, name), stretches_of(file), outlet.progress)


@functools.cache
def _checker(schema: bytes, name: str) -> Checker:
    """Return the checker of this process; it is made once."""
    return make_checker(schema, name)


def _without_a_part(schema: bytes, days: Sequence[CheckedDay]) -> list[str]:
    """Return the types of which the schema has no part of their own; none where that is not known."""
    try:
        variants = variants_of(json.loads(schema))
    except Inexpressible:
        return []
    found: set[str] = set()
    for day in days:
        if {stretch.reader.type_field for stretch in stretches_of(day.file)} == {variants.field}:
            found |= day.messages.keys() - {"", OTHERS}
    return sorted(found - set(filter(None, variants.tags)))


def _totals(days: Sequence[CheckedDay]) -> list[tuple[str, int, int]]:
    """Return each type with its messages and its violations, the most frequent first."""
    messages: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    for day in days:
        messages.update(day.messages)
        violations.update(day.violations)
    return [(type, count, violations[type]) for type, count in messages.most_common()]


def _faults(days: Sequence[CheckedDay]) -> list[tuple[Path, Fault]]:
    """Return each fault once, with the file that has it first."""
    faults: dict[tuple[str, str, str], tuple[Path, Fault]] = {}
    for day in days:
        for key, fault in day.faults.items():
            if key in faults:
                faults[key][1].messages += fault.messages
            else:
                faults[key] = day.file.path, fault
    return list(faults.values())


def _print(days: Sequence[CheckedDay]) -> None:
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = _WIDE
    table = Table(box=None, pad_edge=False)
    table.add_column("type", no_wrap=True)
    for name in ("messages", "violations"):
        table.add_column(name, justify="right", no_wrap=True)
    for type, messages, violations in _totals(days):
        cells = (Text(printable(type) or _NO_TYPE), f"{messages:,}", f"{violations:,}")
        table.add_row(*cells, style="red" if violations else "")
    print_whole(table, out)
    for path, fault in _faults(days):
        out.print(Text(f"{path}:{fault.line}: {_described(fault)}"), soft_wrap=True)
    for text in _unread(days):
        out.print(Text(text), soft_wrap=True)


def _described(fault: Fault) -> str:
    what = " ".join(filter(None, (printable(fault.path), fault.reason)))
    many = f" ({fault.messages:,} messages)" if fault.messages > 1 else ""
    return f"{printable(fault.type) or _NO_TYPE}: {what}{many}"


def _unread(days: Sequence[CheckedDay]) -> list[str]:
    """Return a line for each line that was not checked, and for each file whose end was not."""
    texts = []
    for day in days:
        texts += [f"{day.file.path}:{line}: not a line of ssmd" for line in day.damaged]
        if day.more_damaged:
            texts.append(f"{day.file.path}: {day.more_damaged:,} more lines that are none of ssmd")
        texts += [day.broken] if day.broken is not None else []
    return texts


def _as_json(schema: str, days: Sequence[CheckedDay]) -> dict[str, Any]:
    types = {type: {"messages": messages, "violations": wrong} for type, messages, wrong in _totals(days)}
    faults = [
        {
            "file": str(path),
            "line": fault.line,
            "type": fault.type,
            "path": fault.path,
            "reason": fault.reason,
            "messages": fault.messages,
        }
        for path, fault in _faults(days)
    ]
    return {"schema": schema, "types": types, "faults": faults, "unread": _unread(days)}
