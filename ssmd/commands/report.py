"""Show what was recorded, day by day: messages, rates, gaps, outages and how much of each day was covered.

Usage:
  ssmd report <storage> [--days <n>] [--html] [--cache <folder>] [--cache-size <n>]
  ssmd report <storage> --markets [--days <n>] [--json] [--cache <folder>] [--cache-size <n>]
  ssmd report (-h | --help)

Options:
  --days <n>        How many days; the last one is today, or the newest day with data when the archive is over
                    [default: 7].
  --html            Print an HTML page with charts, which needs no other file:
                    `ssmd report data --html > report.html`.
  --markets         Show which followed markets were open and not collected, from when to when, and why.
  --json            Print a JSON object for each followed market that was open, one a line.
  --cache <folder>  Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>  How much the folder may keep, such as 500M or 20G [default: 20G].
  -h --help         Show this.

<storage> is the environment's storage.path; or a storage in a bucket, such as s3://<bucket>/<prefix>, which needs
`ssmd[s3]` (docs/bucket.md). The figures of sealed days come from their manifests; other days are counted by reading
them. Days without data are shown too, up to today, with a coverage of 0 % when no connection was open. An archive
without data for 7 days, or for --days, is taken for one that is over: its rows end with the newest day with data, and
one line says so. A day that cannot be read is left out, and the exit code is then 65. After the tables comes what has
changed in the shape of the messages of sealed days (docs/drift.md), each with the beginning of the first message that
shows it, and which of them were not as their schema says (docs/schemas.md). Messages that are private to an account are
not shown, and neither are those of a bucket.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssmd import __version__
from ssmd.commands.places import places
from ssmd.commands.selecting import warn_of_other_forms
from ssmd.errors import DataError, UsageError, printable, visible
from ssmd.reports.drift import drift_lines
from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather, no_data_since
from ssmd.reports.violations import violation_lines
from ssmd.store.layout import DayFile

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 200
"""Columns for a file or a pipe, where nothing has to be cut off."""

_LONGEST_LINE = 800
"""Characters of a line below the tables, which names a field and ends with a message."""

_Lines = Callable[[Path, Sequence[Figures], Callable[[DataError], None]], Iterable[str]]

_BELOW: Sequence[tuple[str, str, _Lines]] = (
    ("changes in the shape of messages, compared with the days before", "docs/drift.md", drift_lines),
    ("messages that are not as their schema says, by type", "docs/schemas.md", violation_lines),
)
"""What comes below the tables: a title, the document about it, and what finds its lines."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    days = arguments["--days"]
    if not (days.isascii() and days.isdigit() and len(days) < 6 and int(days)):
        raise UsageError(f"--days is '{visible(days)}'; it must be a number from 1 to 99999")
    report = _markets if arguments["--markets"] else _days
    with places([arguments["<storage>"]], arguments) as found:
        return report(arguments, found.paths[0], int(days), time.time_ns())


def _days(arguments: Mapping[str, Any], storage: Path, days: int, now_ns: int) -> int:
    """Print the report on the days; return the exit code."""
    troubles: list[DataError] = []
    newest: list[str] = []
    figures = gather(
        storage,
        days,
        now_ns,
        trouble=troubles.append,
        progress=_show_progress,
        listed=warn_of_other_forms,
        ended=newest.append,
    )
    ended = no_data_since(newest[0], now_ns) if newest else ""
    below = list(_below(storage, figures, troubles.append))
    code = _report_troubles(troubles)
    if arguments["--html"]:
        from ssmd.reports.html import page

        shown = os.fsencode(arguments["<storage>"]).decode("utf-8", "backslashreplace")
        text = page(figures, now_ns=now_ns, storage=shown, version=__version__, no_data_since=ended, below=below)
        # The page declares UTF-8, so it is written as UTF-8 whatever the encoding of stdout is.
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    elif figures:
        from ssmd.reports.text import print_report

        print_report(figures, _console(), ended)
        for title, document, lines in below:
            print(f"{title} ({document}):")
            print("\n".join(lines))
    else:
        print("there is no data here")
    return code


def _below(
    storage: Path, figures: Sequence[Figures], trouble: Callable[[DataError], None]
) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield what there is to say below the tables: a title, the document about it, and its lines."""
    for title, document, lines_of in _BELOW:
        if lines := [printable(line, _LONGEST_LINE) for line in lines_of(storage, figures, trouble)]:
            yield title, document, lines


def _markets(arguments: Mapping[str, Any], storage: Path, days: int, now_ns: int) -> int:
    """Print the report on followed markets; return the exit code."""
    from ssmd.reports.markets import followed_markets
    from ssmd.reports.markets_text import json_lines, text_lines

    troubles: list[DataError] = []
    feeds = list(
        followed_markets(
            storage, days, now_ns, trouble=troubles.append, progress=_show_progress, ended=lambda day: None
        )
    )
    code = _report_troubles(troubles)
    if not (feeds or arguments["--json"]):
        print("no feed here follows markets, or its ledger does not say which")
    for line in json_lines(feeds) if arguments["--json"] else text_lines(feeds):
        print(line)
    return code


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def _report_troubles(troubles: Sequence[DataError]) -> int:
    """Print what could not be read; return the exit code."""
    for error in troubles:
        print(f"ssmd: {error}", file=sys.stderr)
    return DataError.exit_code if troubles else 0


def _show_progress(file: DayFile) -> None:
    """Name the file that is read, on a terminal: a day that is not sealed may take minutes."""
    if sys.stderr.isatty():
        print(f"ssmd: reading {file.path}, which is not sealed", file=sys.stderr)
