"""Following a feed's files while they are written."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from recorded import KALSHI, make_day, write_day
from recorded_runs import HOUR, SECOND, Run, record_run

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Block, End, Position
from ssmd.errors import DataError, EngineMismatch, WriteError
from ssmd.exchange.readers import reader_of
from ssmd.proof.compact import compact
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.packer import Packer
from ssmd.proof.seal import seal
from ssmd.reading.follow import POLL_SECONDS, SYNC_SECONDS, Follower
from ssmd.reading.restored_days import MISSED
from ssmd.store.durable import remove
from ssmd.store.head import TS
from ssmd.store.inventory import bytes_on_disk, data_files
from ssmd.store.line import LineEncoder, decode_line
from ssmd.store.locks import held
from ssmd.store.restored import RestoredLines, note_restored
from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns, timestamp
from ssmd.tables.packer import ParquetPacker

DAY, NEXT = "2025-12-22", "2025-12-23"
MOST = 1 << 20
PACKERS: dict[str, Packer] = {"jsonl.zst": ZstPacker(1), "parquet": ParquetPacker()}


_made: list[Follower] = []


@pytest.fixture(autouse=True)
def _all_are_closed() -> Iterator[None]:
    yield
    while _made:
        _made.pop().close()


def follower(
    storage: Path, shard: Shard = WHOLE, day: str = DAY, clock: Callable[[], int] | None = None
) -> Follower:
    _made.append(Follower(storage, "kalshi", shard, reader_of, clock or (lambda: day_begins(day))))
    return _made[-1]


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


def test_many_days_are_handed_out_without_a_wait_between_them(tmp_path):
    days = [f"2025-12-{day}" for day in range(10, 20)]
    for day in days:
        put(tmp_path, day, line(1, day=day))
    one = begun(tmp_path, "oldest")
    assert [block.end.day for block in everything(one)] == days


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


class Recording:
    """A feed that is recorded by the real writer and followed at the same time, step by step."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.now = day_begins(DAY) + 10 * HOUR
        self.run: Run | None = None
        self.torn: Path | None = None
        self.session = ""
        self.lines: list[tuple[str, int, str, bytes]] = []
        """The day, the number, the session and the message of every line, as they were written."""
        self.got: list[tuple[str, int, str, bytes]] = []
        """The same of every line that was handed out."""
        self.position: Position | None = None
        self.follower = follower(storage, clock=lambda: self.now)
        self.follower.begin(None, DAY)

    def start(self, seconds: int) -> None:
        self.stop(kill=False)
        self.now += seconds * SECOND
        self.run, self.torn = Run(self.storage, self.now), None
        self.connect()

    def connect(self) -> None:
        self.now += SECOND
        assert self.run is not None
        self.run.note("connected", self.now)
        self.session = timestamp(self.now)

    def write(self, *messages: bytes) -> None:
        if self.run is None:
            self.start(0)
        for message in messages:
            assert self.run is not None
            day = day_of_ns(self.now)
            if day != self.run.path.parent.name:
                self.session = timestamp(self.now)
            before = sum(one[0] == day for one in self.lines)
            self.run.message(self.now, message)
            self.lines.append((day, before + 1, self.session, message))
            self.now += 1000

    def stop(self, kill: bool, tail: bytes = b"") -> None:
        if self.run is None:
            return
        path = self.run.path
        if not kill:
            self.run.note("stopped", self.now)
        self.run.kill()
        self.run = None
        if kill and tail:
            with open(path, "ab") as file:
                file.write(tail)

    def pack(self, form: str) -> None:
        """Seal and compress every day but the last."""
        for file in [file for file in data_files([self.storage]) if file.form == "jsonl"][:-1]:
            if seal(file, self.now + 3 * 86_400 * SECOND) is None:
                continue
            if form != "jsonl.gz":
                compact(file, PACKERS[form], dry_run=False, progress=lambda size: None)
            else:
                with gzip.open(f"{file.path}.gz", "wb") as packed:
                    packed.write(file.path.read_bytes())
                file.path.unlink()

    def read(self, blocks: int, most_lines: int = 3) -> None:
        for _ in range(blocks):
            block = self.follower.read(most_lines, MOST)
            if block is None:
                return
            assert block.start.line + len(block.lines) == block.end.line
            for number, (line, payload) in enumerate(zip(block.lines, block.payloads, strict=True), 1):
                assert decode_line(line).payload == payload
                self.got.append((block.start.day, block.start.line + number, block.session, payload))
            self.position = block.end

    def restart_follower(self) -> None:
        self.follower.close()
        self.follower = follower(self.storage, clock=lambda: self.now)
        self.follower.begin(self.position, DAY)


HEAD = b'{"ts":"2025-12-22T10:00:00.000000Z","feed":"kalshi","data":'
TAILS = st.sampled_from(
    [b"", HEAD[:1], HEAD, HEAD + b"{}", b"\0" * 90, b"\0" * 90 + b"\n", HEAD + b"\0\n" + HEAD + b"\0\n" + HEAD]
)
"""What a kill or a power failure may leave behind the last whole line."""
STEPS = st.one_of(
    st.tuples(st.just("write"), st.lists(st.sampled_from([b"{}", b"[1]", b"x\ny", b"\xff", b'{"type":"trade"}']))),
    st.tuples(st.just("write"), st.lists(st.just(b'{"type":"ticker","msg":{"market_ticker":"A"}}'), min_size=4)),
    st.tuples(st.just("connect")),
    st.tuples(st.just("kill"), TAILS),
    st.tuples(st.just("stop")),
    st.tuples(st.just("start"), st.sampled_from([1, 3600, 100_000])),
    st.tuples(st.just("midnight"), st.sampled_from([1, 2])),
    st.tuples(st.just("pack"), st.sampled_from(["jsonl.zst", "jsonl.gz", "parquet"])),
    st.tuples(st.just("read"), st.integers(1, 9)),
    st.tuples(st.just("restart follower")),
)


@settings(max_examples=150)
@given(steps=st.lists(STEPS, max_size=25))
def test_every_line_is_handed_out_once_and_in_order_whatever_happens_meanwhile(tmp_path_factory, at_once, steps):
    recording = Recording(tmp_path_factory.mktemp("storage"))
    try:
        for step, *arguments in steps:
            take(recording, step, *arguments)
    finally:
        recording.stop(kill=False)
    recording.read(10_000)
    assert recording.got == recording.lines
    assert recording.follower.lag() == (0, 0.0)
    recording.follower.close()


def take(recording: Recording, step: str, *arguments) -> None:
    match step:
        case "write":
            recording.write(*arguments[0])
        case "connect":
            if recording.run is not None:
                recording.connect()
        case "kill":
            recording.stop(True, arguments[0])
        case "stop":
            recording.stop(False)
        case "start":
            recording.start(arguments[0])
        case "midnight":
            recording.now = (recording.now // DAY_NS + arguments[0]) * DAY_NS + SECOND
        case "pack":
            recording.pack(arguments[0])
        case "read":
            recording.read(arguments[0])
        case "restart follower":
            recording.restart_follower()


@pytest.fixture
def at_once(monkeypatch):
    """Neither syncs nor looks for days wait for their time."""
    monkeypatch.setattr("ssmd.reading.follow.SYNC_SECONDS", 0)
    monkeypatch.setattr("ssmd.reading.days._LOOK_SECONDS", 0)


def put(storage: Path, day: str, *lines: bytes, feed: str = "kalshi") -> Path:
    """Append lines to a day, without a ledger."""
    path = storage / day / f"{feed}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with open(path, "ab") as file:
        file.writelines(lines)
    return path


def line(number: int, payload: bytes = b"{}", day: str = DAY) -> bytes:
    return LineEncoder("kalshi").encode(day_begins(day) + number * SECOND, [payload])


def begun(storage: Path, start: str = DAY, shard: Shard = WHOLE, day: str = DAY) -> Follower:
    one = follower(storage, shard, day)
    one.begin(None, start)
    return one


def test_only_what_is_synced_is_handed_out_and_syncs_keep_their_distance(tmp_path, monkeypatch):
    synced, now, size = [], 1000.0, 0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("os.fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    one = begun(tmp_path)
    for poll in range(200):
        put(tmp_path, DAY, line(poll))
        for block in everything(one):
            size = block.end.offset
            assert size <= synced[-1]
        now += POLL_SECONDS
    assert 35 <= len(synced) <= 41  # Two seconds, at 20 a second, and the first one.
    now += SYNC_SECONDS
    everything(one)
    assert len(synced) <= 42
    assert one.read(1, MOST) is None
    assert synced[-1] == 200 * len(line(0))


def test_where_nothing_can_be_synced_it_says_so_once(tmp_path, monkeypatch, caplog, at_once):
    def fdatasync(fd: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("os.fdatasync", fdatasync)
    one = begun(tmp_path)
    for number in range(3):
        path = put(tmp_path, DAY, line(number))
        assert len(everything(one)) == 1
    [record] = caplog.records
    assert record.getMessage() == "cannot sync, so lines are handed out that a power failure may take"
    assert (record.file, record.error) == (str(path), "Read-only file system")


def test_on_a_network_file_system_it_says_once_what_a_sync_does_not_promise(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("ssmd.reading.days.network_file_system", lambda path: "nfs4")
    for _ in range(2):
        begun(tmp_path)
    [record] = caplog.records
    assert record.getMessage().startswith("the storage is on a network file system: what another host writes there")
    assert (record.folder, record.file_system) == (str(tmp_path), "nfs4")


def test_a_sync_that_fails_ends_it(tmp_path, monkeypatch):
    def fdatasync(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fdatasync", fdatasync)
    path = put(tmp_path, DAY, line(1))
    with pytest.raises(WriteError, match=f"{path}: sync failed: Input/output error"):
        begun(tmp_path).read(1, MOST)


def test_a_feed_may_begin_later_and_a_day_without_data_is_passed_over(tmp_path, at_once):
    one = begun(tmp_path, "today")
    assert one.read(1, MOST) is None
    assert one.lag() == (0, 0.0)
    put(tmp_path, NEXT, line(1, day=NEXT))
    (tmp_path / "2025-12-24").mkdir()
    put(tmp_path, "2025-12-25", line(1, day="2025-12-25"))
    assert [block.start for block in everything(one)] == [
        Position("kalshi", "", NEXT, 0, 0),
        Position("kalshi", "", "2025-12-25", 0, 0),
    ]


def test_a_day_that_begins_now_is_found_without_listing_the_folder(tmp_path):
    now = day_begins(DAY)
    put(tmp_path, DAY, line(1))
    one = follower(tmp_path, clock=lambda: now)
    one.begin(None, DAY)
    assert len(everything(one)) == 1
    now += 24 * HOUR
    put(tmp_path, NEXT, line(1, day=NEXT))
    assert len(everything(one)) == 1


@pytest.mark.parametrize(("start", "day", "lines"), [("today", NEXT, 0), ("oldest", DAY, 0), ("now", NEXT, 2)])
def test_where_an_empty_engine_begins(tmp_path, start, day, lines):
    put(tmp_path, DAY, line(1))
    path = put(tmp_path, NEXT, line(1), line(2), b'{"ts":')
    position = follower(tmp_path, day=NEXT).begin(None, start)
    assert position == Position("kalshi", "", day, path.stat().st_size - 6 if lines else 0, lines)


def test_now_is_behind_a_day_that_is_compressed(tmp_path):
    path = make_day(tmp_path, DAY)
    size, lines = path.stat().st_size, path.read_bytes().count(b"\n")
    compact(data_files([path])[0], ZstPacker(1), dry_run=False, progress=lambda size: None)
    assert follower(tmp_path).begin(None, "now") == Position("kalshi", "", DAY, size, lines)


def test_each_shard_is_followed_by_itself(tmp_path):
    shards = [Shard(1, 2), Shard(2, 2)]
    paths = [make_day(tmp_path, DAY, shard=shard, per_hour=number + 1) for number, shard in enumerate(shards)]
    for path, shard in zip(paths, shards, strict=True):
        blocks = everything(begun(tmp_path, shard=shard))
        assert lines_of(blocks) == path.read_bytes()
        assert {block.end.shard for block in blocks} == {shard.label}
    assert everything(begun(tmp_path)) == []


def test_a_line_that_ssmd_did_not_write_is_left_out_and_logged(tmp_path, caplog):
    path = put(tmp_path, DAY, line(1), b"garbage\n", b"\0\n", line(2), line(3), b"more garbage\n")
    blocks = everything(begun(tmp_path))
    assert [(block.start.line, block.end.line) for block in blocks] == [(0, 1), (3, 5)]
    assert lines_of(blocks) == line(1) + line(2) + line(3)
    assert [(record.file, record.line) for record in caplog.records] == [(str(path), 2), (str(path), 3)]


@pytest.mark.parametrize("size", [100_000, 1_000_000, 9_000_000])
def test_a_long_line_is_handed_out_whole(tmp_path, at_once, size):
    one = begun(tmp_path)
    long = line(2, b'{"x":"%s"}' % (b"x" * size))
    path = put(tmp_path, DAY, line(1), long[:-1])
    assert lines_of(everything(one)) == line(1)
    put(tmp_path, DAY, b"\n", line(3))
    assert lines_of(everything(one, most_bytes=1000)) == long + line(3)
    assert path.read_bytes() == line(1) + long + line(3)


def test_blocks_keep_to_the_sizes_that_are_wanted(tmp_path):
    put(tmp_path, DAY, *(line(number, b'"%s"' % (b"x" * 98)) for number in range(100)))
    one = begun(tmp_path)
    assert len(one.read(7, MOST).lines) == 7
    assert len(one.read(1000, 799).lines) == 7
    assert len(one.read(1000, 800).lines) == 8
    assert len(one.read(1000, 10).lines) == 1
    assert sum(len(block.lines) for block in everything(one)) == 77


@pytest.mark.parametrize("most_lines", [1000, 4999, 20_000])
def test_blocks_are_as_large_as_they_may_be(tmp_path, most_lines):
    path = make_day(tmp_path, DAY, per_hour=900, sealed=False)
    recorded = path.read_bytes()
    count = recorded.count(b"\n")
    one = begun(tmp_path)
    blocks = everything(one, most_lines, 1 << 30)
    assert lines_of(blocks) == recorded
    assert {len(block.lines) for block in blocks[:-1]} == {most_lines}
    assert len(blocks) == -(-count // most_lines)


def test_a_file_that_was_cut_off_is_an_error(tmp_path):
    path = put(tmp_path, DAY, line(1), line(2))
    one = begun(tmp_path)
    assert len(everything(one)) == 1
    os.truncate(path, len(line(1)))
    with pytest.raises(DataError, match=f"{path}: has {len(line(1))} bytes, and {2 * len(line(1))} were there before"):
        one.read(1, MOST)


def test_another_file_in_its_place_is_refused(tmp_path):
    path = put(tmp_path, DAY, line(1), line(2))
    one = begun(tmp_path)
    assert len(everything(one)) == 1
    path.unlink()
    assert one.read(1, MOST) is None
    put(tmp_path, DAY, line(1))
    with pytest.raises(EngineMismatch, match=f"{path}: no line ends at byte {2 * len(line(1))}"):
        one.read(1, MOST)


@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
def test_a_day_that_is_unpacked_to_be_continued_goes_on(tmp_path, at_once, form):
    path = make_day(tmp_path, DAY)
    recorded = path.read_bytes()
    [file] = data_files([path])
    compact(file, PACKERS[form], dry_run=False, progress=lambda size: None)
    one = begun(tmp_path)
    assert lines_of(everything(one)) == recorded
    for size in (0, 10, len(recorded) // 2, len(recorded)):
        path.write_bytes(recorded[:size])
        assert one.read(1, MOST) is None
    remove(path.with_name(f"kalshi.{form}"))
    put(tmp_path, DAY, line(86_000))
    assert lines_of(everything(one)) == line(86_000)


def test_a_day_that_a_collector_still_writes_is_not_left(tmp_path, at_once):
    run = Run(tmp_path, day_begins(NEXT) + HOUR)  # Its clock is a day ahead.
    run.message(day_begins(NEXT) + HOUR, b"1")
    run.stop(day_begins(NEXT) + HOUR)
    run = Run(tmp_path, day_begins(DAY) + HOUR)
    run.message(day_begins(DAY) + HOUR, b"2")
    one = begun(tmp_path)
    assert [block.payloads for block in everything(one)] == [[b"2"]]
    assert one.lag()[0] == len(line(1, b"1"))
    run.message(day_begins(DAY) + 2 * HOUR, b"3")
    assert [block.payloads for block in everything(one)] == [[b"3"]]
    run.stop(day_begins(DAY) + 2 * HOUR)
    assert [block.payloads for block in everything(one)] == [[b"1"]]


def test_a_day_that_is_being_sealed_does_not_hold_up_the_next_one(tmp_path, at_once):
    path = put(tmp_path, DAY, line(1))
    run = Run(tmp_path, day_begins(NEXT))
    run.message(day_begins(NEXT), b"1")
    with held(path) as ours:
        assert ours
        assert len(everything(begun(tmp_path))) == 2
    run.kill()


def test_a_day_that_grows_after_a_later_one_was_begun_is_an_error(tmp_path, at_once):
    path = put(tmp_path, DAY, line(1), b'{"to')
    put(tmp_path, NEXT, line(1, day=NEXT))
    one = begun(tmp_path)
    assert len(everything(one)) == 2
    os.truncate(path, len(line(1)))
    assert one.read(1, MOST) is None
    put(tmp_path, DAY, line(2))
    with pytest.raises(DataError, match=f"{path}: has grown after a later day was begun, so the clock was set back"):
        one.read(1, MOST)


def test_of_many_such_lines_only_some_are_named(tmp_path, caplog):
    put(tmp_path, DAY, *[b"x\n"] * 14, line(1), b"x\n", line(2))
    put(tmp_path, NEXT, line(1, day=NEXT))
    assert len(everything(begun(tmp_path))) == 3
    assert [record.line for record in caplog.records] == list(range(1, 11))
    assert caplog.records[-1].getMessage() == "not a line of ssmd, left out; further ones of this day are not logged"


def test_an_outage_within_a_day_says_nothing_of_the_days_before(tmp_path):
    write_day(tmp_path, "2025-12-20", (0, "started", KALSHI), (0, "connected", {}), (1, b"{}"), sealed=False)
    outage = (9, "outage", {"from": "2025-12-21T00:00:08.000000Z", "cause": "killed"})
    again = (9, "started", KALSHI)
    started, connected = (0, "started", KALSHI), (0, "connected", dict[str, Any]())
    write_day(tmp_path, DAY, started, connected, (1, b"{}"), outage, again, (9, b"{}"), sealed=False)
    assert len(everything(begun(tmp_path, "2025-12-20"))) == 3


@pytest.mark.parametrize("left", ["ledger.jsonl", "manifest.json"])
def test_the_data_of_the_very_day_with_which_it_begins_may_not_be_gone(tmp_path, left):
    for day in (DAY, NEXT):
        make_day(tmp_path, day)
    for file in (tmp_path / DAY).iterdir():
        if not file.name.endswith(left):
            file.unlink()
    with pytest.raises(DataError, match=f"{tmp_path}/{DAY}/kalshi.jsonl: is missing, .*; kalshi.{left} describes it"):
        begun(tmp_path).read(1, MOST)


@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
@pytest.mark.parametrize("sealed", [True, False])
def test_lag_counts_the_lines_of_days_that_are_compressed(tmp_path, sealed, form):
    sizes = []
    for day in (DAY, NEXT):
        path = make_day(tmp_path, day)
        sizes.append(path.stat().st_size)
        compact(data_files([path])[0], PACKERS[form], dry_run=False, progress=lambda size: None)
        if not sealed:
            (path.parent / "kalshi.manifest.json").unlink()
            sizes[-1] = bytes_on_disk(path.with_name(f"kalshi.{form}"))
    one = begun(tmp_path)
    assert one.lag()[0] == sum(sizes)


@pytest.mark.parametrize("removed", [["2025-12-23"], ["2025-12-22", "2025-12-23"]])
@pytest.mark.parametrize("end", ["stopped", "killed", "disconnected", None])
def test_a_whole_day_that_was_removed_before_it_was_read_is_an_error(tmp_path, at_once, removed, end):
    begin = day_begins(DAY) + HOUR
    days = [begin, begin + 24 * HOUR, begin + 48 * HOUR]
    if end is None:
        record_run(tmp_path, begin, *days)
    else:
        for ns in days:
            record_run(tmp_path, ns, ns, end=end)
    one = begun(tmp_path)
    assert one.read(1, MOST) is not None
    for day in removed:
        shutil.rmtree(tmp_path / day)
    with pytest.raises(DataError, match=f"{tmp_path}/2025-12-23/kalshi.jsonl: is missing, although its lines were not"):
        everything(one)


@pytest.mark.parametrize("left", ["ledger.jsonl", "manifest.json"])
def test_a_day_of_which_only_the_data_was_removed_is_an_error(tmp_path, left):
    for day in (DAY, NEXT, "2025-12-24"):
        make_day(tmp_path, day)
    for file in (tmp_path / NEXT).iterdir():
        if not file.name.endswith(left):
            file.unlink()
    with pytest.raises(DataError, match=f"kalshi.jsonl: is missing, .*; kalshi.{left} describes it"):
        everything(begun(tmp_path))


def test_a_day_that_the_engine_has_whole_may_be_moved_away(tmp_path):
    path = make_day(tmp_path, DAY)
    recorded = path.read_bytes()
    end = Position("kalshi", "", DAY, len(recorded), recorded.count(b"\n"))
    second = make_day(tmp_path, NEXT)
    path.unlink()
    one = follower(tmp_path)
    one.begin(end)
    assert lines_of(everything(one)) == second.read_bytes()
    with pytest.raises(EngineMismatch, match=f"{path}: is not here, and the engine's copy ends in it"):
        one.begin(end._replace(line=1))


def test_lag_counts_what_may_not_have_arrived(tmp_path, at_once):
    now = day_begins(DAY)
    one = follower(tmp_path, clock=lambda: now)
    one.begin(None, "today")
    path = put(tmp_path, DAY, line(1), line(2), line(3), b'{"ts":')
    now += 10 * SECOND
    size = len(line(1))
    assert one.lag() == (3 * size, 9.0)
    one.read(1, MOST)
    assert one.lag() == (3 * size, 9.0)
    one.read(1, MOST)
    assert one.lag() == (2 * size, 8.0)
    put(tmp_path, NEXT, line(1, day=NEXT))
    assert one.lag() == (3 * size, 8.0)
    everything(one)
    assert one.lag() == (0, 0.0)
    assert path.read_bytes().endswith(b'{"ts":')


def test_a_block_has_the_dialect_that_held_when_its_lines_came(tmp_path):
    descriptions = [{"paths": {"type": "a"}}, {"paths": {"type": "b"}}, {"paths": {"type": "b"}}]
    generic = [{"exchange": "generic", "description": description} for description in descriptions]
    both = b'{"a":"old","b":"new"}'
    happened: list[Any] = []
    for fields in generic:
        happened += [(0, "started", fields), (0, "connected", {}), (1, both)]
    write_day(tmp_path, DAY, *happened, (9, "started", KALSHI), (9, both), sealed=False)
    blocks = everything(begun(tmp_path))
    assert [(block.exchange, block.found) for block in blocks] == [
        ("generic", [("old", "")]),
        ("generic", [("new", "")]),
        ("generic", [("new", "")]),
        ("kalshi", [("", "")]),
    ]
    assert [block.session for block in blocks] == [f"{DAY}T00:00:00.000000Z"] * 3 + [""]


def test_lines_of_two_feeds_in_one_file_are_handed_out(tmp_path):
    other = LineEncoder("other-feed").encode(day_begins(DAY), [b'{"type":"trade"}'])
    put(tmp_path, DAY, line(1), other)
    [block] = everything(begun(tmp_path))
    assert block.payloads == [b"{}", b'{"type":"trade"}']


@pytest.mark.parametrize("form", ["jsonl.zst", "jsonl.gz", "parquet"])
def test_a_compressed_day_goes_on_at_a_position_of_its_lines(tmp_path, form):
    path = make_day(tmp_path, DAY, per_hour=500, sealed=form != "jsonl.gz")
    recorded = path.read_bytes()
    lines = recorded.splitlines(keepends=True)
    if form != "jsonl.gz":
        compact(data_files([path])[0], PACKERS[form], dry_run=False, progress=lambda size: None)
    else:
        path.with_name("kalshi.jsonl.gz").write_bytes(gzip.compress(recorded))
        path.unlink()
    one = follower(tmp_path)
    for count in (9_000, 5, len(lines), 0):
        at = Position("kalshi", "", DAY, len(b"".join(lines[:count])), count)
        one.begin(at)
        assert lines_of(everything(one)) == b"".join(lines[count:])
        one.begin(at)
        assert (one.lag()[0] > 0) == (count < len(lines))
    for wrong in (at._replace(offset=7), at._replace(offset=len(recorded) + 1), at._replace(offset=len(lines[0]))):
        with pytest.raises(EngineMismatch, match=f"{path.parent}/kalshi.{form}: "):
            one.begin(wrong)


@pytest.mark.parametrize("name", ["kalshi.jsonl.zst", "kalshi.parquet/type=trade/part-0000.parquet"])
def test_a_compressed_day_that_is_damaged_is_an_error(tmp_path, name):
    path = make_day(tmp_path, DAY)
    packer = PACKERS["jsonl.zst" if name.endswith(".zst") else "parquet"]
    compact(data_files([path])[0], packer, dry_run=False, progress=lambda size: None)
    packed = path.parent / name
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{packed}: cannot be read: "):
        everything(begun(tmp_path))


def test_lag_of_a_damaged_line_counts_from_the_beginning_of_its_day(tmp_path):
    now = day_begins(DAY) + 100 * SECOND
    put(tmp_path, DAY, b"x\n", line(5))
    one = follower(tmp_path, clock=lambda: now)
    one.begin(None, "today")
    assert one.lag() == (2 + len(line(5)), 100.0)


def restored(storage: Path, before: bytes, lines: bytes, after: bytes, *, whole: bool = True) -> Path:
    """Put lines into the data of a day, at the end or before it, as `ssmd restore` does it, and note it."""
    path = storage / DAY / "kalshi.jsonl"
    data = before + lines + after
    note = RestoredLines(DAY, len(before), before.count(b"\n"), len(lines), lines.count(b"\n"), len(data))
    note_restored(storage, "kalshi", note if whole else structs.replace(note, bytes=0, size=None))
    if after:
        path.with_suffix(".x").write_bytes(data)
        path.with_suffix(".x").rename(path)
    else:
        put(storage, DAY, lines)
    return path


def messages(caplog) -> list[str]:
    return [record.message for record in caplog.records]


@pytest.mark.parametrize("after", [b"", line(9)])
def test_lines_that_are_restored_into_a_day_that_was_left_do_not_stop_it(tmp_path, at_once, caplog, after):
    put(tmp_path, DAY, line(1) + after)
    put(tmp_path, NEXT, line(1, day=NEXT))
    one = begun(tmp_path)
    everything(one)
    path = restored(tmp_path, line(1), line(2) + line(3), after, whole=False)
    assert one.read(1, MOST) is None
    assert messages(caplog) == []
    size = path.stat().st_size
    note_restored(tmp_path, "kalshi", RestoredLines(DAY, len(line(1)), 1, len(line(2) + line(3)), 2, size))
    assert one.read(1, MOST) is None
    put(tmp_path, NEXT, line(2, day=NEXT))
    assert lines_of(everything(one)) == line(2, day=NEXT)
    assert messages(caplog) == [MISSED]
    put(tmp_path, DAY, line(4))
    with pytest.raises(DataError, match="the clock was set back"):
        one.read(1, MOST)


def test_it_goes_on_behind_lines_that_are_put_before_what_it_has_handed_out(tmp_path, at_once, caplog):
    put(tmp_path, DAY, line(1), line(8), line(9))
    one = begun(tmp_path)
    [block] = everything(one)
    path = restored(tmp_path, line(1), line(2) + line(3), line(8) + line(9) + line(10))
    assert lines_of(everything(one)) == line(10)
    assert messages(caplog) == [MISSED]
    again = begun(tmp_path)
    end = End.of(block.end, line(9), line(9)[TS].decode())
    assert again.begin(end) == Position("kalshi", "", DAY, path.stat().st_size - len(line(10)), 5)
    assert lines_of(everything(again)) == line(10)


def test_it_goes_on_with_what_is_put_behind_what_it_has_handed_out(tmp_path, at_once, caplog):
    put(tmp_path, DAY, line(1))
    one = begun(tmp_path)
    everything(one)
    restored(tmp_path, line(1), line(2) + line(3), line(9))
    assert lines_of(everything(one)) == line(2) + line(3) + line(9)
    assert messages(caplog) == []


def test_another_file_is_refused_although_a_line_ends_at_the_same_place(tmp_path, at_once):
    path = put(tmp_path, DAY, line(1), line(2))
    one = begun(tmp_path)
    everything(one)
    path.unlink()
    put(tmp_path, DAY, line(3), line(4), line(5))
    with pytest.raises(EngineMismatch, match="it was made of another file"):
        one.read(1, MOST)


def test_notes_that_cannot_be_read_are_one_clear_error(tmp_path):
    put(tmp_path, DAY, line(1))
    (tmp_path / ".kalshi.restored").write_text("{\n")
    with pytest.raises(DataError, match=r"\.kalshi\.restored: cannot be read: .*; move it away"):
        begun(tmp_path).begin(Position("kalshi", "", DAY, 10, 1))
