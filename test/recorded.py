"""Recorded days made for a test: data and ledger as a collector leaves them, sealed on request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ssmd.proof.seal import seal
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

DAY = 86_400
TYPES = ("orderbook_delta",) * 17 + ("ticker", "ticker", "trade")


def make_day(
    storage: Path,
    day: str,
    *,
    feed: str = "kalshi",
    connected: Sequence[tuple[int, int, str]] = ((0, DAY, "stopped"),),
    per_hour: int = 100,
    lost_after: int = 0,
    sealed: bool = True,
) -> Path:
    """Write the day and return its data file.

    `connected`: from and to which second of the day somebody listened, and how it ended: `stopped`,
    `disconnected`, or `killed`, which leaves no entry. `per_hour`: messages in a usual hour; by day there are more
    and by night fewer. After `lost_after` messages three numbers are missing.
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
        note("started", start, version="0.1.0", exchange="kalshi")
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
    path = folder / f"{feed}.jsonl"
    path.write_bytes(b"".join(lines))
    (folder / f"{feed}.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    if sealed:
        [file] = data_files([path])
        assert seal(file, midnight + 2 * DAY * 10**9) is not None
    return path
