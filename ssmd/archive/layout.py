"""What lies where below a storage folder:

    {storage}/{YYYY-MM-DD}/{feed}.jsonl             the data of a feed and UTC day; or .jsonl.zst, .jsonl.gz
    {storage}/{YYYY-MM-DD}/{feed}.jsonl.torn        what a killed run left of a line
    {storage}/{YYYY-MM-DD}/{feed}.ledger.jsonl      what happened to the capture
    {storage}/{YYYY-MM-DD}/{feed}.manifest.json     what a finished day holds

Pure, but for looking into folders. They are listed once: what is compacted before its turn comes has another name
then, for which in_any_form() looks.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple, TypeVar

from ssmd.errors import DataError, UsageError, printable

__all__ = [
    "FORMS",
    "LEDGER",
    "DayFile",
    "data_files",
    "day_folders",
    "day_of",
    "in_any_form",
    "ledger_path",
    "looking",
    "manifest_path",
    "own_ledgers",
    "own_manifests",
    "packed_ledger",
    "read_name",
    "twins",
]

FORMS = ("jsonl", "jsonl.zst", "jsonl.gz")
"""How a day's data may be kept; what comes first counts when there are several, as while a day is compacted."""

LEDGER = ".ledger.jsonl"
"""How the name of a ledger ends."""
MANIFEST = ".manifest.json"

_PACKED_LEDGERS = (f"{LEDGER}.zst", f"{LEDGER}.gz")
"""As some other program leaves them: ssmd compresses no ledger."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FEED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DATA = re.compile(rf"(?P<feed>{_FEED.pattern})\.(?P<form>jsonl(?:\.zst|\.gz)?)")


T = TypeVar("T")


class DayFile(NamedTuple):
    """The data of one feed and one day. Sorts by day, then by feed."""

    day: str
    """YYYY-MM-DD, the name of its folder; empty for a file that lies outside of any day's folder."""
    feed: str
    form: str
    """One of FORMS."""
    path: Path


def ledger_path(folder: Path, feed: str) -> Path:
    """The ledger of a feed in a day's folder."""
    return folder / f"{feed}{LEDGER}"


def manifest_path(folder: Path, feed: str) -> Path:
    """The manifest of a feed in a day's folder."""
    return folder / f"{feed}{MANIFEST}"


def day_of(folder: Path) -> str | None:
    """The day that a folder is named after, None for any other folder."""
    if _DAY.fullmatch(folder.name) is None:
        return None
    try:
        return date.fromisoformat(folder.name).isoformat()
    except ValueError:
        return None


def day_folders(root: Path) -> list[Path]:
    """The day folders in a storage folder, oldest first. Raises OSError."""
    return sorted(folder for folder in root.iterdir() if day_of(folder) is not None and folder.is_dir())


def data_files(paths: Iterable[Path], feed: str | None = None) -> list[DayFile]:
    """The data that files, day folders and storage folders hold, by day and feed, each once.

    Of a day that is there in several forms, the first of FORMS. `feed`: only of this feed. Raises UsageError
    for a path that is not there, or is nothing of ssmd's, and DataError for one that cannot be looked into. A folder
    may hold no data.
    """
    found: dict[Path, DayFile] = {}
    for path in paths:
        with looking(path):
            for file in _below(path):
                if feed is None or file.feed == feed:
                    found.setdefault(file.path.resolve(), file)
    return sorted(found.values())


@contextmanager
def looking(path: Path) -> Iterator[None]:
    """Raises DataError where `path`, or what lies below it, cannot be looked at."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{printable(str(error.filename or path))}: cannot be read: {error.strerror}") from None


def _below(path: Path) -> Iterator[DayFile]:
    if not path.exists():
        not_read = ", and the standard input is not read" if str(path) == "-" else ""
        raise UsageError(f"{printable(str(path))}: there is no such file or folder{not_read}")
    if not path.is_dir():
        file = read_name(path)
        if path.name.endswith(_PACKED_LEDGERS):
            raise UsageError(f"{printable(str(path))}: is a compressed ledger; {_unpack(path)}, then name its data")
        if file is None:
            raise UsageError(f"{printable(str(path))}: is not named like data of ssmd, <feed>.{' or .'.join(FORMS)}")
        if not path.is_file():
            raise UsageError(f"{printable(str(path))}: is no regular file; name a file that ssmd has kept, or a folder")
        yield file
    elif (day := day_of(path.resolve())) is not None:
        yield from _in_folder(path, day)
    else:
        for folder in day_folders(path):
            yield from _in_folder(folder, folder.name)


def _in_folder(folder: Path, day: str) -> Iterator[DayFile]:
    best: dict[str, DayFile] = {}
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return  # Old days may be put away at any time.
    for path in paths:
        file = read_name(path, day)
        if file is None or not path.is_file():
            continue
        known = best.get(file.feed)
        if known is None or FORMS.index(file.form) < FORMS.index(known.form):
            best[file.feed] = file
    yield from best.values()


def read_name(path: Path, day: str | None = None) -> DayFile | None:
    """What the name of a file says it holds, None when it says that this is no data; the file need not be there.

    `day`: of its folder, when that is known. Else it is the one whose folder the path leads to or, if that has another
    name, goes through.
    """
    match = _DATA.fullmatch(path.name)
    if match is None or path.name.endswith((LEDGER, *_PACKED_LEDGERS)):
        return None
    if day is None:
        day = day_of(path.parent.resolve()) or day_of(path.absolute().parent) or ""
    return DayFile(day, match["feed"], match["form"], path)


def in_any_form(path: Path, look: Callable[[Path], T]) -> T:
    """What look(path) gives or, if that is gone, as after compaction, look() at another form. Raises as it does."""
    for candidate in (path, *(other.path for other in _others(path))):
        try:
            return look(candidate)
        except FileNotFoundError:
            continue
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def twins(path: Path) -> list[DayFile]:
    """The other forms in which the day of a data file is there too, in the order of FORMS."""
    return [other for other in _others(path) if other.path.is_file()]


def _others(path: Path) -> list[DayFile]:
    file = read_name(path)
    if file is None:
        return []
    return [file._replace(form=form, path=path.with_name(f"{file.feed}.{form}")) for form in FORMS if form != file.form]


def packed_ledger(folder: Path, feed: str) -> str | None:
    """The name of a feed's ledger that somebody has compressed, and what to do; None when there is none."""
    for ending in _PACKED_LEDGERS:
        path = folder / f"{feed}{ending}"
        if path.exists():
            return f"{path.name} is a compressed ledger; {_unpack(path)}"
    return None


def _unpack(path: Path) -> str:
    command = "zstd -d --rm" if path.suffix == ".zst" else "gunzip"
    return f"unpack it with `{command} {printable(str(path))}`"


def own_ledgers(folder: Path) -> dict[str, Path]:
    """The ledgers in a day's folder, by feed."""
    return _named(folder, LEDGER)


def own_manifests(folder: Path) -> dict[str, Path]:
    """The manifests in a day's folder, by feed."""
    return _named(folder, MANIFEST)


def _named(folder: Path, ending: str) -> dict[str, Path]:
    # Other systems leave files beside those that they copy, such as `._kalshi.manifest.json`.
    found = {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}"))}
    return {feed: path for feed, path in found.items() if _FEED.fullmatch(feed)}
