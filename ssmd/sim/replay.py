"""Recorded messages, read from files, days or a storage folder: lines of ssmd, or raw frames of other programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import DataError, UsageError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.merge import Trouble, merged
from ssmd.reading.messages import Batch, batch
from ssmd.reading.selection import ALL, Selection
from ssmd.store.head import split
from ssmd.store.inventory import data_files, looking
from ssmd.store.layout import LISTING, DayFile, read_name
from ssmd.store.line import decode_line

__all__ = ["Recording"]

_log = logging.getLogger("ssmd.sim")

_FIRST_MESSAGES = 100
"""How many messages of a recording show whether it is Kalshi's."""


class Recording(NamedTuple):
    """The messages to replay.

    Files in a day's folder hold lines of ssmd. For other files the first line decides. If ssmd wrote it, all lines are
    lines of ssmd: they are merged by time, and each gives the bytes that the exchange sent. Otherwise they are raw
    frames: each line is one message, byte for byte, without a time. Blank lines among them are skipped: a recorder
    leaves one behind each frame that ends with its own newline.
    """

    paths: Sequence[Path]
    feed: str | None = None
    """Replay only this feed."""
    selection: Selection = ALL
    """Replay only these lines of ssmd."""
    shard: Shard | None = None
    """Replay only this shard; None for all."""

    def check(self) -> None:
        """Raise UsageError or DataError now, not when the first client connects, if this cannot be replayed.

        Warns of raw frames: they may be lines of ssmd whose first one is damaged.
        """
        if next(self.batches(), None) is None:
            raise UsageError(f"{self} holds no messages to replay; name a file or a day that has some")
        if (file := _holds_frames(self.files())) is not None:
            _log.warning("%s: ssmd did not write its first line, so each line is sent as one message", file.path)

    def batches(self) -> Iterator[Batch]:
        """Yield the messages in order, a block at a time, so that memory stays flat. Raises as check() does.

        A damaged line among lines of ssmd is left out, with a warning: after a crash the last one may be torn.
        """
        files = self.files()
        if (frames := _holds_frames(files)) is not None:
            if self.selection != ALL:
                raise UsageError(
                    f"{frames.path}: ssmd did not write its first line, so these are raw frames, and no part of them "
                    "can be selected; leave out --from, --to, --type and --market"
                )
            for file in files:
                yield from _frames(file)
            return
        feeds = sorted({file.feed for file in files if file.day})
        if len(feeds) > 1:
            raise UsageError(
                f"{self} holds the feeds {', '.join(feeds)}, and only one can be replayed: "
                "choose with `ssmd replay --feed`, or name the files"
            )
        for block in merged(files, self.selection, trouble=_report):
            yield batch(block)

    def is_of_kalshi(self) -> bool:
        """Return whether one of the first messages has the form of Kalshi's (https://docs.kalshi.com/asyncapi.yaml).

        Raises as batches() does.
        """
        messages = chain.from_iterable(each.sent for each in self.batches())
        return any(map(_has_kalshis_form, islice(messages, _FIRST_MESSAGES)))

    def files(self) -> list[DayFile]:
        """Return the files to replay. Raises UsageError, and DataError for a folder that cannot be read."""
        # Recordings of other programs may have any name.
        others = [path for path in self.paths if read_name(path) is None and _is_file(path)]
        ours = data_files([path for path in self.paths if path not in others], self.feed, self.shard)
        if len({file.feed for file in ours}) > 1:  # Listings came over HTTP, and beside a feed nobody means them.
            ours = [file for file in ours if not file.feed.endswith(LISTING)]
        return [DayFile("", "", WHOLE, "jsonl", path) for path in others] + ours

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))


def _has_kalshis_form(payload: bytes) -> bool:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and isinstance(message.get("type"), str) and isinstance(message.get("msg"), dict)


def _is_file(path: Path) -> bool:
    with looking(path):
        return path.is_file()


def _report(trouble: Trouble) -> None:
    """Warn of a line that is left out. Raises DataError for a file that cannot be read any further."""
    if trouble.line is None:
        raise DataError(trouble.text)
    _log.warning("%s, left out of the replay", trouble)


def _frames(file: DayFile) -> Iterator[Batch]:
    source = LineBlocks(file.path)
    for block in source:
        if frames := [line for line in split(block) if line.strip()]:
            yield Batch(frames, None)
    if source.torn.strip():
        yield Batch([source.torn + b"\n"], None)


def _holds_frames(files: Sequence[DayFile]) -> DayFile | None:
    """Return the file whose first line shows that all hold raw frames; None when they hold lines of ssmd.

    Raises DataError for a file that cannot be read. A day's file is ssmd's because of its name, even when it has no
    line, or begins with a damaged one.
    """
    if any(file.day for file in files):
        return None
    for file in files:
        if (first := next(_frames(file), None)) is not None:
            try:
                decode_line(first.sent[0])
            except ValueError:
                return file
            return None
    return None
