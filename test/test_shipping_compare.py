"""An engine's copy is held against what is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import make_day

from ssmd.contracts.shard import WHOLE
from ssmd.contracts.sink import Block, Copied, Position
from ssmd.exchange.readers import reader_of
from ssmd.reading.follow import Follower
from ssmd.shipping import compare as module
from ssmd.shipping.compare import compare
from ssmd.shipping.differences import CHANGED, DOUBLED, FOREIGN, KINDS, MISNAMED, MISSING, MOVED, Compared
from ssmd.store.line import decode_line

DAY, NEXT = "2025-12-22", "2025-12-23"


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day in (DAY, NEXT):
        make_day(tmp_path, day, per_hour=1, sealed=False)
    return tmp_path


@pytest.fixture(params=[True, False], ids=["by number", "by content"])
def numbers(request, monkeypatch) -> bool:
    monkeypatch.setattr(module, "SYNC_SECONDS", 0)
    return request.param


def copy_of(storage: Path) -> list[Copied]:
    copies: list[Copied] = []
    for day in (DAY, NEXT):
        for number, line in enumerate((storage / day / "kalshi.jsonl").read_bytes().splitlines(True), 1):
            payload = decode_line(line).payload
            market = json.loads(payload)["msg"]["market_ticker"]
            copies.append(Copied(f"place {len(copies)}", day, number, line[7:34].decode(), payload, f"market {market}"))
    return copies


def held(
    storage: Path, copies: Iterable[Copied], numbers: bool, until: Position | None = None, oldest: str = DAY
) -> Compared:
    with closing(Follower(storage, "kalshi", WHOLE, reader_of)) as follower:
        return compare(follower, copies, names, until, oldest, numbers=numbers)


def names(block: Block) -> list[str]:
    return [f"market {market}" for _, market in block.found]


def found(result: Compared) -> list[tuple]:
    """Return the differences; their counts must fit them."""
    counts = dict.fromkeys(result.counts, 0)
    for one in result.differences:
        counts[one.kind] += one.last - one.line + 1
    assert counts == result.counts
    assert result.is_ok == (not result.differences)
    return [(one.kind, one.day, one.line, one.last, one.where) for one in result.differences]


def renumbered(copies: list[Copied]) -> list[Copied]:
    """Give the messages the numbers that an engine counts which has none: those of their places."""
    counts = dict.fromkeys((DAY, NEXT), 0)
    done = []
    for copy in copies:
        counts[copy.day] += 1
        done.append(copy._replace(line=counts[copy.day]))
    return done


def test_a_true_copy_is_ok(storage, numbers):
    copies = copy_of(storage)
    result = held(storage, copies, numbers)
    assert found(result) == []
    assert result.messages == len(copies) == 46
    assert (result.first, result.last) == ((DAY, 1), (NEXT, 23))


def test_each_kind_of_difference_is_found_with_its_line_and_place(storage, numbers):
    copies = copy_of(storage)
    planted = [
        *copies[:3],
        *copies[4:10],
        copies[8]._replace(where="again"),
        copies[10],
        copies[11]._replace(payload=b"{}"),
        copies[13],
        copies[12],
        *copies[14:20],
        copies[20]._replace(ts="2025-12-22T00:00:00.000000Z"),
        *copies[23:],
    ]
    assert found(held(storage, planted if numbers else renumbered(planted), numbers)) == [
        (MISSING, DAY, 4, 4, ""),
        (DOUBLED, DAY, 9, 9, "again"),
        (CHANGED, DAY, 12, 12, "place 11"),
        (MOVED, DAY, 13, 13, "place 12"),
        (CHANGED, DAY, 21, 21, "place 20"),
        (MISSING, DAY, 22, 23, ""),
    ]


@pytest.mark.parametrize("place", [0, 5, 22, 23, 45])
def test_one_missing_or_moved_message_is_found_at_each_place(storage, numbers, place):
    copies = copy_of(storage)
    lost = copies[place]
    rest = [copy for copy in copies if copy is not lost]
    until = Position("kalshi", "", NEXT, 0, 23)
    expected = [(MISSING, lost.day, lost.line, lost.line, "")]
    if place == 0 and numbers:
        expected = []  # The copy may begin anywhere.
    assert found(held(storage, rest if numbers else renumbered(rest), numbers, until)) == expected
    moved = [*rest, lost]
    assert found(held(storage, moved if numbers else renumbered(moved), numbers, until)) == [
        (MOVED, lost.day, lost.line, lost.line, lost.where)
    ][: place != 45]


def test_what_is_not_recorded_is_found(storage, numbers):
    copies = copy_of(storage)
    foreign = Copied("foreign", DAY, 24, "2025-12-22T01:00:00.000000Z", b"{}")
    planted = [*copies[:23], foreign, *copies[23:], foreign._replace(day=NEXT, where="behind all")]
    assert found(held(storage, planted, numbers)) == [
        (FOREIGN, DAY if numbers else NEXT, 24 if numbers else 1, 24 if numbers else 1, "foreign"),
        (FOREIGN, NEXT, 24, 24, "behind all"),
    ]


def test_a_message_under_another_name_is_found(storage):
    copies = copy_of(storage)
    copies[5] = copies[5]._replace(name="market OTHER")
    where = f"place 5: market OTHER, and not {copy_of(storage)[5].name}"
    assert found(held(storage, copies, True)) == [(MISNAMED, DAY, 6, 6, where)]


def test_a_copy_may_begin_anywhere_and_end_before_the_files_do(storage, numbers):
    copies = copy_of(storage)[7:40]
    result = held(storage, copies, numbers)
    assert found(result) == []
    assert (result.first, result.last, result.rest) == ((DAY, 8), (NEXT, 17), (NEXT, 18))


def test_what_the_engine_acknowledged_is_missing_at_the_end(storage, numbers):
    result = held(storage, copy_of(storage)[:20], numbers, Position("kalshi", "", NEXT, 0, 2))
    assert found(result) == [(MISSING, DAY, 21, 23, ""), (MISSING, NEXT, 1, 2, "")]
    assert result.rest == (NEXT, 3)


def test_days_that_are_no_longer_here_are_not_compared(storage, numbers):
    copies = copy_of(storage)
    (storage / DAY / "kalshi.jsonl").unlink()
    result = held(storage, copies, numbers, oldest=NEXT)
    assert found(result) == []
    assert (result.messages, result.older, result.first) == (46, 23, (NEXT, 1))


def test_a_line_that_ssmd_did_not_write_is_not_expected(storage, numbers):
    copies = copy_of(storage)
    path = storage / DAY / "kalshi.jsonl"
    lines = path.read_bytes().splitlines(True)
    lines[4] = b"garbage\n"
    path.write_bytes(b"".join(lines))
    without = copies[:4] + copies[5:]
    assert found(held(storage, without if numbers else renumbered(without), numbers)) == []
    if numbers:
        assert found(held(storage, copies, numbers)) == [(FOREIGN, DAY, 5, 5, "place 4")]


@pytest.mark.parametrize("window", [1, 4, 10_000])
def test_it_does_not_wait_for_what_a_collector_still_writes(storage, numbers, monkeypatch, window):
    """Each time that it waits, there is more."""
    path = storage / NEXT / "kalshi.jsonl"
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join(lines[:-20]))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        with open(path, "ab") as file:
            file.write(lines[len(waits) - 20])
        waits.append(seconds)
        assert len(waits) < 20

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("ssmd.reading.follow.SYNC_SECONDS", 0)
    monkeypatch.setattr(module._ByContent, "window", window)
    copies = copy_of(storage)
    changed = copies[5]._replace(payload=b"{}")
    result = held(storage, [*copies[:5], changed, *copies[6:]], numbers)
    assert found(result) == [(CHANGED, DAY, 6, 6, "place 5")]
    assert len(waits) <= 2


def test_it_says_how_much_is_left(storage, numbers):
    left: list[int] = []
    with closing(Follower(storage, "kalshi", WHOLE, reader_of)) as follower:
        compare(follower, copy_of(storage), names, None, DAY, numbers=numbers, progress=left.append)
    sizes = [(storage / day / "kalshi.jsonl").stat().st_size for day in (DAY, NEXT)]
    assert left == [sizes[1], 0]


def test_an_empty_copy_has_nothing_to_compare(storage, numbers):
    assert held(storage, [], numbers) == Compared()


@given(data=st.data())
def test_any_loss_and_repetition_is_counted(tmp_path_factory, data):
    storage = tmp_path_factory.mktemp("storage")
    for day in (DAY, NEXT):
        make_day(storage, day, per_hour=1, sealed=False)
    copies = copy_of(storage)
    lost = data.draw(st.sets(st.integers(1, len(copies) - 2)))
    twice = data.draw(st.sets(st.integers(1, len(copies) - 2))) - lost
    planted = []
    for place, copy in enumerate(copies):
        planted += [copy] * ((place not in lost) + (place in twice))
    for numbers in (True, False):
        result = held(storage, planted if numbers else renumbered(planted), numbers)
        assert result.counts == dict.fromkeys(KINDS, 0) | {MISSING: len(lost), DOUBLED: len(twice)}
