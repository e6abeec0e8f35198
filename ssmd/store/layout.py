"""What a storage folder contains, and the names of its files. Pure.

    {storage}/{YYYY-MM-DD}/{stem}.jsonl             the data of a feed and a UTC day; or .jsonl.zst, .jsonl.gz
    {storage}/{YYYY-MM-DD}/{stem}.parquet           the same in tables, a folder of parts
    {storage}/{YYYY-MM-DD}/{stem}.jsonl.torn        part of a line that a killed run left
    {storage}/{YYYY-MM-DD}/{stem}.ledger.jsonl      what happened to the capture
    {storage}/{YYYY-MM-DD}/{stem}.manifest.json     what a finished day contains
    {storage}/{YYYY-MM-DD}/{stem}.shape.json        which fields the messages of a finished day have
    {storage}/{YYYY-MM-DD}/{stem}.pruned.json       where the data is, after `ssmd prune` has removed it here
    {storage}/.{stem}.lock                          held by the collector that writes these files
    {storage}/.{stem}.errors                        how its runs ended
    {storage}/.{stem}.drift                         which changes of the messages' shape were reported today
    {storage}/.{stem}.{engine}.relay                held by the relay that copies these files to an engine
    {storage}/.{stem}.{engine}.shipped              up to where it has copied them, for people
    {storage}/.{stem}.restored                      where lines were put into a day again, for the relays
    {storage}/.{stem}.upload/                       temporary files of what uploads them to a bucket

The stem is the feed's name or, when shards share the feed, the name with the shard: `kalshi+2of4`. The name of a feed
has no `+`. What `follow` keeps of its listings is a feed of its own, `kalshi.listing`; a shard's is
`kalshi.listing+2of4`.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

from ssmd.contracts.shard import LABEL, Shard, shard_of_label
from ssmd.store.file_kinds import DAY_FILES, LEDGER, MANIFEST, PRUNED, SHAPE, TORN

__all__ = [
    "FEED",
    "FORMS",
    "LISTING",
    "LIVE",
    "PACKED_LEDGERS",
    "PARQUET",
    "RESERVED_ENDINGS",
    "DayFile",
    "data_path",
    "day_of",
    "drift_path",
    "errors_path",
    "feed_and_shard",
    "feed_of",
    "forms_of",
    "ledger_path",
    "live_folder",
    "lock_path",
    "manifest_path",
    "pruned_path",
    "read_name",
    "relay_path",
    "scratch_path",
    "shape_path",
    "shipped_path",
    "temporary",
    "torn_path",
]


FORMS = tuple(kind.suffix[1:] for kind in DAY_FILES if kind.pruned)
"""The forms that a day's data may have. When there are several, as while a day is compacted, the first one is read."""

PARQUET = "parquet"
"""The form that is a folder, of files that ssmd/parquet/ writes and reads."""

PACKED_LEDGERS = (f"{LEDGER}.zst", f"{LEDGER}.gz")
"""Ledgers that another program has compressed: ssmd compresses none."""

RESERVED_ENDINGS = (".ledger", *(kind.suffix for kind in DAY_FILES))
"""No feed's name may end in one of these: the data of a feed `x.ledger` would have the name of the ledger of `x`."""

LISTING = ".listing"
"""What ends the name of the feed in which the listings of another feed are kept. No configured feed's name may."""

LIVE = "live"
"""The folder in that of a day in which a bucket has what came of it so far, while it is not complete."""

FEED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_STEM = re.compile(rf"(?P<feed>{FEED.pattern})(?:\+(?P<shard>{LABEL}))?")
_DATA = re.compile(rf"(?P<stem>{_STEM.pattern})\.(?P<form>{'|'.join(re.escape(form) for form in FORMS)})")


class DayFile(NamedTuple):
    """The data of one feed, or of one of its shards, and one day.

    Sorts by day, then by feed, then by the number of shards, then by the shard.
    """

    day: str
    """YYYY-MM-DD, the name of its folder; empty for a file that is not in a day's folder."""
    feed: str
    shard: Shard
    """WHOLE when no other process shares the feed."""
    form: str
    """One of FORMS."""
    path: Path

    @property
    def stem(self) -> str:
        """How the names of all its files begin."""
        return self.shard.stem(self.feed)


def data_path(folder: Path, stem: str) -> Path:
    """Return the path of the uncompressed data in a day's folder."""
    return folder / f"{stem}.jsonl"


def ledger_path(folder: Path, stem: str) -> Path:
    """Return the path of the ledger in a day's folder."""
    return folder / f"{stem}{LEDGER}"


def manifest_path(folder: Path, stem: str) -> Path:
    """Return the path of the manifest in a day's folder."""
    return folder / f"{stem}{MANIFEST}"


def shape_path(folder: Path, stem: str) -> Path:
    """Return the path of the file with the shape of the messages, in a day's folder."""
    return folder / f"{stem}{SHAPE}"


def pruned_path(folder: Path, stem: str) -> Path:
    """Return the path of the file that says where pruned data is, in a day's folder."""
    return folder / f"{stem}{PRUNED}"


def live_folder(folder: Path, stem: str) -> Path:
    """Return the folder that is there, in a day's folder, when the day is read from a bucket that is not complete."""
    return folder / LIVE / stem


def torn_path(path: Path) -> Path:
    """Return the path of the file that gets what is torn off a data file or a ledger."""
    return path.with_name(path.name + TORN)


def temporary(path: Path) -> Path:
    """Return the name that a file, or a folder, has until it is whole and durable. No command reads such a name."""
    return path.with_name(f"{path.name}.new")


def lock_path(storage: Path, stem: str) -> Path:
    """Return the path of the file that the collector of a feed, or of a shard, locks."""
    return storage / f".{stem}.lock"


def errors_path(storage: Path, stem: str) -> Path:
    """Return the path of the file that counts how the runs of a feed, or of a shard, ended."""
    return storage / f".{stem}.errors"


def drift_path(storage: Path, stem: str) -> Path:
    """Return the path of the file that says which changes of the messages' shape were reported today."""
    return storage / f".{stem}.drift"


def relay_path(storage: Path, stem: str, engine: str) -> Path:
    """Return the path of the file that the relay of a feed, or of a shard, to an engine locks.

    It does not end in `.lock`: the lock of a feed may have the name of an engine in it, as `.kalshi.nats.lock` has.
    """
    return storage / f".{stem}.{engine}.relay"


def scratch_path(storage: Path, stem: str) -> Path:
    """Return the path of the folder for temporary files of the uploader of a feed, or of a shard, to a bucket."""
    return storage / f".{stem}.upload"


def shipped_path(storage: Path, stem: str, engine: str) -> Path:
    """Return the path of the file that says up to where such a relay has come."""
    return storage / f".{stem}.{engine}.shipped"


def day_of(folder: Path) -> str | None:
    """Return the day that a folder is named after, None for any other folder."""
    if _DAY.fullmatch(folder.name) is None:
        return None
    try:
        return date.fromisoformat(folder.name).isoformat()
    except ValueError:
        return None


def read_name(path: Path, day: str | None = None) -> DayFile | None:
    """Return what the name of a file says that it contains, None when it is no data file; it need not exist.

    `day`: the day of its folder, when that is known. Otherwise it is the day of the folder that the path leads to or,
    if that has another name, goes through.
    """
    match = _DATA.fullmatch(path.name)
    if match is None or path.name.endswith((LEDGER, *PACKED_LEDGERS)):
        return None
    shard = shard_of_label(match["shard"] or "")
    if shard is None:
        return None
    if day is None:
        day = day_of(path.parent.resolve()) or day_of(path.absolute().parent) or ""
    return DayFile(day, match["feed"], shard, match["form"], path)


def forms_of(folder: Path, stem: str) -> list[Path]:
    """Return the paths that the data may have in a day's folder, in the order of FORMS."""
    return [folder / f"{stem}.{form}" for form in FORMS]


def feed_of(stem: str) -> str:
    """Return the feed whose files begin with `stem`."""
    return stem.partition("+")[0]


def feed_and_shard(stem: str) -> tuple[str, Shard] | None:
    """Return the feed and the shard whose files begin with `stem`, None when no file of ssmd does.

    `kalshi+0of4`, `kalshi+5of4`, `kalshi+01of4` and `kalshi+1of1` are no stems.
    """
    match = _STEM.fullmatch(stem)
    shard = shard_of_label(match["shard"] or "") if match is not None else None
    return (match["feed"], shard) if match is not None and shard is not None else None
