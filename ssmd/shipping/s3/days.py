"""Uploads the sealed days of one feed or shard, oldest first, and removes the segments of those that are complete."""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from pathlib import Path

from ssmd.bucket.client import Bucket
from ssmd.contracts.sink import Position
from ssmd.errors import DataError, EngineAuthError, EngineMismatch
from ssmd.shipping.plan import RelayState
from ssmd.shipping.s3.cleanup import remove_segments
from ssmd.shipping.s3.lost import lost_days, put_together
from ssmd.shipping.s3.packing import Packing
from ssmd.shipping.s3.parts import Part
from ssmd.shipping.s3.sealed import SealedDay
from ssmd.shipping.s3.uploader import Plan, Uploader
from ssmd.store.file_kinds import DAY_FILES
from ssmd.store.inventory import bytes_on_disk, data_files, day_folders, looking
from ssmd.store.layout import data_path, manifest_path, scratch_path
from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns

__all__ = ["DaysUploader"]

_RECENT_DAYS = 7
"""How many days back the bucket is asked again after each failure, and is searched for segments that are left."""

Signature = tuple[int, int, int]


class DaysUploader(Uploader):
    """Its state is that of the days that are over."""

    def __init__(
        self, plan: Plan, part: Part, stopped: threading.Event, lock: threading.Lock, state: RelayState
    ) -> None:
        super().__init__(plan, part, stopped, lock, state)
        self._packing = Packing(plan.packer, scratch_path(plan.storage, self._stem))
        self._complete: dict[str, Signature] = {}
        """The days that the bucket has, with the state of the manifest here."""
        self._undone: dict[str, str] = {}
        """The days that could not be uploaded in this round, with the reason; the next round tries them again."""

    _asked = False
    """Whether the bucket was asked about all days."""

    def _begin(self) -> None:
        self._complete = {day: known for day, known in self._complete.items() if not self._is_recent(day)}
        self._asked = False

    def _last(self, bucket: Bucket) -> None:
        """Leave what is not uploaded: the next start goes on with it."""

    def _end(self) -> None:
        """Nothing is open."""

    def _is_recent(self, day: str) -> bool:
        return day >= day_of_ns(self._plan.clock() - _RECENT_DAYS * DAY_NS)

    def _round(self, bucket: Bucket) -> None:
        self._undone.clear()
        if not self._asked:
            today = day_of_ns(self._plan.clock())
            for day in lost_days(bucket, self._plan.storage, self._stem, today):
                self._try(day, None, partial(self._bring, bucket, self._plan.storage / day, None))
        for work in (self._ask, self._bring, self._upload):
            for folder, signature in self._left():
                if self._stopped.is_set():
                    return
                self._try(folder.name, signature, partial(work, bucket, folder, signature))
            self._asked = True
            self._measured()
            self._note_up()

    def _left(self) -> list[tuple[Path, Signature]]:
        """Return the sealed days of which it is not known that they are complete, oldest first."""
        with looking(self._plan.storage):
            found = [(folder, _signature(manifest_path(folder, self._stem))) for folder in self._folders()]
        return [
            (folder, signature)
            for folder, signature in found
            if signature is not None and self._complete.get(folder.name) != signature
        ]

    def _folders(self) -> list[Path]:
        today = day_of_ns(self._plan.clock())
        return [folder for folder in day_folders(self._plan.storage) if folder.name < today]

    def _ask(self, bucket: Bucket, folder: Path, signature: Signature) -> None:
        """Note a day that the bucket has."""
        day = SealedDay(bucket, folder, self._stem, self._packing)
        if day.is_complete():
            self._done(bucket, folder, signature, day, was_there=True)

    def _bring(self, bucket: Bucket, folder: Path, signature: Signature | None) -> None:
        """Bring lines of a day that only the bucket has. The day is then sealed anew."""
        with self._lock:  # Until all lines are here, the uploader of segments would find fewer than the bucket has.
            if not put_together(bucket, folder, self._stem, self._plan.clock()):
                self._undone[folder.name] = "another ssmd command is working on it"

    def _upload(self, bucket: Bucket, folder: Path, signature: Signature) -> None:
        """Upload a day of which all is here that the bucket has."""
        if folder.name in self._undone:
            return
        day = SealedDay(bucket, folder, self._stem, self._packing)
        self._abort(bucket, folder.name)
        if day.upload():
            self._done(bucket, folder, signature, day, was_there=False)
        else:
            self._undone[folder.name] = "it was compacted, or its manifest was changed, meanwhile"

    def _raise_problem(self) -> None:
        super()._raise_problem()
        for day, why in self._undone.items():
            path = data_path(self._plan.storage / day, self._stem)
            raise DataError(f"{path}: is not uploaded, because {why}; run `ssmd ship` again when that has ended")

    def _done(self, bucket: Bucket, folder: Path, signature: Signature, day: SealedDay, *, was_there: bool) -> None:
        """Note that the bucket has a whole day, and remove its segments."""
        live = 0
        if not was_there or self._is_recent(folder.name):
            live = self._remove_segments(bucket, folder)
        self._complete[folder.name] = signature
        manifest = day.manifest
        position = Position(self._part.feed, self._part.shard.label, folder.name, manifest.bytes, manifest.lines)
        self._acknowledged(0 if was_there else max(0, manifest.lines - live), position, manifest.last)

    def _remove_segments(self, bucket: Bucket, folder: Path) -> int:
        """Remove the segments of a day; return how many lines they had."""
        with self._lock:
            files = [file.path for file in data_files([folder]) if file.stem == self._stem]
            return remove_segments(bucket, folder, self._stem, next(iter(files), None))

    def _abort(self, bucket: Bucket, day: str) -> None:
        """Remove what a killed process has left of a multipart upload of a day."""
        own = {f"{day}/{self._stem}{kind.suffix}" for kind in DAY_FILES}
        # Without that right, or with a server that cannot list them, a rule of the bucket has to do it.
        with contextlib.suppress(EngineAuthError, EngineMismatch):
            bucket.abort_unfinished(f"{day}/{self._stem}", own.__contains__)

    def _measure(self) -> None:
        """Note how many bytes of finished days are not in the bucket, and how long ago the oldest ended."""
        state = self.state
        if not self._asked:
            return
        now = self._plan.clock()
        with looking(self._plan.storage):
            sealed = {folder.name: folder for folder, _ in self._left()}
            over = [each for each in self._folders() if each.name not in self._complete and self._has_data(each)]
            state.lag_bytes = sum(map(self._bytes, sealed.values() if self._plan.live_seconds else over))
        waiting = sorted(sealed if self._plan.live_seconds else [folder.name for folder in over])
        state.lag_seconds = _over_since(waiting[0], now) if waiting else 0.0
        oldest = min([*sealed, *(folder.name for folder in over)], default=None)
        state.overdue_seconds = 0.0 if oldest is None else _over_since(oldest, now)

    def _has_data(self, folder: Path) -> bool:
        return any(file.stem == self._stem for file in data_files([folder]))

    def _bytes(self, folder: Path) -> int:
        """Return about how many bytes of data a day has here."""
        return sum(bytes_on_disk(file.path) for file in data_files([folder]) if file.stem == self._stem)


def _signature(path: Path) -> Signature | None:
    """Return what changes when a file is replaced; None when there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _over_since(day: str, now: int) -> float:
    """Return how many seconds ago a day ended."""
    return max(0.0, (now - day_begins(day) - DAY_NS) / 1e9)
