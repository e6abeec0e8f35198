"""The last whole line of a data file."""

import tracemalloc

from ssmd.store.last_line import LastLine, last_received
from ssmd.store.timestamps import parse_timestamp

TIME = "2025-12-22T10:30:00.123456Z"
NS = parse_timestamp(TIME)


def line(data: str = "{}", time: str = TIME) -> bytes:
    return f'{{"ts":"{time}","feed":"kalshi","data":{data}}}\n'.encode()


def test_the_time_and_the_end_of_the_last_whole_line(tmp_path):
    path = tmp_path / "kalshi.jsonl"
    earlier = line(time="2025-12-22T10:29:59.000000Z")
    path.write_bytes(earlier + line())
    assert last_received(path) == LastLine(NS, len(earlier + line()))
    path.write_bytes(earlier + line() + line()[:40])  # A kill has left a part of a third one.
    assert last_received(path) == LastLine(NS, len(earlier + line()))


def test_a_line_longer_than_what_is_read_at_first(tmp_path):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(line() + line(f'"{"x" * 3_000_000}"'))
    assert last_received(path) == LastLine(NS, path.stat().st_size)


def test_a_long_line_is_not_held_in_memory(tmp_path):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(line() + line(f'"{"x" * 3_000_000}"'))
    tracemalloc.start()
    try:
        assert last_received(path) == LastLine(NS, path.stat().st_size)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_is_longer_than_the_longest_line_is_not_read_to_its_beginning(tmp_path):
    """A power failure can leave a hole of zeros, in which no line ends."""
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(line() + bytes(1_000_000))
    assert last_received(path) == LastLine(NS, len(line()))
    assert last_received(path, longest=999_999) is None
    path.write_bytes(line() + line(f'"{"x" * 1_000_000}"') + b"torn")
    assert last_received(path) == LastLine(NS, path.stat().st_size - 4)
    assert last_received(path, longest=999_999) is None


def test_nothing_to_find(tmp_path):
    path = tmp_path / "kalshi.jsonl"
    assert last_received(path) is None
    for content in (b"", line()[:-1], b"no line of ours\n"):
        path.write_bytes(content)
        assert last_received(path) is None
