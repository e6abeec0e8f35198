"""Bring back what this host has lost of days that are not complete in the environment's bucket.

Usage:
  ssmd restore <environment> --config-dir <path> [--shard <i/n>] [--day <day>]
  ssmd restore (-h | --help)

Options:
  --config-dir <path>  The metadata tree, with environments/, feeds/ and schemas/. Required.
  --shard <i/n>        Only this shard, such as 2/4. Default: all shards of which the bucket has something.
  --day <day>          Only this day, such as 2026-01-31, UTC, or `today`. Default: all days that are not complete in
                       the bucket.
  -h --help            Show this.

The environment has `storage.type: s3`. Where the bucket has more lines of a day than the folder `storage.path`, they
are added to the file, with their part of the ledger; a file that is not there is written whole. A collector does this
for today by itself before it begins, and the uploader does it for older days. So you need this command only to look at
what a lost host has left. It is refused while a collector writes these files.

The exit code is 73 where a line here differs from that of the bucket: then nothing is changed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssmd.bucket import open_bucket
from ssmd.bucket.restore import Restored, restore, unfinished_days, unfinished_stems
from ssmd.commands.shard import read_shard
from ssmd.commands.shipment import keys_of, keys_of_companion, shipment_of
from ssmd.contracts.companion import STATUS_FD
from ssmd.errors import AlreadyCollected, OutputError, UsageError, visible
from ssmd.runtime import logs
from ssmd.shipping.shipment import Shipment
from ssmd.store.durable import make_directory
from ssmd.store.layout import LISTING, data_path, feed_of, lock_path
from ssmd.store.locks import held, take_lock_file
from ssmd.store.timestamps import day_of_ns

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

_S3 = "s3"


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    day = _day(arguments["--day"])
    shard = None if arguments["--shard"] is None else read_shard(arguments["--shard"])
    shipment = shipment_of(Path(arguments["--config-dir"]), arguments["<environment>"], _S3, with_bucket=True)
    config = shipment.config
    keys = keys_of_companion(shipment, environ) if STATUS_FD in environ else keys_of(shipment, environ)
    bucket = open_bucket(config.address, **config.server, credentials=keys)
    with contextlib.closing(bucket):
        feeds = (shipment.feed, shipment.feed + LISTING)
        stems = [shard.stem(feed) for feed in feeds] if shard is not None else _stems(bucket, feeds)
        for stem in stems:
            for line in _restored(bucket, shipment, stem, day):
                print(line, flush=True)
    return 0


def _day(text: str | None) -> str | None:
    if text in (None, "today"):
        return text and day_of_ns(time.time_ns())
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"--day is '{visible(text)}'; it must be a day, such as 2026-01-31") from None


def _stems(bucket: Bucket, feeds: tuple[str, str]) -> list[str]:
    return [stem for stem in unfinished_stems(bucket) if feed_of(stem) in feeds]


def _restored(bucket: Bucket, shipment: Shipment, stem: str, day: str | None) -> Iterator[str]:
    """Restore what there is of a stem; yield a sentence for each day of which something was."""
    days = unfinished_days(bucket, stem, day)
    if not days:
        return
    make_directory(shipment.storage)
    with _alone(shipment.storage, stem):
        for name in days:
            path = data_path(shipment.storage / name, stem)
            with held(path) as ours:
                if path.exists() and not ours:
                    yield f"{path}: another ssmd command is working on it; left as it is"
                    continue
                done = restore(bucket, path.parent, stem, time.time_ns())
            if done != Restored():
                where = ", before those that were here" if done.joined else ""
                yield f"{path}: {done.lines:,} lines restored from {bucket.address}{where}"


@contextlib.contextmanager
def _alone(storage: Path, stem: str) -> Iterator[None]:
    """Hold the lock of a collector. Raises OutputError, and AlreadyCollected when a collector holds it."""
    path = lock_path(storage, stem)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from None
    try:
        holder = take_lock_file(fd)
        if holder is not None:
            whose = f"a collector (process {holder}) is writing the files of {stem}"
            raise AlreadyCollected(f"{path}: {whose}; stop it first")
        yield
    finally:
        os.close(fd)
