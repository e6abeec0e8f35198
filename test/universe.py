"""How soon a run had the markets that the simulated Kalshi gave birth to, by what it has recorded.

    PYTHONPATH=test:. python test/universe.py <storage> --feed kalshi-local --births 10000 --faster 60 --series KXSIMBTC

The options about births, and the seed, are those of the simulator: which markets there were is calculated again from
them, so that a market of which nothing was recorded is missed too. Without --series it is about all born markets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ssmd.sim.births import BIRTHS, SECOND, Births
from ssmd.sim.universe import FIXED, Universe

DATA = ("orderbook_snapshot", "orderbook_delta", "trade")
"""The types of messages that come only of markets in a list."""


@dataclass
class Record:
    """When a market was born, and what there is of it; all times in Unix microseconds, None for never."""

    ticker: str
    born_us: int
    open_us: int
    close_us: int
    announced_us: int | None = None
    """When the life cycle message of its creation came."""
    listed_us: int | None = None
    """When it first was in a listing that was kept."""
    subscribed_us: int | None = None
    """When its first message came; that of a book comes at once, also before the opening."""
    data_us: int | None = None
    """When its first message came while it was open."""

    @property
    def known_us(self) -> int | None:
        """When it could be known."""
        return min((each for each in (self.announced_us, self.listed_us) if each is not None), default=None)


class Recorded(NamedTuple):
    """What a run has recorded."""

    records: list[Record]
    first_us: int
    """When its first line came."""
    last_us: int


def lines_of(storage: Path, pattern: str) -> Iterator[tuple[int, Any]]:
    """Yield the time and the message of each line of the files with such names, file by file."""
    for path in sorted(storage.glob(f"*/{pattern}")):
        if path.name.endswith(".ledger.jsonl"):
            continue
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    document = json.loads(line)
                    yield _microseconds(document["ts"]), document["data"]


def read(storage: Path, feed: str, seed: int, births: Births, series: Sequence[str] = ()) -> Recorded:
    """Return what a run recorded of each market that was not closed yet when the first line came, and of each that was
    born before the last line. Raises ValueError when nothing was recorded.
    """
    lines = [*lines_of(storage, f"{feed}.jsonl"), *lines_of(storage, f"{feed}+*.jsonl")]
    times = [at_us for at_us, _ in lines]
    first_us, last_us = min(times), max(times)
    records = _born(seed, births, first_us, last_us, series)
    for at_us, message in lines:
        if isinstance(message, dict) and isinstance(message.get("msg"), dict):
            _take(records, at_us, message["type"], message["msg"])
    for at_us, page in lines_of(storage, f"{feed}.listing*.jsonl"):
        for row in page.get("markets", ()) if isinstance(page, dict) else ():
            if (record := records.get(row["ticker"])) is not None:
                record.listed_us = min(at_us, record.listed_us or at_us)
    return Recorded(list(records.values()), first_us, last_us)


def _take(records: dict[str, Record], at_us: int, kind: str, msg: dict[str, Any]) -> None:
    record = records.get(msg.get("market_ticker", ""))
    if record is None:
        return
    if msg.get("event_type") == "created":
        record.announced_us = min(at_us, record.announced_us or at_us)
    elif kind in DATA:
        record.subscribed_us = min(at_us, record.subscribed_us or at_us)
        if at_us >= record.open_us:
            record.data_us = min(at_us, record.data_us or at_us)


def _born(seed: int, births: Births, first_us: int, last_us: int, series: Sequence[str]) -> dict[str, Record]:
    """Return a record of each market, without anything recorded of it."""
    universe, found = Universe(seed, births, first_us), {}
    now_us = first_us
    while True:
        for market in universe.markets.values():
            is_wanted = not series or universe.events[market.event].family.ticker in series
            if is_wanted and market.ticker not in FIXED and market.close_ts * SECOND > first_us:
                open_us, close_us = market.open_ts * SECOND, market.close_ts * SECOND
                found[market.ticker] = Record(market.ticker, market.created_us, open_us, close_us)
        if now_us == last_us:
            return found
        # Often enough for each market to be seen before it is no longer listed.
        now_us = min(last_us, now_us + births.passing_us(600))
        universe.advance(now_us)


def summary(recorded: Recorded, spare_seconds: float = 5) -> dict[str, Any]:
    """Return the figures, without the markets that were born in the last `spare_seconds`, or closed in the first ones:
    there was no time for them.
    """
    spare_us = int(spare_seconds * SECOND)
    since_us, until_us = recorded.first_us + spare_us, recorded.last_us - spare_us
    counted = [record for record in recorded.records if record.born_us <= until_us and record.close_us >= since_us]
    new = [record for record in counted if record.born_us >= recorded.first_us]
    older = [record for record in counted if record.born_us < recorded.first_us]
    never = [record.ticker for record in counted if record.subscribed_us is None]
    return {
        "markets": len(counted),
        "born during the run": len(new),
        "of these known by the listing only": sum(r.announced_us is None and r.listed_us is not None for r in new),
        "never subscribed to": len(never),
        "for example": never[:5],
        "subscribed to after their opening": sum((r.subscribed_us or 0) > r.open_us for r in new),
        "opened, but without data": sum(r.data_us is None and r.open_us <= until_us for r in counted),
        "seconds from birth to known": _spread(new, "born_us", "known_us"),
        "seconds from known to subscribed": _spread(new, "known_us", "subscribed_us"),
        "seconds from birth to subscribed": _spread(new, "born_us", "subscribed_us"),
        "seconds from known to subscribed, of older ones": _spread(older, "known_us", "subscribed_us"),
    }


def _spread(records: Sequence[Record], begin: str, end: str) -> dict[str, float]:
    """Return how many seconds it took from one thing to another, where both happened."""
    pairs = [(getattr(record, begin), getattr(record, end)) for record in records]
    seconds = sorted((last - first) / SECOND for first, last in pairs if first is not None and last is not None)
    if not seconds:
        return {}
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(seconds[min(len(seconds) - 1, int(len(seconds) * share))], 3) for name, share in shares.items()}


def _microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * SECOND)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("storage", type=Path)
    parser.add_argument("--feed", required=True)
    parser.add_argument("--births", required=True)
    parser.add_argument("--open-after")
    parser.add_argument("--life")
    parser.add_argument("--faster")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--series", action="append", default=[])
    parser.add_argument("--spare", type=float, default=5, help="seconds at the start and the end without time")
    given = parser.parse_args()
    births = Births.parse({name: getattr(given, name.replace("-", "_")) for name in BIRTHS})
    recorded = read(given.storage, given.feed, given.seed, births, given.series)
    print(json.dumps(summary(recorded, given.spare), indent=2))


if __name__ == "__main__":
    main()
