"""Prove that recorded data is unchanged, by comparing it with its ledgers and its manifests; or that an engine has it.

Usage:
  ssmd verify [--jobs <n>] [--cache <folder>] [--cache-size <n>] <path>...
  ssmd verify --engine <environment> --config-dir <path> [--shard <i/n>]
  ssmd verify (-h | --help)

Options:
  --jobs <n>              Work on so many days at once, each in a process of its own. Default: the cores that ssmd may
                          use.
  --cache <folder>        Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>        How much the folder may keep, such as 500M or 20G [default: 20G].
  --engine <environment>  Compare the copy in the engine of this environment with what is recorded.
  --config-dir <path>     The metadata tree, with environments/, feeds/ and schemas/.
  --shard <i/n>           Only this shard, such as 2/4. Default: all shards of the feed.
  -h --help               Show this.

A path is a data file, a day in Parquet (.parquet), the folder of a day, or a storage folder; or any of these in a
bucket, such as s3://<bucket>/<prefix>, which needs `ssmd[s3]` (docs/bucket.md). Every figure is counted again from the
lines themselves. The exit code is 0 when everything agrees. Otherwise it is 65, and the lines that are wrong are named.
A day that is not sealed yet is compared with its ledger only. What need not be damage, such as an old day that is not
here, is printed as a note.

With --engine, every message of the copy is read back and compared with its line. Messages that are missing, there
twice, changed, out of order, under another subject or key than theirs, or not recorded at all are named, with their
line and their place in the engine, and the exit code is 65. A copy may begin anywhere, as in a stream that keeps only
so much: what was recorded before its first message counts as not copied. A relay may go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssmd.commands.jobs.cores import jobs_asked
from ssmd.commands.jobs.in_order import day_tasks, in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.commands.places import Places, places
from ssmd.errors import DataError, UsageError, printable
from ssmd.proof.advisories import advisories
from ssmd.proof.missing import missing_files
from ssmd.proof.verdict import Verdict
from ssmd.proof.verify import verify
from ssmd.reports.figures import coverage_of, outages_of
from ssmd.reports.text import print_whole
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.manifest_formats import known
from ssmd.store.pruned import pruned_data
from ssmd.words import count, duration, percent

_WIDE = 160
"""Columns for a file or a pipe, where nothing has to be cut off."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    if arguments["--engine"] is not None:
        # Not at the top: it takes as long to import as the rest.
        from ssmd.commands.verify_copy import verify_copy

        return verify_copy(arguments, environ)
    with places(arguments["<path>"], arguments) as read:
        return _verify_all(read, jobs_asked(arguments))


def _verify_all(read: Places, jobs: int | None) -> int:
    """Verify what is there, print it, and return the exit code."""
    paths = read.paths
    verdicts = list(in_order(read.work(_verify), day_tasks(_files_in(paths), read.passes), jobs))
    missing = missing_files(paths, verdicts)
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = _WIDE
    print_whole(_table(verdicts), out)
    wrong = [verdict for verdict in verdicts if verdict.findings]
    for verdict in wrong:
        for finding in verdict.findings:
            where = f"{verdict.file.path}:" + (f" line {finding.line}" if finding.line is not None else "")
            out.print(Text(f"{where} {finding.text}"), soft_wrap=True)
    for text in missing:
        out.print(Text(text), soft_wrap=True)
    for text in advisories(verdicts, paths):
        out.print(Text(f"note: {text}"), soft_wrap=True)
    if wrong or missing:
        return DataError.exit_code
    return 0


def _files_in(paths: Sequence[Path]) -> list[DayFile]:
    """Return the data files below the paths, each once. Raises UsageError for a path without any data.

    A disk that is not mounted must not pass for one on which everything is right.
    """
    files: dict[Path, DayFile] = {}
    for path in paths:
        found = data_files([path])
        if not found and not missing_files([path], []) and next(pruned_data([path]), None) is None:
            raise UsageError(f"{printable(str(path))}: no data here to prove; name a storage folder, a day or a file")
        for file in found:
            files.setdefault(file.path.resolve(), file)
    return sorted(files.values())


def _verify(file: DayFile, outlet: Outlet) -> Verdict:
    return verify(file, outlet.progress)


def _table(verdicts: list[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("day", "feed", "lines", "bytes", "covered", "outages", "lasted", "gaps", "lost", "verdict"):
        table.add_column(name, justify="left" if name in ("day", "feed", "verdict") else "right", no_wrap=True)
    for verdict in verdicts:
        numbers = _numbers(verdict)
        state = "ok" if verdict.sealed else "ok, not sealed yet"
        if verdict.findings:
            state = f"WRONG: {len(verdict.findings)}"
        style = "red" if verdict.findings else "green" if verdict.sealed else ""
        table.add_row(verdict.file.day, verdict.file.stem, *numbers, Text(state, style=style))
    return table


def _numbers(verdict: Verdict) -> list[str]:
    """Return the cells between the feed and the verdict."""
    if verdict.examination is None:
        return [""] * 7
    day = known(verdict.examination.manifest)
    covered = percent(coverage_of(day)) if verdict.sealed else ""
    outages = outages_of(day, sealed=verdict.sealed)
    lasted = duration(sum(outage.seconds for outage in outages)) if outages else ""
    return [
        f"{day.lines:,}",
        f"{day.bytes:,}",
        covered,
        count(None if outages is None else len(outages)),
        lasted,
        count(day.sequence_gaps),
        count(day.missing),
    ]
