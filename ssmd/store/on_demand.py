"""Lets a folder have files whose content is brought, from a bucket for example, when it is first read.

Such a folder has each file under its name and with its size, so a listing of it is right. Code that opens a file of a
day for reading calls present() first, which calls what bring_with() has set for the folder. For other folders it does
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["bring_with", "is_on_demand", "present"]

Bring = Callable[[Path], None]
"""Brings the content of a file, or of all files in a folder, unless it is there already. Raises SsmdError."""

_folders: dict[Path, Bring] = {}


def bring_with(folder: Path, bring: Bring | None) -> None:
    """From now on call `bring` before a file below the folder is read in this process; None for no longer."""
    if bring is None:
        _folders.pop(folder, None)
    else:
        _folders[folder] = bring


def present(path: Path) -> Path:
    """Return the path of a file or a folder, whose content is there now if there is any."""
    for folder, bring in _folders.items():
        if path.is_relative_to(folder):
            bring(path)
    return path


def is_on_demand(path: Path) -> bool:
    """Return whether the content of a file may have to be brought before it can be read."""
    return any(path.is_relative_to(folder) for folder in _folders)
