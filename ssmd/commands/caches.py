"""The folders for what comes from buckets: temporary ones, and those of --cache."""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ssmd.errors import OutputError, UsageError, visible

__all__ = ["cache_asked", "cache_folder", "temporary_folder"]

_TEMPORARY = "ssmd-bucket-"
_LOCK = ".lock"
_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}


def cache_asked(arguments: Mapping[str, Any]) -> tuple[Path | None, int]:
    """Return the values of --cache, None without it, and of --cache-size in bytes. Raises UsageError."""
    text, size = arguments.get("--cache"), arguments.get("--cache-size") or "0"
    match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)B?", size)
    if match is None:
        raise UsageError(f"--cache-size is '{visible(size)}'; it must be a number of bytes, such as 500M or 20G")
    return (None, 0) if text is None else (Path(text).absolute(), int(match[1]) * _UNITS[match[2]])


@contextmanager
def cache_folder(cache: Path) -> Iterator[Path]:
    """Hold a cache for this command alone."""
    with ExitStack() as stack:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(cache / _LOCK, "wb"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = "another ssmd command uses this folder; wait for it, or name another folder"
            raise UsageError(f"--cache {cache}: {reason}") from None
        except OSError as error:
            raise OutputError(f"--cache {cache}: {error.strerror}") from None
        yield cache


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for this command, and remove it at its end; also those of commands that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError), open(left / _LOCK, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as stack:
        try:
            folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            held = stack.enter_context(open(folder / f"{_LOCK}.new", "wb"))
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / f"{_LOCK}.new").rename(folder / _LOCK)  # Under this name it is locked as long as it is in use.
        except OSError as error:
            where = error.filename or tempfile.gettempdir()
            raise OutputError(f"{where}: {error.strerror}; set TMPDIR to another folder") from None
        yield folder
