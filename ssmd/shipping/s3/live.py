"""Uploads the lines of days that are not sealed yet in segments, so that a lost host costs the last of them at most."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ssmd.bucket.client import Bucket
from ssmd.contracts.sink import Position
from ssmd.reading.day_source import open_day
from ssmd.shipping.s3.segment import SEGMENT_BYTES, LiveDay
from ssmd.shipping.s3.uploader import Uploader
from ssmd.store.layout import data_path, manifest_path
from ssmd.store.timestamps import DAY_NS, day_of_ns

__all__ = ["LiveUploader"]


class LiveUploader(Uploader):
    """Its state is that of the lines of today, and of yesterday until that is sealed."""

    _days: dict[str, LiveDay] | None = None
    """By the day; None before the first connection."""

    def _round(self, bucket: Bucket, *, all_lines: bool = False) -> None:
        """Upload the lines that are old enough, or enough of them; or all of them."""
        for folder in self._folders():
            path = data_path(folder, self._stem)
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                work = partial(self._upload, bucket, folder, all_lines or self._plan.once)
                self._try(folder.name, found.st_ino, work)

    def _folders(self) -> list[Path]:
        """Return the folders of days that may have lines to upload, and drop the days that were sealed or are older."""
        now = self._plan.clock()
        names = [day_of_ns(now - DAY_NS), day_of_ns(now)]
        folders = [self._plan.storage / name for name in names]
        is_open = [folder for folder in folders if not manifest_path(folder, self._stem).exists()]
        days = self._days or {}
        for name in set(days) - {folder.name for folder in is_open}:
            days.pop(name).close()
        for name in set(self._problems) - {folder.name for folder in is_open}:
            del self._problems[name]  # What is left to do is for the uploader of days that are over.
        return is_open

    def _upload(self, bucket: Bucket, folder: Path, all_lines: bool) -> None:
        while True:
            with self._alone_on(folder) as ours:
                if not ours or manifest_path(folder, self._stem).exists():
                    return  # It is for the uploader of days that are over, which may remove its segments.
                day = self._day(bucket, folder)
                lines = day.upload() if day is not None and (all_lines or self._is_due(day)) else 0
            if day is None or not lines:
                return
            self._note(day, lines)
            # With a slow bucket lines may be due again each time: what is known must not wait for the end.
            self._measured()
            self._note_up()

    @contextlib.contextmanager
    def _alone_on(self, folder: Path) -> Iterator[bool]:
        """Keep the uploader of days that are over from a day; yield False when that is at work already. Lines of today
        never wait for it.
        """
        is_over = folder.name < day_of_ns(self._plan.clock())
        ours = not is_over or self._lock.acquire(blocking=False)
        try:
            yield ours
        finally:
            if is_over and ours:
                self._lock.release()

    def _day(self, bucket: Bucket, folder: Path) -> LiveDay | None:
        days = self._days
        if days is None:
            return None
        if folder.name not in days:
            source = open_day(folder, self._stem)
            if source is None:
                return None
            with contextlib.ExitStack() as on_error:
                on_error.callback(source.close)
                days[folder.name] = LiveDay(bucket, folder, self._stem, source)
                on_error.pop_all()
            self._note(days[folder.name], 0)
        return days[folder.name]

    def _note(self, day: LiveDay, lines: int) -> None:
        position = Position(self._part.feed, self._part.shard.label, day.day, day.offset, day.line)
        self._acknowledged(lines, position, day.last)

    def _is_due(self, day: LiveDay) -> bool:
        size, received = day.pending()
        if not size or size >= SEGMENT_BYTES:
            return size > 0
        if received is None or received > self._plan.clock():
            # The line is damaged, or the clock was set back: its time does not say how old it is.
            return time.monotonic() - day.uploaded >= self._plan.live_seconds
        return self._age(received) >= self._plan.live_seconds

    def _age(self, ns: int) -> float:
        return max(0.0, (self._plan.clock() - ns) / 1e9)

    def _last(self, bucket: Bucket) -> None:
        self._round(bucket, all_lines=True)
        for day in (self._days or {}).values():
            day.upload_end()

    def _measure(self) -> None:
        state = self.state
        if self._days is None:  # Up to where the bucket has the lines is not known.
            state.lag_bytes = state.lag_seconds = state.overdue_seconds = None
            return
        pending = [day.pending() for day in self._days.values()]
        oldest = min((received for _, received in pending if received is not None), default=None)
        state.lag_bytes = sum(size for size, _ in pending)
        state.lag_seconds = 0.0 if oldest is None else self._age(oldest)
        state.overdue_seconds = max(0.0, state.lag_seconds - self._plan.live_seconds)

    def _begin(self) -> None:
        self._end()
        self._days = {}

    def _end(self) -> None:
        days, self._days = self._days, None
        for day in (days or {}).values():
            day.close()
