"""The locks by which one collector alone writes the files of a feed, or of a shard, and opening those of a day."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ssmd.errors import AlreadyCollected, OutputError, printable
from ssmd.store.durable import sync_directory
from ssmd.store.inventory import other_forms
from ssmd.store.layout import lock_path, manifest_path, read_name, temporary
from ssmd.store.locks import take_lock_file, try_lock
from ssmd.store.pruned import read_pruned

__all__ = ["WAIT_SECONDS", "lock_files", "open_locked"]

WAIT_SECONDS = 10.0
"""How long to wait for `ssmd seal` or `ssmd compact`, which lock a data file while they work on it."""

_LOOK_AGAIN_SECONDS = 0.1


def lock_files(root: Path, stem: str) -> int:
    """Lock the files that begin with `stem`, until the descriptor that it returns is closed. Raises OSError, and
    AlreadyCollected when another collector holds the lock.

    The data file is locked too, by open_locked(), in case the lock file is removed.
    """
    path = lock_path(root, stem)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        holder = take_lock_file(fd)
        if holder is None:
            kept, fd = fd, -1
            return kept
    finally:
        if fd >= 0:
            os.close(fd)
    raise AlreadyCollected(
        f"{path}: another collector (process {holder}) is writing the files of {stem} here; stop it, or give this one "
        "another storage.path"
    )


def open_locked(path: Path, ledger: Path) -> int:
    """Open or create a day's plain file, locked; return its descriptor. It may wait, so call it off the hub.

    A new file never exists without its ledger, wherever this is interrupted: data without a ledger would look like data
    whose ledger somebody has removed. Raises OSError, and OutputError when the day is compressed or another process
    holds the file.
    """
    until = time.monotonic() + WAIT_SECONDS
    while True:
        fd = _open(path, ledger)
        try:
            if try_lock(fd, path):
                _require_unproved(path)
                kept, fd = fd, -1
                return kept
        finally:
            if fd >= 0:
                os.close(fd)
        if time.monotonic() > until:
            raise AlreadyCollected(
                f"{path}: another program has held it for {WAIT_SECONDS:g} s: `ssmd seal` or `ssmd compact` at work on "
                "it, or another collector; wait for it or stop it"
            )
        time.sleep(_LOOK_AGAIN_SECONDS)


def _open(path: Path, ledger: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        # Compaction removes the plain file only after the compressed one has its name, so this misses none.
        _require_none(path, [other.path for other in other_forms(path)])
        _require_not_pruned(path)
        os.close(os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        sync_directory(path.parent)  # Or a power failure could take the ledger's name and leave that of the data.
    return os.open(path, flags | os.O_CREAT, 0o644)


def _require_unproved(path: Path) -> None:
    """Refuse a plain file beside a compressed one with a manifest: the two would then differ."""
    file = read_name(path)
    if file is not None and manifest_path(path.parent, file.stem).exists():
        _require_none(path, [other.path for other in other_forms(path)], plain=True)


def _require_not_pruned(path: Path) -> None:
    """Refuse to begin a day whose lines were removed here: the day would then be another one than its copy."""
    file = read_name(path)
    note = read_pruned(path.parent, file.stem) if file is not None else None
    if note is not None:
        raise OutputError(
            f"{path}: this day was pruned: its data is in {note.copy}, and it cannot be continued; set the clock right"
        )


def _require_none(path: Path, packed: list[Path], *, plain: bool = False) -> None:
    if not packed:
        return
    finish = f"finish that with `ssmd compact`, or remove {packed[0].name}"
    remedy = finish if plain else f"`{printable(_unpack(path, packed[0]), 1000)}`"
    raise OutputError(
        f"{path}: this day is compressed already, as {packed[0].name}, and cannot be continued; "
        f"set the clock right, or {remedy} first"
    )


def _unpack(path: Path, packed: Path) -> str:
    """Return the command that makes the plain file of a compressed one, and removes that."""
    if packed.name.endswith(".zst"):
        return f"zstd -d --rm {packed}"
    if packed.name.endswith(".gz"):
        return f"gunzip {packed}"
    new = temporary(path)
    return f"ssmd cat {packed} > {new} && mv {new} {path} && rm -r {packed}"
