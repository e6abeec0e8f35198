"""Write an example of a metadata tree, in which everything works.

Usage:
  ssmd init <dir>
  ssmd init (-h | --help)

Options:
  -h --help  Show this.

<dir> is created, with environments/, feeds/ and schemas/ in it. It may exist if it is empty. After an error, nothing
of it is left. Then:
  ssmd run kalshi-sim --config-dir <dir>   collects from a simulated Kalshi: no account, no network
  ssmd validate --config-dir <dir>         checks the tree after a change
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ssmd.commands.program import CHECKOUT, program
from ssmd.errors import OutputError, visible
from ssmd.store.durable import make_directory, sync_directory

__all__ = ["INSTALLED", "example", "main"]

INSTALLED = Path(__file__).resolve().parents[1] / "example"
"""The example tree inside the package. setup.py copies conf/ there when it builds."""

_FOLDERS = ("schemas", "feeds", "environments")
"""In the order in which they are written to a folder that exists: without environments/ nothing can be run."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    given: str = arguments["<dir>"]
    try:
        _write(_texts(given), Path(os.path.realpath(given)))
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{visible(error.filename)}: is in the way; name another folder") from None
    except OSError as error:
        raise OutputError(f"{visible(os.path.abspath(given))}: {error.strerror}; name another folder") from None
    shown = shlex.quote(given)
    print(
        f"{visible(given)} has an example of a metadata tree. To collect from a simulated Kalshi, without an account:\n"
        f"  {program()} run kalshi-sim --config-dir {shown}\n"
        "For a real exchange begin with environments/kalshi-dev.yaml, kraken.yaml or another one. After a change:\n"
        f"  {program()} validate --config-dir {shown}"
    )
    return 0


def example() -> Path:
    """Return the folder of the example tree: conf/ of the checkout, or the one inside the package."""
    return INSTALLED if CHECKOUT is None else CHECKOUT / "conf"


def _texts(given: str) -> dict[Path, str]:
    """Return the files of the example by their paths in the tree. The commands in their comments work from here."""
    source = example()
    tree = visible(shlex.quote(given))
    return {
        path.relative_to(source): path.read_text(encoding="utf-8")
        .replace("bin/ssmd ", f"{program()} ")
        .replace("--config-dir conf\n", f"--config-dir {tree}\n")
        for folder in _FOLDERS
        for path in sorted((source / folder).iterdir())
        if path.suffix in (".yaml", ".json")
    }


def _write(texts: Mapping[Path, str], to: Path) -> None:
    """Write the files below `to`, all of them or none. Raises OSError and OutputError."""
    exists = os.path.lexists(to)
    if exists and not to.is_dir():
        raise OutputError(f"{visible(str(to))}: is not a folder; name another one")
    if exists and (entries := sorted(os.listdir(to))):
        found = ", ".join(visible(entry, 40) for entry in entries[:3]) + (", ..." if len(entries) > 3 else "")
        raise OutputError(f"{visible(str(to))}: is not empty (it has {found}); name a new folder, or empty this one")
    make_directory(to.parent)
    new = (to if exists else to.parent) / f".{to.name}.new-{os.getpid()}"
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, new, ignore_errors=True)
        _write_files(texts, new)
        if exists:
            # The folder stays: it may be somebody's working directory, or a mount.
            for name in _FOLDERS:
                os.rename(new / name, to / name)
                undo.callback(shutil.rmtree, to / name, ignore_errors=True)
            new.rmdir()
        else:
            os.rename(new, to)
        sync_directory(to if exists else to.parent)
        undo.pop_all()


def _write_files(texts: Mapping[Path, str], folder: Path) -> None:
    """Write the files into a new folder, and make them durable."""
    folder.mkdir()
    for path, text in texts.items():
        (folder / path).parent.mkdir(exist_ok=True)
        with open(folder / path, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    for name in (*_FOLDERS, "."):
        sync_directory(folder / name)
