"""Tell what was recorded, day by day: messages, rates, gaps, outages and how much of each day was covered.

Usage:
  ssmd report <storage> [--days <n>] [--html]
  ssmd report (-h | --help)

Options:
  --days <n>  How many days, up to today or, of an archive that is over, the newest with data [default: 7].
  --html      Print a page of HTML, with charts, that needs no other file: `ssmd report data --html > report.html`.
  -h --help   Show this.

<storage> is the environment's storage.path. The figures of sealed days come from their manifests; the others are
counted by reading them. Days without data are there too, up to today, with a coverage of 0 % when nobody listened;
but an archive without data for a week, or for --days, is taken for one that is over, and one line says since when.
Exits with 65 when something cannot be read, and leaves it out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssmd import __version__
from ssmd.commands.selecting import tell_twins
from ssmd.errors import DataError, UsageError, printable
from ssmd.reports.comparison import silence
from ssmd.reports.figures import gather
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile

_WIDE = 200
"""Columns for a file or a pipe, where nothing need be cut off."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    days = arguments["--days"]
    if not (days.isascii() and days.isdigit() and len(days) < 6 and int(days)):
        raise UsageError(f"--days is {printable(days)!r}; it must be a number from 1 to 99999")
    now_ns = time.time_ns()
    troubles: list[DataError] = []
    newest: list[str] = []
    storage = Path(arguments["<storage>"])
    figures = gather(storage, int(days), now_ns, trouble=troubles.append, progress=_tell, ended=newest.append)
    tell_twins(data_files([storage]))
    silent = silence(newest[0], now_ns) if newest else ""
    for error in troubles:
        print(f"ssmd: {error}", file=sys.stderr)
    if arguments["--html"]:
        from ssmd.reports.html import page

        shown = os.fsencode(storage).decode("utf-8", "backslashreplace")
        text = page(figures, now_ns=now_ns, storage=shown, version=__version__, silent=silent)
        # The page says that it is UTF-8, whatever a terminal of this locale would take.
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    elif figures:
        from rich.console import Console

        from ssmd.reports.text import print_report

        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = _WIDE
        print_report(figures, console, silent)
    else:
        print("there is no data here")
    return DataError.exit_code if troubles else 0


def _tell(file: DayFile) -> None:
    """On a terminal, say what takes the time: a day that is not sealed may be read for minutes."""
    if sys.stderr.isatty():
        print(f"ssmd: reading {file.path}, which is not sealed", file=sys.stderr)
