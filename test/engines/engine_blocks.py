"""Blocks of a feed that is made up, for tests of sinks: each line says its number, so that nothing can be mixed up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssmd.contracts.sink import Block, Copied, Position, Sink

FEED = "kalshi"
DAY = "2026-11-28"
TS = "2026-11-28T10:30:00.123456Z"
MARKETS = 7
_HEAD = b'{"ts":"%b","feed":"kalshi","data":' % TS.encode()
_LINE_BYTES = 1000
"""Nominal: positions only need to grow."""


def payload(line: int, kind: str = "trade") -> bytes:
    """Return the message of a line, counted from 1."""
    return b'{"type":"%b","sid":1,"seq":%d,"msg":{"market_ticker":"%b"}}' % (kind.encode(), line, market(line).encode())


def market(line: int) -> str:
    return f"KXBTC-26NOV28-B{line % MARKETS}.5"


def position(line: int, day: str = DAY, shard: str = "", feed: str = FEED) -> Position:
    """Return the position behind a line."""
    return Position(feed, shard, day, line * _LINE_BYTES, line)


def block(
    done: int, count: int, kind: str = "trade", payloads: Sequence[bytes] = (), day: str = DAY, shard: str = ""
) -> Block:
    """Return the block of `count` lines behind the first `done`. `payloads` replace the usual messages."""
    numbers = range(done + 1, done + count + 1)
    messages = payloads or [payload(line, kind) for line in numbers]
    return Block(
        start=position(done, day, shard),
        end=position(done + count, day, shard),
        session="session-1",
        exchange="kalshi",
        lines=[_HEAD + message + b"}\n" for message in messages],
        payloads=messages,
        found=[(kind, market(line)) for line in numbers],
    )


def expected(count: int, day: str = DAY) -> list[tuple[str, int, str, bytes]]:
    """Return what shown() has of a copy with the first `count` lines."""
    return [(day, line, TS, payload(line)) for line in range(1, count + 1)]


def shown(copies: Iterable[Copied]) -> list[tuple[str, int, str, bytes]]:
    """Return all of the messages but where the engine has them, and under which names."""
    return [tuple(copied[1:5]) for copied in copies]  # type: ignore[misc]


def ship(sink: Sink, total: int, a_block: int, shard: str = "") -> None:
    """Ship what is still missing of the first `total` lines. resume() is called first, as by the relay."""
    done = sink.resume()
    line = 0 if done is None else done.line
    while line < total:
        count = min(a_block, total - line)
        sink.send(block(line, count, shard=shard))
        line += count
