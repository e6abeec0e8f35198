"""Show what was recorded, day by day: messages, rates, gaps, outages and how much of each day was covered.

Usage:
  ssmd report <storage> [--days <n>] [--html]
  ssmd report (-h | --help)

Options:
  --days <n>  How many days; the last one is today, or the newest day with data when the archive is over [default: 7].
  --html      Print an HTML page with charts, which needs no other file: `ssmd report data --html > report.html`.
  -h --help   Show this.

<storage> is the environment's storage.path. The figures of sealed days come from their manifests; other days are
counted by reading them. Days without data are shown too, up to today, with a coverage of 0 % when no connection was
open. An archive without data for 7 days, or for --days, is taken for one that is over: its rows end with the newest
day with data, and one line says so. A day that cannot be read is left out, and the exit code is then 65.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssmd import __version__
from ssmd.commands.selecting import warn_of_other_forms
from ssmd.errors import DataError, UsageError, visible
from ssmd.reports.gather import gather, no_data_since
from ssmd.store.layout import DayFile

_WIDE = 200
"""Columns for a file or a pipe, where nothing has to be cut off."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    days = arguments["--days"]
    if not (days.isascii() and days.isdigit() and len(days) < 6 and int(days)):
        raise UsageError(f"--days is '{visible(days)}'; it must be a number from 1 to 99999")
    now_ns = time.time_ns()
    troubles: list[DataError] = []
    newest: list[str] = []
    storage = Path(arguments["<storage>"])
    figures = gather(
        storage,
        int(days),
        now_ns,
        trouble=troubles.append,
        progress=_show_progress,
        listed=warn_of_other_forms,
        ended=newest.append,
    )
    ended = no_data_since(newest[0], now_ns) if newest else ""
    for error in troubles:
        print(f"ssmd: {error}", file=sys.stderr)
    if arguments["--html"]:
        from ssmd.reports.html import page

        shown = os.fsencode(storage).decode("utf-8", "backslashreplace")
        text = page(figures, now_ns=now_ns, storage=shown, version=__version__, no_data_since=ended)
        # The page declares UTF-8, so it is written as UTF-8 whatever the encoding of stdout is.
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    elif figures:
        from rich.console import Console

        from ssmd.reports.text import print_report

        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = _WIDE
        print_report(figures, console, ended)
    else:
        print("there is no data here")
    return DataError.exit_code if troubles else 0


def _show_progress(file: DayFile) -> None:
    """Name the file that is read, on a terminal: a day that is not sealed may take minutes."""
    if sys.stderr.isatty():
        print(f"ssmd: reading {file.path}, which is not sealed", file=sys.stderr)
