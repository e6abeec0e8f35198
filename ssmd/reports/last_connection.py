"""The last connection of a day: until when it was open. It may have lasted over later days that have no file."""

from __future__ import annotations

from pathlib import Path

from ssmd.store.closed_hours import Times, closed_times
from ssmd.store.layout import data_path, ledger_path, live_folder, manifest_path
from ssmd.store.ledger import IMPORTED
from ssmd.store.ledger_file import readable_entries
from ssmd.store.locks import is_locked
from ssmd.store.sessions import Session, sessions

__all__ = ["closed_after", "connected_until", "has_connection", "is_connected", "is_imported"]


def connected_until(folder: Path, stem: str) -> int:
    """Return when the last session in a day's folder ended, in ns; 0 when its ledger does not say.

    A session that ends with `rotated` lasted until then too: the message that caused it came over the same connection.
    """
    last = _last_session(folder, stem)
    return last.ended.ts_ns if last is not None and last.ended is not None else 0


def closed_after(folder: Path, stem: str) -> Times:
    """Return when it was closed by schedule, as the ledger in a day's folder says."""
    return closed_times(readable_entries(ledger_path(folder, stem)).outline())


def has_connection(folder: Path, stem: str) -> bool:
    """Return whether the ledger in a day's folder has a session."""
    return _last_session(folder, stem) is not None


def is_imported(folder: Path, stem: str) -> bool:
    """Return whether the ledger in a day's folder says that its lines were imported, and has no session."""
    entries = readable_entries(ledger_path(folder, stem)).outline()
    return any(entry.event == IMPORTED for entry in entries) and not sessions(entries)


def is_connected(folder: Path, stem: str, today: str) -> bool:
    """Return whether the last session in a day's folder goes on: its ledger has no end of it, and a collector runs.

    A run that was killed has left no end either, but holds no lock. A run that was started since holds the lock, but
    its ledger says that it was started.
    """
    if manifest_path(folder, stem).exists():
        return False
    # What a bucket has of today ends with the last segment, and more is to come.
    if not (is_locked(data_path(folder, stem)) or (folder.name == today and live_folder(folder, stem).exists())):
        return False
    last = _last_session(folder, stem)
    return last is not None and last.ended is None and last.next is None


def _last_session(folder: Path, stem: str) -> Session | None:
    found = sessions(readable_entries(ledger_path(folder, stem)).outline())
    return found[-1] if found else None
