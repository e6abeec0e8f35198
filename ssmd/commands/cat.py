"""Print recorded lines, or the exchange's own messages, from files, days or a whole storage folder.

Usage:
  ssmd cat [--from <time>] [--to <time>] [--type <type>]... [--market <ticker>]... [--feed <feed>] [--raw] <path>...
  ssmd cat (-h | --help)

Options:
  --from <time>      Only what was received at this time or later, such as 2025-12-22T10:30; UTC.
  --to <time>        Only what was received before this time.
  --type <type>      Only messages whose `type` is this; may be given several times.
  --market <ticker>  Only messages whose `msg.market_ticker` is this; may be given several times.
  --feed <feed>      Only this feed.
  --raw              Print the exchange's bytes, a message a line, in place of ssmd's lines.
  -h --help          Show this.

A path is a file (.jsonl, .jsonl.zst or .jsonl.gz), a day's folder or the storage folder. All of it is merged by
time. A message that was not valid JSON is printed by --raw as it came, with newlines of its own if it has any.
What is not a line of ssmd is left out and told on stderr, with file and line; the exit code is then 65. The
beginning of a line that is still being written is left out too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ssmd.commands.selecting import selection_of, tell_twins
from ssmd.errors import DataError, UsageError
from ssmd.reading.merge import Trouble, merged
from ssmd.reading.messages import raw
from ssmd.store.inventory import data_files

_GATHERED_BYTES = 256 * 1024
_TOLD_PER_FILE = 10


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    selection = selection_of(arguments)
    files = data_files(map(Path, arguments["<path>"]), arguments["--feed"])
    if not files:
        of_feed = f" of feed {arguments['--feed']}" if arguments["--feed"] else ""
        raise UsageError(f"{', '.join(arguments['<path>'])}: no data{of_feed} here")
    tell_twins(files)
    troubles = _Troubles()
    lines = merged(files, selection, trouble=troubles.take)
    _print(map(raw, lines) if arguments["--raw"] else lines, sys.stdout.buffer)
    return troubles.close()


def _print(blocks: Iterator[bytes], out: BinaryIO) -> None:
    """Write it all. Small pieces are gathered: where files overlap there may be one for each line."""
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        pieces.append(block)
        size += len(block)
        if size >= _GATHERED_BYTES:
            out.write(b"".join(pieces))
            pieces, size = [], 0
    out.write(b"".join(pieces))


class _Troubles:
    """Tells what cannot be read, without flooding: a file of another kind has as many wrong lines as it has lines."""

    def __init__(self) -> None:
        self._damaged: dict[Path, int] = {}

    def take(self, trouble: Trouble) -> None:
        if trouble.torn:
            print(f"ssmd: {trouble}, left out", file=sys.stderr)
            return
        count = self._damaged[trouble.path] = self._damaged.get(trouble.path, 0) + 1
        if count <= _TOLD_PER_FILE:
            print(f"ssmd: {trouble}{', left out' if trouble.line is not None else ''}", file=sys.stderr)

    def close(self) -> int:
        """Tell how many were not told; return the exit code."""
        for path, count in self._damaged.items():
            if count > _TOLD_PER_FILE:
                print(f"ssmd: {path}: {count - _TOLD_PER_FILE} more lines left out", file=sys.stderr)
        return DataError.exit_code if self._damaged else 0
