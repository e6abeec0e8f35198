"""The work of `ssmd verify --engine`: compares an engine's copy with what is recorded, and prints the result."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssmd.commands.jobs.display import display
from ssmd.commands.jobs.outlet import Task
from ssmd.commands.shard import read_shard
from ssmd.commands.shipment import keys_of, shipment_of, transport_of
from ssmd.contracts.shard import Shard
from ssmd.errors import DataError, UsageError, printable
from ssmd.exchange.readers import reader_of
from ssmd.reading.follow import Follower
from ssmd.reports.text import print_whole
from ssmd.shipping.compare import compare
from ssmd.shipping.differences import (
    CHANGED,
    DOUBLED,
    FOREIGN,
    KINDS,
    MISNAMED,
    MISSING,
    MOVED,
    Compared,
    Difference,
    Key,
)
from ssmd.shipping.shards import Shards
from ssmd.shipping.shipment import Shipment
from ssmd.shipping.shipped import Shipped
from ssmd.shipping.transport import EngineTransport
from ssmd.store.inventory import data_files
from ssmd.store.layout import data_path

__all__ = ["verify_copy"]

_WIDE = 160
"""Columns for a file or a pipe, where nothing has to be cut off."""
_MOST_NAMED = 100

_TEXTS = {
    MISSING: "is not in the engine",
    DOUBLED: "is in the engine again, at {}",
    CHANGED: "is not the same in the engine, at {}",
    MISNAMED: "is in the engine under another name, at {}",
    MOVED: "is out of order in the engine, at {}",
    FOREIGN: "is not recorded, but in the engine, at {}",
}


class _Result(NamedTuple):
    """The comparison of one shard."""

    stem: str
    compared: Compared
    wrong: tuple[str, ...]
    """The kinds of differences that there must not be."""
    lost: str | None
    """Up to where the engine had it all, when it has nothing now."""
    oldest: str

    @property
    def is_ok(self) -> bool:
        return self.lost is None and not any(self.compared.counts[kind] for kind in self.wrong)


def verify_copy(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Compare what the options name; return the exit code."""
    text = arguments["--shard"]
    shard = None if text is None else read_shard(text)
    config_dir = arguments["--config-dir"]
    shipment = shipment_of(Path(config_dir), arguments["--engine"])
    transport = transport_of(shipment, config_dir)
    keys = keys_of(shipment, environ)
    shards = [one for one in Shards(shipment.storage, shipment.feed).look() if shard in (None, one)]
    if not shards:
        of = f" of shard {shard}" if shard is not None else ""
        raise UsageError(f"{shipment.storage}: no data of feed {shipment.feed}{of} here to compare with")
    results = [_compared(shipment, transport, keys, one) for one in shards]
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = _WIDE
    print_whole(_table(results), out)
    for result in results:
        for line in _lines(result, shipment.storage):
            out.print(Text(line), soft_wrap=True)
    return 0 if all(result.is_ok for result in results) else DataError.exit_code


def _compared(shipment: Shipment, transport: EngineTransport, keys: Mapping[str, str], shard: Shard) -> _Result:
    stem = shard.stem(shipment.feed)
    # What is acknowledged while the copy is read need not be in what was read.
    shipped = Shipped(shipment.storage, stem, shipment.engine)
    until, had = shipped.position(), shipped.read()
    oldest = data_files([shipment.storage], shipment.feed, shard)[0].day
    follower = Follower(shipment.storage, shipment.feed, shard, reader_of)
    follower.begin(None, oldest)
    total = follower.lag()[0]
    with (
        closing(transport.open(shipment.feed, shard, keys)) as sink,
        closing(follower),
        display([Task(shard, stem, total)]) as show,
    ):
        progress = (lambda left: show(0, max(0, total - left))) if show is not None else (lambda left: None)
        numbers = sink.traits.numbers
        compared = compare(follower, sink.copies(), sink.names, until, oldest, numbers=numbers, progress=progress)
        wrong = tuple(kind for kind in KINDS if kind != DOUBLED or sink.traits.exactly_once)
    return _Result(stem, compared, wrong, had if not compared.messages else None, oldest)


def _table(results: list[_Result]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("feed", "from", "to", "messages", *KINDS, "verdict"):
        table.add_column(name, justify="left" if name in ("feed", "from", "to", "verdict") else "right", no_wrap=True)
    for result in results:
        compared = result.compared
        ok = "ok" if compared.messages else "nothing shipped"
        state = Text(ok, "green") if result.is_ok else Text("WRONG", "red")
        numbers = [f"{compared.messages:,}", *(f"{compared.counts[kind]:,}" for kind in KINDS)]
        table.add_row(result.stem, _place(compared.first), _place(compared.last), *numbers, state)
    return table


def _place(key: Key | None) -> str:
    return "" if key is None else f"{key[0]}, line {key[1]:,}"


def _lines(result: _Result, storage: Path) -> list[str]:
    """Return what there is to say about a comparison, one sentence a line."""
    compared = result.compared
    named = compared.differences[:_MOST_NAMED]
    lines = [_sentence(one, data_path(storage / one.day, result.stem)) for one in named]
    more = sum(compared.counts.values()) - sum(one.last - one.line + 1 for one in named)
    if more:
        lines.append(f"{result.stem}: {more:,} more messages are not as they should be")
    if result.lost is not None:
        lines.append(f"{result.stem}: the engine has nothing of it, although its copy ended at {result.lost}")
    if compared.rest is not None:
        lines.append(f"note: {result.stem}: what is recorded from {_place(compared.rest)} on is not shipped yet")
    if compared.older:
        lines.append(
            f"note: {result.stem}: {compared.older:,} messages of days before {result.oldest} were not compared: these "
            "days are no longer here"
        )
    return lines


def _sentence(one: Difference, path: Path) -> str:
    text = _TEXTS[one.kind].format(printable(one.where))
    if one.line == one.last:
        return f"{path}: line {one.line} {text}"
    return f"{path}: lines {one.line} to {one.last} {text.replace('is not', 'are not')}"
