"""Following a feed's files while they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import make_day

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Block, Position
from ssmd.errors import EngineMismatch
from ssmd.exchange.readers import reader_of
from ssmd.reading.follow import Follower
from ssmd.store.timestamps import day_begins

DAY, NEXT = "2025-12-22", "2025-12-23"
MOST = 1 << 20


def follower(storage: Path, shard: Shard = WHOLE, day: str = DAY) -> Follower:
    return Follower(storage, "kalshi", shard, reader_of, lambda: day_begins(day))


def everything(one: Follower, most_lines: int = 1000, most_bytes: int = MOST) -> list[Block]:
    blocks = []
    while (block := one.read(most_lines, most_bytes)) is not None:
        blocks.append(block)
    return blocks


def lines_of(blocks: list[Block]) -> bytes:
    return b"".join(b"".join(block.lines) for block in blocks)


def test_all_days_are_handed_out_in_blocks_that_follow_each_other(tmp_path):
    first, second = make_day(tmp_path, DAY), make_day(tmp_path, NEXT)
    one = follower(tmp_path)
    assert one.begin(None, "oldest") == Position("kalshi", "", DAY, 0, 0)
    blocks = everything(one)
    assert lines_of(blocks) == first.read_bytes() + second.read_bytes()
    end = blocks[0].start
    for block in blocks:
        assert block.start == (end if block.start.day == end.day else Position("kalshi", "", NEXT, 0, 0))
        assert block.end.line - block.start.line == len(block.lines) <= 1000
        end = block.end
    assert one.lag() == (0, 0.0)


def test_every_block_ends_where_the_next_session_begins(tmp_path):
    make_day(tmp_path, DAY, connected=((0, 3600, "disconnected"), (3700, 7200, "killed"), (8000, 9000, "stopped")))
    one = follower(tmp_path)
    one.begin(None)
    blocks = everything(one)
    sessions = [f"{DAY}T00:00:00.000000Z", f"{DAY}T01:01:40.000000Z", f"{DAY}T02:13:20.000000Z"]
    assert [block.session for block in blocks] == sessions
    assert {block.exchange for block in blocks} == {"kalshi"}
    assert blocks[0].found[0] == ("orderbook_delta", "KX-1")
    assert blocks[0].payloads[0].startswith(b'{"type":"orderbook_delta","sid":1,"seq":1,')


@pytest.mark.parametrize("most_lines", [1, 7, 1000])
def test_it_goes_on_from_each_position_that_it_returned(tmp_path, most_lines):
    path = make_day(tmp_path, DAY, per_hour=2)
    one = follower(tmp_path)
    one.begin(None)
    lines, end = b"", None
    while (block := one.read(most_lines, MOST)) is not None:
        lines += b"".join(block.lines)
        end = block.end
        one.begin(end)
    assert lines == path.read_bytes()


@pytest.mark.parametrize(
    ("offset", "line", "reason"),
    [
        (5, 0, "no line ends at byte 5, where the engine's copy ends"),
        (10**9, 1, "no line ends at byte 1,000,000,000, where"),
        (None, 3, "lines before byte .*, where the engine's copy ends after 3; it was made of another file"),
    ],
)
def test_a_position_that_is_not_in_the_file_is_refused(tmp_path, offset, line, reason):
    path = make_day(tmp_path, DAY)
    at = Position("kalshi", "", DAY, path.stat().st_size if offset is None else offset, line)
    with pytest.raises(EngineMismatch, match=f"{path}: .*{reason}"):
        follower(tmp_path).begin(at)


def test_the_position_of_another_feed_is_refused(tmp_path):
    make_day(tmp_path, DAY)
    with pytest.raises(EngineMismatch, match="a position of feed kalshi shard 1of2, and kalshi is to be"):
        follower(tmp_path).begin(Position("kalshi", "1of2", DAY, 0, 0))
