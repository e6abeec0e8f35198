"""Prove that kept data is what it was: hold it against its ledgers and manifests, and itself.

Usage:
  ssmd verify <path>...
  ssmd verify (-h | --help)

Options:
  -h --help  Show this.

A path is a data file, the folder of a day, or a storage folder. Everything is worked out anew from the lines
themselves. Exits with 0 when everything agrees, and with 65 when not, naming the lines. A day that is not sealed
yet is held against its ledger only. What may be right, such as an old day that is not here, is told as a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from ssmd.errors import DataError, UsageError, printable
from ssmd.proof.advisories import advisories
from ssmd.proof.missing import missing_files
from ssmd.proof.verdict import Verdict
from ssmd.proof.verify import verify
from ssmd.store.inventory import data_files, in_any_form
from ssmd.store.layout import DayFile

_WIDE = 160
"""Columns for a file or a pipe, where nothing need be cut off."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    paths = [Path(text) for text in arguments["<path>"]]
    for path in paths:
        # A disk that is not mounted must not pass for one on which all is well.
        if not data_files([path]) and not missing_files([path], []):
            raise UsageError(f"{printable(str(path))}: no data here, and so nothing to prove")
    files = data_files(paths)
    verdicts = _verify(files)
    missing = missing_files(paths, verdicts)
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = _WIDE
    out.print(_table(verdicts))
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


def _verify(files: list[DayFile]) -> list[Verdict]:
    verdicts = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for file in files:
            task = progress.add_task(f"{file.day} {file.feed}", total=_size(file))
            verdicts.append(verify(file, lambda done, task=task: progress.update(task, completed=done)))  # type: ignore[misc]
            progress.remove_task(task)
    return verdicts


def _size(file: DayFile) -> int | None:
    """In bytes; None when there is no telling, which verify() then tells of."""
    try:
        return in_any_form(file.path, Path.stat).st_size
    except OSError:
        return None


def _table(verdicts: list[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("day", "feed", "lines", "bytes", "covered", "gaps", "missing", "verdict"):
        table.add_column(name, justify="left" if name in ("day", "feed", "verdict") else "right", no_wrap=True)
    for verdict in verdicts:
        numbers = [""] * 5
        if verdict.examination is not None:
            day = verdict.examination.manifest
            covered = f"{day.coverage_percent:.2f} %" if verdict.sealed else ""
            numbers = [f"{day.lines:,}", f"{day.bytes:,}", covered, f"{day.sequence_gaps:,}", f"{day.missing:,}"]
        state = "ok" if verdict.sealed else "ok, not sealed yet"
        if verdict.findings:
            state = f"WRONG: {len(verdict.findings)}"
        style = "red" if verdict.findings else "green" if verdict.sealed else ""
        table.add_row(verdict.file.day, verdict.file.feed, *numbers, Text(state, style=style))
    return table
