"""Recorded days made for a test: data and ledger as a collector leaves them, sealed on request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.proof.seal import seal
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile, data_path, ledger_path
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

DAY = 86_400
KALSHI = {"version": "9.9", "exchange": "kalshi"}
GENERIC = {"version": "9.9", "exchange": "generic"}
"""The fields of a `started` or `continued`."""
GAPS_DAY = "2025-12-22"
"""The day that write_gaps() writes."""
Happened = Sequence[tuple[float, bytes] | tuple[float, str, dict]]
"""What write_day() takes."""
TYPES = ("orderbook_delta",) * 17 + ("ticker", "ticker", "trade")


def make_day(
    storage: Path,
    day: str,
    *,
    feed: str = "kalshi",
    shard: Shard = WHOLE,
    connected: Sequence[tuple[float, float, str]] = ((0, DAY, "stopped"),),
    per_hour: int = 100,
    lost_after: int = 0,
    sealed: bool = True,
) -> Path:
    """Write a day and return its data file.

    `connected`: from and to which second of the day a connection was open, and how it ended: `stopped`, `disconnected`,
    or `killed`, which leaves no entry. `per_hour`: the mean number of messages in an hour; there are more by day than
    by night. After `lost_after` messages three numbers are missing.
    """
    folder = storage / day
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LineEncoder(feed)
    lines: list[bytes] = []
    entries: list[Entry] = []
    size = seq = 0
    midnight = day_begins(day)

    def note(event: str, second: float, **fields: object) -> None:
        entries.append(Entry(midnight + int(second * 1e9), event, size, len(lines), fields))

    for start, end, cause in connected:
        begun, begun_bytes, second, seq = len(lines), size, float(start), 0
        note("started", start, version="0.1.0", exchange="kalshi", **({"shard": shard.label} if shard.label else {}))
        note("connected", start)
        while True:
            second += 3600 / per_hour / (1 + 0.7 * math.sin((second / DAY - 0.35) * 2 * math.pi))
            if second >= end:
                break
            seq += 1
            if lost_after and len(lines) == lost_after:
                note("gap", second, sid=1, expected=seq, got=seq + 3, missing=3)
                seq += 3
            kind = TYPES[len(lines) % len(TYPES)]
            message = (
                b'{"type":"%b","sid":1,"seq":%d,"msg":{"market_ticker":"KX-%d","yes_price_dollars":"0.%02d00","count_fp":"%d.00"}}'
                % (kind.encode(), seq, seq % 9, 40 + seq % 7, 1 + seq % 5)
            )
            lines.append(encoder.encode(midnight + int(second * 1e6) * 1000, [message]))
            size += len(lines[-1])
        if cause == "killed":
            continue
        if cause == "disconnected":
            note("disconnected", end, code=1001, reason="going away")
        note("stopped", end, reason=cause, lines=len(lines) - begun, bytes=size - begun_bytes)
    path = data_path(folder, shard.stem(feed))
    path.write_bytes(b"".join(lines))
    ledger_path(folder, shard.stem(feed)).write_bytes(b"".join(map(encode_entry, entries)))
    if sealed:
        [file] = data_files([path])
        assert seal(file, midnight + 2 * DAY * 10**9) is not None
    return path


def trade(seq: int, sid: int = 1) -> bytes:
    """Return a message with a number."""
    return b'{"type":"trade","sid":%d,"seq":%d,"msg":{}}' % (sid, seq)


def gap(second: float, expected: int, got: int, sid: int = 1) -> tuple[float, str, dict]:
    """Return an entry for write_day()."""
    return second, "gap", {"sid": sid, "expected": expected, "got": got, "missing": max(0, got - expected)}


def fail(trouble: object) -> NoReturn:
    """Take what a test does not expect to be called with."""
    pytest.fail(str(trouble))


def write_day(
    storage: Path,
    day: str,
    *happened: tuple[float, bytes] | tuple[float, str, dict],
    feed: str = "kalshi",
    sealed: bool = True,
) -> Path:
    """Write a day of messages and ledger entries, each after its second of the day; return its data file.

    An entry is its event and its fields. `stopped` and `rotated` get the totals of all the day's lines.
    """
    folder = storage / day
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LineEncoder(feed)
    lines: list[bytes] = []
    entries: list[bytes] = []
    size = 0
    for second, what, *fields in happened:
        ns = day_begins(day) + int(second * 1e9)
        if isinstance(what, bytes):
            lines.append(encoder.encode(ns, [what]))
            size += len(lines[-1])
            continue
        totals = {"lines": len(lines), "bytes": size} if what in ("stopped", "rotated") else {}
        entries.append(encode_entry(Entry(ns, what, size, len(lines), {**fields[0], **totals})))
    path = data_path(folder, feed)
    path.write_bytes(b"".join(lines))
    ledger_path(folder, feed).write_bytes(b"".join(entries))
    if sealed:
        [file] = data_files([path])
        assert seal(file, day_begins(day)) is not None
    return path


def over_midnight(storage: Path, *second_day: tuple, sealed: bool = True) -> Path:
    """Write two days of one connection, the 20th with number 1 of sid 1, and the 21st with what is given."""
    rotated = (86400, "rotated", {"to": "2026-09-21"})
    write_day(
        storage, "2026-09-20", (0, "started", KALSHI), (0, "connected", {}), (5, trade(1)), rotated, sealed=sealed
    )
    return write_day(
        storage, "2026-09-21", (0.1, "continued", {"from": "2026-09-20", **KALSHI}), *second_day, sealed=sealed
    )


def the_entry(_: int, entry: Entry) -> list[bytes]:
    """Return the ledger's line of an entry, for write_gaps()."""
    return [encode_entry(entry)]


def write_gaps(
    storage: Path, count: int, *, step: int = 2, entries: Callable[[int, Entry], Iterable[bytes]] = the_entry
) -> DayFile:
    """Write a day of `count` messages, each but the first with a number `step` after the one before.

    `entries`: returns the ledger's lines before a message, from its place and the entry that a step of 2 would have.
    """
    folder = storage / GAPS_DAY
    folder.mkdir(parents=True)
    encoder = LineEncoder("kalshi")
    begin, size = day_begins(GAPS_DAY), 0
    ledger = [
        encode_entry(Entry(begin, "started", 0, 0, KALSHI)),
        encode_entry(Entry(begin, "connected", 0, 0, {})),
    ]
    with open(folder / "kalshi.jsonl", "wb") as data:
        for place in range(count):
            ns = begin + place * 1_000_000
            if place:
                _, event, fields = gap(0, 2 * place, 2 * place + 1)
                ledger += entries(place, Entry(ns, event, size, place, fields))
            line = encoder.encode(ns, [trade(1 + step * place)])
            size += data.write(line)
    fields = {"reason": "SIGTERM", "lines": count, "bytes": size}
    ledger.append(encode_entry(Entry(begin + (DAY - 1) * 10**9, "stopped", size, count, fields)))
    (folder / "kalshi.ledger.jsonl").write_bytes(b"".join(ledger))
    [file] = data_files([storage])
    return file
