"""Pack sealed days of a storage folder as .jsonl.zst or Parquet, and remove the originals once that is proved.

Usage:
  ssmd compact <storage> [--parquet] [--older-than <days>] [--level <n>] [--jobs <n>] [--dry-run]
  ssmd compact <environment> --config-dir <path> [--parquet] [--older-than <days>] [--level <n>] [--jobs <n>]
               [--dry-run]
  ssmd compact (-h | --help)

Options:
  --parquet            Make Parquet, also of days that are compressed already. Default: .jsonl.zst; with an environment,
                       its storage.format.
  --older-than <days>  Only days at least so many days before today, UTC [default: 1d].
  --level <n>          Compression level of zstd for .jsonl.zst, 1 to 19 [default: 9].
  --jobs <n>           Work on so many days at once, each in a process of its own. Default: the cores that ssmd may use.
  --dry-run            Print what would be done, and do nothing.
  --config-dir <path>  The metadata tree, with environments/, feeds/ and schemas/.
  -h --help            Show this.

<storage> is the environment's storage.path. With an <environment> only the days of its feed are packed, in the form
that its storage.format names.

What was packed is read back from the disk and must have the SHA-256 of the day's manifest before anything is removed.
Today's file is never touched, nor a file that is being written, nor a day that is not sealed. The command may run
beside a collector, be killed at any time and run again: deploy/cron/ssmd-compact and deploy/k8s/components/compact run
it daily. The exit code is 65 when a day does not agree with its manifest.

A day in Parquet is a folder with a table for each type of message; one of Kalshi has less than half the size of the
.jsonl.zst. All commands of ssmd read it like any other day, `ssmd cat` prints the exact bytes that it was made from,
and other programs can query it: see docs/lake.md. It needs the Python package pyarrow.
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
from ssmd.commands.packers import packer_of
from ssmd.errors import SsmdError, UsageError, visible
from ssmd.metadata.load_in_child import in_child
from ssmd.proof.compact import Compacted, Left, candidates, compact
from ssmd.proof.pack_zst import LEVELS, ZstPacker
from ssmd.proof.packer import Packer
from ssmd.store.layout import LISTING, PARQUET, DayFile


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    days = _days(arguments["--older-than"])
    level = _level(arguments["--level"])
    jobs = jobs_asked(arguments)
    storage, feeds, form = _place(arguments)
    packer = packer_of(PARQUET if arguments["--parquet"] else form, level)
    with contextlib.suppress(OSError):
        os.nice(19)  # The collector beside it comes first.
    before = (datetime.now(UTC) - timedelta(days=days - 1)).date().isoformat()
    # The day is read to be packed, and then what was packed is read to be proved.
    tasks = day_tasks(candidates(storage, before, packer.form, feeds), packer.passes + 1)
    return print_in_order(in_order(partial(_compact, packer=packer, dry_run=arguments["--dry-run"]), tasks, jobs))


def _place(arguments: Mapping[str, Any]) -> tuple[Path, tuple[str, ...] | None, str]:
    """Return the storage folder, which feeds are packed, None for all, and in which form."""
    if arguments["<storage>"] is not None:
        return Path(arguments["<storage>"]), None, ZstPacker.form
    kept = in_child(partial(_load, Path(arguments["--config-dir"]), arguments["<environment>"]))
    return kept.folder, (kept.feed, f"{kept.feed}{LISTING}"), kept.format


def _load(config_dir: Path, environment: str) -> Any:
    # Not at the top: it imports the libraries of a run, which the child takes with it when it ends.
    from ssmd.wiring.kept import load_kept

    return load_kept(config_dir, environment, datetime.now(UTC).date())


def _compact(file: DayFile, outlet: Outlet, *, packer: Packer, dry_run: bool) -> tuple[str, int]:
    """Return what to print about a day, and the exit code."""
    done = 0.0

    def advance(count: float) -> None:
        nonlocal done
        done += count
        outlet.progress(int(done))

    try:
        outcome = compact(file, packer, dry_run=dry_run, progress=advance)
    except SsmdError as error:
        return f"ssmd: {error}", error.exit_code
    return f"{file.path}: {_text(outcome, dry_run)}", 0


def _text(outcome: Compacted | Left, dry_run: bool) -> str:
    if isinstance(outcome, Left):
        return f"{outcome.why}; left as it is"
    would = "would be " if dry_run else ""
    if outcome.finished:
        return f"was compacted already, {' and '.join(outcome.removed)} {would or 'is '}removed"
    if dry_run:
        return f"would be compacted, {outcome.stored_bytes:,} bytes"
    times = outcome.stored_bytes / outcome.packed_bytes
    smaller = f", {times:.1f} times smaller" if times > 1 else ""
    return f"compacted, {outcome.stored_bytes:,} bytes to {outcome.packed_bytes:,}{smaller}"


def _days(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,5})d?", text)
    if match is None or not int(match[1]):
        raise UsageError(f"--older-than is '{visible(text)}'; it must be a number of days, such as 7d, 1d at least")
    return int(match[1])


def _level(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) in LEVELS):
        raise UsageError(f"--level is '{visible(text)}'; it must be a number from {LEVELS[0]} to {LEVELS[-1]}")
    return int(text)
