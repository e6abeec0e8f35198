"""Compress sealed days of a storage folder to .jsonl.zst, and remove each plain file once its copy is proved.

Usage:
  ssmd compact <storage> [--older-than <days>] [--level <n>] [--jobs <n>] [--dry-run]
  ssmd compact (-h | --help)

Options:
  --older-than <days>  Only days at least so many days before today, UTC [default: 1d].
  --level <n>          Compression level of zstd, 1 to 19 [default: 9].
  --jobs <n>           Work on so many days at once, each in a process of its own. Default: the cores that ssmd may use.
  --dry-run            Print what would be done, and do nothing.
  -h --help            Show this.

<storage> is the environment's storage.path. The compressed file is read back from the disk and must have the
SHA-256 of the day's manifest before the plain file is removed. Today's file is never touched, nor a file that is
being written, nor a day that is not sealed. The command may run beside a collector, be killed at any time and run
again: deploy/cron/ssmd-compact and deploy/k8s/components/compact run it daily. The exit code is 65 when a day does
not agree with its manifest.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order, print_in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.errors import SsmdError, UsageError, visible
from ssmd.proof.compact import LEVELS, Compacted, Left, candidates, compact
from ssmd.store.layout import DayFile

_PASSES = 2
"""A day is read to be compressed, and its copy is read to be proved."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    days = _days(arguments["--older-than"])
    level = _level(arguments["--level"])
    jobs = jobs_asked(arguments)
    dry_run = arguments["--dry-run"]
    with contextlib.suppress(OSError):
        os.nice(19)  # The collector beside it comes first.
    before = (datetime.now(UTC) - timedelta(days=days - 1)).date().isoformat()
    tasks = day_tasks(candidates(Path(arguments["<storage>"]), before), _PASSES)
    return print_in_order(in_order(partial(_compact, level=level, dry_run=dry_run), tasks, jobs))


def _compact(file: DayFile, outlet: Outlet, *, level: int, dry_run: bool) -> tuple[str, int]:
    """Return what to print about a day, and the exit code."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        outlet.progress(done)

    try:
        outcome = compact(file, level=level, dry_run=dry_run, progress=advance)
    except SsmdError as error:
        return f"ssmd: {error}", error.exit_code
    return f"{file.path}: {_text(outcome, dry_run)}", 0


def _text(outcome: Compacted | Left, dry_run: bool) -> str:
    if isinstance(outcome, Left):
        return f"{outcome.why}; left as it is"
    would = "would be " if dry_run else ""
    if outcome.finished:
        return f"was compacted already, the plain file {would or 'is '}removed"
    if dry_run:
        return f"would be compacted, {outcome.plain_bytes:,} bytes"
    times = outcome.plain_bytes / outcome.packed_bytes
    smaller = f", {times:.1f} times smaller" if times > 1 else ""
    return f"compacted, {outcome.plain_bytes:,} bytes to {outcome.packed_bytes:,}{smaller}"


def _days(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,5})d?", text)
    if match is None or not int(match[1]):
        raise UsageError(f"--older-than is '{visible(text)}'; it must be a number of days, such as 7d, 1d at least")
    return int(match[1])


def _level(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) in LEVELS):
        raise UsageError(f"--level is '{visible(text)}'; it must be a number from {LEVELS[0]} to {LEVELS[-1]}")
    return int(text)
