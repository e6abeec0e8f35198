"""Recorded messages, read back from files, days or a storage folder: ssmd's own lines, or raw frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import DataError, UsageError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.merge import Trouble, merged
from ssmd.reading.messages import Message, messages
from ssmd.reading.selection import ALL, Selection
from ssmd.store.head import split
from ssmd.store.inventory import data_files, looking
from ssmd.store.layout import DayFile, read_name
from ssmd.store.line import decode_line

__all__ = ["Recording"]

_log = logging.getLogger("ssmd.sim")


class Recording(NamedTuple):
    """What is replayed.

    What lies in a day's folder is ssmd's. Elsewhere the first line decides: if ssmd wrote it, all lines are ssmd's, are
    merged by time and give back the exchange's bytes; otherwise each line is a message itself, exactly as it stands
    there, and has no time. Blank lines, which recorders of raw frames leave behind when a frame brought its own
    newline, are passed over.
    """

    paths: Sequence[Path]
    feed: str | None = None
    """Only this feed."""
    selection: Selection = ALL
    """What of ssmd's own lines."""

    def check(self) -> None:
        """If it cannot be replayed, raise UsageError or DataError now, rather than when the first client is there.

        Warns of raw frames: they may be lines of ssmd, of which the first is damaged.
        """
        if next(self.messages(), None) is None:
            raise UsageError(f"{self} holds no messages to replay")
        if (file := _holds_frames(self.files())) is not None:
            _log.warning("%s: its first line is none of ssmd's, so each line is sent as it stands there", file.path)

    def messages(self) -> Iterator[Message]:
        """The messages in order, a block of lines at a time, so that memory stays flat. Raises as check() does.

        A line among ssmd's that ssmd did not write is left out, with a warning: after a crash the last one may be torn.
        """
        files = self.files()
        if (frames := _holds_frames(files)) is not None:
            if self.selection != ALL:
                raise UsageError(
                    f"{frames.path}: its first line is none of ssmd's, so these are raw frames, of which nothing can "
                    "be selected; leave out --from, --to, --type and --market"
                )
            for file in files:
                yield from _frames(file)
            return
        feeds = sorted({file.feed for file in files if file.day})
        if len(feeds) > 1:
            raise UsageError(
                f"{self} holds the feeds {', '.join(feeds)}, and an exchange is one: "
                "choose with `ssmd replay --feed`, or name the files"
            )
        for block in merged(files, self.selection, trouble=_tell):
            yield from messages(block)

    def files(self) -> list[DayFile]:
        """What is replayed. Raises UsageError, and DataError for what cannot be looked into."""
        # Other programs' recordings are named as they like.
        others = [path for path in self.paths if read_name(path) is None and _is_file(path)]
        ours = data_files([path for path in self.paths if path not in others], self.feed)
        return [DayFile("", "", "jsonl", path) for path in others] + ours

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))


def _is_file(path: Path) -> bool:
    with looking(path):
        return path.is_file()


def _tell(trouble: Trouble) -> None:
    if trouble.line is None:
        raise DataError(trouble.text)
    _log.warning("%s, left out of the replay", trouble)


def _frames(file: DayFile) -> Iterator[Message]:
    source = LineBlocks(file.path)
    for block in source:
        for line in split(block):
            if line.strip():
                yield Message(line[:-1], None, document=True)  # The line's own end stands for a newline that it had.
    if source.torn.strip():
        yield Message(source.torn, None, document=True)


def _holds_frames(files: Sequence[DayFile]) -> DayFile | None:
    """The file that says that all are raw frames; None when ssmd wrote them. Raises DataError for what cannot be read.

    A day may begin without a line, or with a damaged one, and is ssmd's by its name.
    """
    if any(file.day for file in files):
        return None
    for file in files:
        if (first := next(_frames(file), None)) is not None:
            try:
                decode_line(first.payload)
            except ValueError:
                return file
            return None
    return None
