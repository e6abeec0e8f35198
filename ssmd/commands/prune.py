"""Remove the data of old days from this host, once the environment's bucket has all of it.

Usage:
  ssmd prune <environment> --config-dir <path> [--dry-run]
  ssmd prune (-h | --help)

Options:
  --config-dir <path>  The metadata tree, with environments/, feeds/ and schemas/. Required.
  --dry-run            Print what would be done, and do nothing.
  -h --help            Show this.

The environment has `storage.type: s3`, and `storage.keep_days` says how many days before today stay. The data of an
older day is removed when the day is sealed, `ssmd verify` would find nothing wrong with it, and the bucket has the same
ledger and manifest, by the server's checksums, and the same lines, which are read back. Ledger, manifest and a note
that names the bucket stay here, so every command knows that the day is not lost; `ssmd cat s3://...` reads it. This
includes all shards of the feed, and its kept listings. Today is never touched, nor a day that another process works on,
nor one that the relay of a `transport` has not shipped yet.

A line is printed for each day. The command may be killed at any time and run again. The exit code is 65 when a day is
not what was sealed; when the bucket cannot be asked, it is 69, 77 or 78, and no further day is looked at.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ssmd.bucket import open_bucket
from ssmd.commands.bucket_copy import BucketCopy
from ssmd.commands.jobs.in_order import day_tasks, in_order, print_in_order
from ssmd.commands.jobs.outlet import Outlet
from ssmd.commands.shipment import keys_of, shipment_of
from ssmd.errors import ConfigError, EngineError, SsmdError
from ssmd.proof.prune import Kept, Pruned, prunable, prune, remove_rests
from ssmd.shipping.shipment import Shipment
from ssmd.shipping.shipped import Shipped
from ssmd.store.layout import LISTING, DayFile
from ssmd.store.timestamps import day_of_ns

_S3 = "s3"


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    shipment = shipment_of(Path(arguments["--config-dir"]), arguments["<environment>"], _S3, with_bucket=True)
    config = shipment.config
    if config.keep_days is None:
        raise ConfigError(
            f"environment {shipment.environment}: storage.keep_days is not set, so local data stays for ever; set it "
            "to the number of days to keep"
        )
    with contextlib.suppress(OSError):
        os.nice(19)  # The collector beside it comes first.
    feeds = frozenset([shipment.feed, shipment.feed + LISTING])
    files = prunable(shipment.storage, feeds, day_of_ns(time.time_ns()), config.keep_days)
    if not arguments["--dry-run"]:
        for path in remove_rests(shipment.storage, feeds):
            print(f"{path}: removed; an earlier `ssmd prune` was killed meanwhile")
    bucket = open_bucket(config.address, **config.server, credentials=keys_of(shipment, environ))
    relayed = _relayed(Path(arguments["--config-dir"]), arguments["<environment>"])
    with contextlib.closing(bucket):
        work = partial(_prune, copy=BucketCopy(bucket), relayed=relayed, dry_run=arguments["--dry-run"])
        return print_in_order(in_order(work, day_tasks(files), 1))


def _relayed(config_dir: Path, environment: str) -> Shipment | None:
    """Return what the environment ships to the engine of its `transport`; None when it has none."""
    try:
        return shipment_of(config_dir, environment)
    except ConfigError:  # Whatever else is wrong was found before.
        return None


def _waits(file: DayFile, relayed: Shipment | None) -> bool:
    """Return whether a relay has not shipped a day yet: it reads the data here."""
    if relayed is None or file.feed != relayed.feed:
        return False
    start: str = relayed.config.start
    shipped = Shipped(relayed.storage, file.stem, relayed.engine)
    # A relay that has shipped nothing so far, because the engine cannot be reached, begins where it began at first.
    position = shipped.position() or shipped.beginning(start)
    if position is not None:
        return position.day <= file.day
    if shipped.read() is not None:  # It is there, and cannot be read: a power failure may have emptied it.
        return True
    return start == "oldest" or (start[0].isdigit() and file.day >= start)


def _prune(
    file: DayFile, outlet: Outlet, *, copy: BucketCopy, relayed: Shipment | None, dry_run: bool
) -> tuple[str, int]:
    """Return what to print about a day, and the exit code."""
    if relayed is not None and _waits(file, relayed):
        return f"{file.path}: is not shipped to {relayed.engine} yet; left as it is", 0
    try:
        outcome = prune(file, copy, time.time_ns(), dry_run=dry_run, progress=outlet.progress)
    except EngineError:
        raise  # No other day would fare better.
    except SsmdError as error:
        return f"ssmd: {error}", error.exit_code
    return f"{file.path}: {_text(outcome, copy, dry_run)}", 0


def _text(outcome: Pruned | Kept, copy: BucketCopy, dry_run: bool) -> str:
    if isinstance(outcome, Kept):
        return f"{outcome.why}; left as it is"
    return f"{'would be removed' if dry_run else 'removed'}, {outcome.bytes:,} bytes; {copy.name} has it"
