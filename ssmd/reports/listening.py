"""Until when a feed was listened to, as far as the last day with data tells: the days since have no file that does."""

from __future__ import annotations

from pathlib import Path

from ssmd.store.layout import ledger_path, manifest_path
from ssmd.store.ledger_file import readable_entries
from ssmd.store.locks import is_locked
from ssmd.store.sessions import Session, sessions

__all__ = ["heard_until", "is_open"]


def heard_until(folder: Path, feed: str) -> int:
    """When the last session of a day's folder ended, in ns, as far as its ledger tells; 0 when it does not.

    One that was rotated has lasted until then too: the message that made it go on came over the same connection.
    """
    last = _last_session(folder, feed)
    return last.ended.ts_ns if last is not None and last.ended is not None else 0


def is_open(folder: Path, feed: str) -> bool:
    """Whether the last session of a day's folder goes on: its ledger tells of no end, and a collector is at work.

    What was killed has left no end either, but holds no lock. What was started again holds it, but has written so.
    """
    data = folder / f"{feed}.jsonl"
    if manifest_path(folder, feed).exists() or not is_locked(data):
        return False
    last = _last_session(folder, feed)
    return last is not None and last.ended is None and last.next is None


def _last_session(folder: Path, feed: str) -> Session | None:
    found = sessions(readable_entries(ledger_path(folder, feed)).outline())
    return found[-1] if found else None
