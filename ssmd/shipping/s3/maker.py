"""Makes the uploaders of a process, for the days and for the lines of today of each feed or shard."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ssmd.shipping.plan import DAY, RelayState
from ssmd.shipping.s3.days import DaysUploader
from ssmd.shipping.s3.live import LiveUploader
from ssmd.shipping.s3.parts import Part, Parts
from ssmd.shipping.s3.uploader import Plan, Uploader
from ssmd.shipping.shipped import RelayLock

__all__ = ["Plan", "UploadMaker"]


class UploadMaker:
    """Keeps the Maker contract of shipping/relays.py."""

    def __init__(self, parts: Parts, plan: Plan, stopped: threading.Event) -> None:
        self._parts = parts
        self._plan = plan
        self._stopped = stopped
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def find(self) -> list[Part]:
        """Return what there is to upload by now."""
        return self._parts.look()

    def is_rest(self, shard: Part) -> bool:
        return False

    @contextmanager
    def relay(self, shard: Part, first: bool, state: RelayState) -> Iterator[Uploader | None]:
        """Lock out the same uploader of another process, and yield this one. For its thread.

        Raises AlreadyCollected and OutputError.
        """
        kind = DaysUploader if shard.part == DAY else LiveUploader
        state.part = shard.part
        with closing(RelayLock(self._plan.storage, shard.stem, f"s3.{shard.part}")) as lock:
            if lock.take(self._stopped):
                yield kind(self._plan, shard, self._stopped, self._locks[shard.stem], state)
            else:
                yield None
