"""Write the manifest of every finished day that has none: what the day contains, as read back from the disk.

Usage:
  ssmd seal <storage> [--feed <name>] [--shard <i/n>] [--before <day>] [--jobs <n>]
  ssmd seal (-h | --help)

Options:
  --feed <name>   Only the files of this feed.
  --shard <i/n>   Only the files of shard i, of n or of another number of shards; with i 1 also those of shards above n.
  --before <day>  Only days before this one, such as 2026-01-31, UTC. Default: today.
  --jobs <n>      Work on so many days at once, each in a process of its own. Default: the cores that ssmd may use.
  -h --help       Show this.

<storage> is the environment's storage.path. A running collector seals by itself, one day after the other, after its
start and after midnight. Of collectors that share a feed as shards, each seals its own days. This command is for days
that were recorded elsewhere, and for cron. It prints a line for each day. It leaves alone days that have a manifest and
files that are being written, so it may run at any time and repeatedly.

The shape of the messages is written beside the manifest: which fields those of each type have, and of which kind. Where
it differs from the days before, a line for each difference follows that of the day (docs/drift.md).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order, print_in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.commands.selecting import shard_asked
from ssmd.contracts.companion import STATUS_FD
from ssmd.contracts.shard import WHOLE
from ssmd.errors import SsmdError, UsageError, visible
from ssmd.proof.day_shape import drifts_of, newest_drifts
from ssmd.proof.seal import seal, unsealed
from ssmd.reports.figures import coverage_of
from ssmd.shape.drift import Drift
from ssmd.store.layout import DayFile
from ssmd.store.manifest import Manifest
from ssmd.store.repair import Repaired
from ssmd.store.timestamps import day_of_ns
from ssmd.words import counted, percent

_MOST_DRIFTS = 20
"""How many changes of the messages' shape are named for a day."""

_log = logging.getLogger("ssmd.seal")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    with contextlib.suppress(OSError):
        os.nice(19)  # The collector beside it comes first.
    jobs = jobs_asked(arguments)
    before = arguments["--before"]
    if before is None:
        before = day_of_ns(time.time_ns())
    try:
        before = date.fromisoformat(before).isoformat()  # Days are compared as text, and ISO 8601 has other forms.
    except ValueError:
        raise UsageError(f"--before is '{visible(before)}'; it must be a day, such as 2026-01-31") from None
    tasks = day_tasks(unsealed(Path(arguments["<storage>"]), before, arguments["--feed"], shard_asked(arguments)))
    if is_companion := STATUS_FD in environ:
        from ssmd.runtime import logs  # Here: without a collector that passes it on, there is no log.

        logs.setup(environ)
    outcomes = in_order(_seal, tasks, jobs, take=_print_repaired)
    code = print_in_order(_with_drifts(outcomes, is_companion=is_companion))
    if is_companion and arguments["--feed"] is not None:
        _report(Path(arguments["<storage>"]), arguments, before, int(environ[STATUS_FD]))
    return code


def _seal(file: DayFile, outlet: Outlet) -> tuple[DayFile, str, int]:
    """Return a day, what to print about it, and the exit code."""
    try:
        manifest = seal(file, time.time_ns(), outlet.report, outlet.progress)
    except SsmdError as error:
        return file, f"ssmd: {error}", error.exit_code
    return file, f"{file.path}: {_outcome(manifest)}", 0


def _with_drifts(
    outcomes: Generator[tuple[DayFile, str, int], None, None], *, is_companion: bool
) -> Generator[tuple[str, int], None, None]:
    """Yield what to print about each day, with how its messages differ from those of the days before, and the exit
    code. The days before are sealed by then. `is_companion`: the differences go to the log.
    """
    with contextlib.closing(outcomes):
        for file, text, code in outcomes:
            lines = [text]
            for drift in _drifts(file) if not code else ():
                if is_companion:
                    _log.warning(f"drift: {drift}", extra={"file": str(file.path), "line": drift.line})
                else:
                    lines.append(f"{file.path}: drift: {drift}; line {drift.line:,}")
            yield "\n".join(lines), code


def _drifts(file: DayFile) -> Iterator[Drift]:
    try:
        found = drifts_of(file.path.parent, file.stem)
    except SsmdError as error:
        print(f"ssmd: {error}; the day is not compared with the days before", file=sys.stderr)
        return
    yield from found[:_MOST_DRIFTS]
    if more := len(found[_MOST_DRIFTS:]):
        print(f"ssmd: {file.path}: {more:,} more changes of the messages' shape", file=sys.stderr)


def _report(storage: Path, arguments: Mapping[str, Any], before: str, status_fd: int) -> None:
    """Report how the newest sealed day differs from those before it, as runtime/drift.py reads it."""
    from ssmd.runtime.companion_report import StatusLines  # Here: without a collector there is nobody to report to.
    from ssmd.runtime.drift import sealed_drift

    try:
        newest = newest_drifts(storage, arguments["--feed"], before, shard_asked(arguments) or WHOLE)
    except SsmdError as error:
        print(f"ssmd: {error}; how the newest day differs is not known", file=sys.stderr)
        return
    if newest is not None:
        day, found = newest
        StatusLines(status_fd).write({"drift": sealed_drift(day, ((drift.kind, drift.type) for drift in found))})


def _outcome(manifest: Manifest | None) -> str:
    if manifest is None:
        return "is being written; left alone"
    covered = percent(coverage_of(manifest))
    lost = "an unknown number of messages" if manifest.missing is None else counted(manifest.missing, "message")
    return f"sealed, {counted(manifest.lines, 'line')}, coverage {covered}, {lost} lost"


def _print_repaired(repaired: Repaired) -> None:
    file, torn, lost = repaired
    if torn:
        print(f"{file}: {torn:,} bytes of a torn line set aside, in {file.name}.torn", flush=True)
    if lost:
        print(f"{file}: {lost['lines']:,} lines that the ledger counts are gone", flush=True)
