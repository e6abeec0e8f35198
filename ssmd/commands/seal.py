"""Write the manifest of every finished day that has none: what it holds, as read back from the disk.

Usage:
  ssmd seal <storage> [--feed <name>] [--before <day>]
  ssmd seal (-h | --help)

Options:
  --feed <name>   Only the files of this feed.
  --before <day>  Only days before this one, as 2026-01-31, UTC. Default: today.
  -h --help       Show this.

<storage> is the environment's storage.path. A running collector does this by itself, at its start and after
midnight; here it is for days that were recorded elsewhere, and for cron. Prints a line for each day. Days that
have a manifest and files that are being written are left alone, so it may be run at any time, twice too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ssmd.errors import SsmdError, UsageError, printable
from ssmd.proof.seal import seal, unsealed
from ssmd.store.repair import Repaired
from ssmd.store.timestamps import timestamp


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    with contextlib.suppress(OSError):
        os.nice(19)  # The collector beside it comes first.
    before = arguments["--before"]
    if before is None:
        before = timestamp(time.time_ns())[:10]
    try:
        before = date.fromisoformat(before).isoformat()  # Days are compared as text, and ISO 8601 has other forms.
    except ValueError:
        raise UsageError(f"--before is {printable(before)!r}; it must be a day, such as 2026-01-31") from None
    code = 0
    for file in unsealed(Path(arguments["<storage>"]), before, arguments["--feed"]):
        try:
            manifest = seal(file, time.time_ns(), _tell)
        except SsmdError as error:
            print(f"ssmd: {error}", file=sys.stderr, flush=True)
            code = code or error.exit_code
            continue
        if manifest is None:
            print(f"{file.path}: is being written; left alone", flush=True)
        else:
            print(
                f"{file.path}: sealed, {manifest.lines:,} lines, {manifest.coverage_percent:g} % of the day, "
                f"{manifest.missing:,} messages missing",
                flush=True,
            )
    return code


def _tell(repaired: Repaired) -> None:
    file, torn, lost = repaired
    if torn:
        print(f"{file}: {torn:,} bytes of a torn line set aside, in {file.name}.torn", flush=True)
    if lost:
        print(f"{file}: {lost['lines']:,} lines that the ledger counts are gone", flush=True)
