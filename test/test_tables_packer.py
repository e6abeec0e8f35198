"""A sealed day becomes Parquet and loses no byte, whatever it holds and wherever the work is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard
from compact_kills import killed_everywhere
from recorded import GENERIC, KALSHI, make_day, trade, write_day

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import DataError, WriteError
from ssmd.proof.compact import Compacted, Left, candidates, compact
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.reading.blocks import LineBlocks
from ssmd.store.inventory import bytes_on_disk, data_files
from ssmd.tables.packer import ParquetPacker

DAY = "2026-09-21"
NS = 1_790_000_000_000_000_000
TICKER = b'{"type":"ticker","sid":2,"msg":{"market_ticker":"KX-1","price_dollars":"0.4800","ts":1790000000}}'
ODD = (b"not JSON at all", b'{"type":"trade", "sid":1,"msg":{}}', b'{"type":"new","x":123456789012345678901234567890}')


def run(storage: Path, *, dry_run: bool = False) -> list[Compacted | Left]:
    files = candidates(storage, "2026-09-30", "parquet")
    return [compact(file, ParquetPacker(), dry_run=dry_run, progress=lambda count: None) for file in files]


def names(storage: Path) -> list[str]:
    """The files of the day's folder, apart from those within folders."""
    return sorted(path.name for path in storage.glob("*/*"))


def content(storage: Path) -> bytes:
    return b"".join(block for file in data_files([storage]) for block in LineBlocks(file.path))


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage folder with one sealed day of two connections, some of whose lines fit no table."""
    messages = [(10 + n, message) for n, message in enumerate([trade(1), TICKER, *ODD, trade(2)])]
    write_day(
        tmp_path / "data", DAY, (0, "started", KALSHI), (1, "connected", {}), *messages, (50, "disconnected", {}),
        (60, "connected", {}), (61, trade(1)), (62, TICKER), (70, "stopped", {}),
    )  # fmt: skip
    return tmp_path / "data"


def test_a_day_becomes_a_folder_of_tables_with_the_same_lines(storage):
    plain = storage / DAY / "kalshi.jsonl"
    plain.chmod(0o640)
    os.utime(plain, ns=(NS, NS))
    before = content(storage)
    [outcome] = run(storage)
    folder = storage / DAY / "kalshi.parquet"
    assert outcome == Compacted(len(before), bytes_on_disk(folder), ("kalshi.jsonl",), finished=False)
    assert names(storage) == ["kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.parquet", "kalshi.shape.json"]
    assert content(storage) == before
    parts = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    assert parts == [f"type={name}/part-0000.parquet" for name in ("_raw", "ticker", "trade")]
    for path in (folder, *folder.rglob("*")):
        assert (path.stat().st_mode & 0o777, path.stat().st_mtime_ns) == (0o750 if path.is_dir() else 0o640, NS)
    assert run(storage) == []  # There is nothing left to do.
    assert verify(data_files([storage])[0]).findings == []


def test_each_row_has_the_connection_that_received_it(storage):
    run(storage)
    rows = pq.read_table(storage / DAY / "kalshi.parquet" / "type=trade" / "part-0000.parquet").to_pylist()
    assert [(row["line"], row["session"]) for row in rows] == [
        (1, f"{DAY}T00:00:01.000000Z"), (4, f"{DAY}T00:00:01.000000Z"),
        (6, f"{DAY}T00:00:01.000000Z"), (7, f"{DAY}T00:01:00.000000Z"),
    ]  # fmt: skip


def test_a_message_with_an_unknown_field_has_its_columns_and_beside_them_its_line(tmp_path):
    """More of them than are learned as a form of their own: whoever queries the tables sees them as any other."""
    payloads = [TICKER.replace(b'"ts":', b'"unknown":%d,"ts":' % (number * number)) for number in range(40)]
    messages = [(10 + number, payload) for number, payload in enumerate(payloads)]
    write_day(tmp_path, DAY, (0, "started", KALSHI), (1, "connected", {}), *messages)
    before = content(tmp_path)
    run(tmp_path)
    rows = pq.read_table(tmp_path / DAY / "kalshi.parquet" / "type=ticker" / "part-0000.parquet").to_pylist()
    assert {(row["market_ticker"], str(row["price_dollars"])) for row in rows} == {("KX-1", "0.480000")}
    raw = [row["raw"] for row in rows if row["raw"] is not None]
    assert len(rows) == 40
    assert raw
    assert all(b'"unknown":' in line for line in raw)
    assert content(tmp_path) == before


def test_a_dry_run_changes_nothing(storage):
    before = names(storage), content(storage)
    assert run(storage, dry_run=True) == [Compacted(len(before[1]), 0, ("kalshi.jsonl",), finished=False)]
    assert (names(storage), content(storage)) == before


@pytest.mark.parametrize("form", ["jsonl.zst", "jsonl.gz", "both"])
def test_compressed_days_become_parquet_too(storage, form):
    before = content(storage)
    plain = storage / DAY / "kalshi.jsonl"
    plain.with_name("kalshi.jsonl.zst").write_bytes(zstandard.compress(before))
    if form == "jsonl.gz":
        subprocess.run(["gzip", plain], check=True)
        plain.with_name("kalshi.jsonl.zst").unlink()
    elif form == "jsonl.zst":
        plain.unlink()
    [outcome] = run(storage)
    assert isinstance(outcome, Compacted)
    assert outcome.removed == (("kalshi.jsonl", "kalshi.jsonl.zst") if form == "both" else (f"kalshi.{form}",))
    assert names(storage) == ["kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.parquet", "kalshi.shape.json"]
    assert content(storage) == before


def test_days_of_shards_and_kept_listings_become_parquet_each_by_itself(tmp_path):
    for feed, shard in (("kalshi", WHOLE), ("kalshi", Shard(2, 4)), ("kalshi.listing", WHOLE)):
        make_day(tmp_path, DAY, feed=feed, shard=shard, per_hour=5)
    before = content(tmp_path)
    assert all(isinstance(outcome, Compacted) for outcome in run(tmp_path))
    assert [path.name for path in sorted(tmp_path.glob("*/*.parquet"))] == [
        "kalshi+2of4.parquet", "kalshi.listing.parquet", "kalshi.parquet",
    ]  # fmt: skip
    assert content(tmp_path) == before
    table = pq.read_table(tmp_path / DAY / "kalshi+2of4.parquet" / "type=trade" / "part-0000.parquet")
    assert set(table["shard"].to_pylist()) == {"2of4"}


def test_the_dialect_at_each_line_decides_where_its_type_is(tmp_path):
    paths = {"paths": {"type": "kind"}}
    plain = write_day(
        tmp_path, DAY,
        (0, "started", KALSHI), (1, "connected", {}), (2, trade(1)), (3, b'{"kind":"trade","n":1}'), (4, "stopped", {}),
        (5, "started", {**GENERIC, "description": paths}), (6, "connected", {}),
        (7, b'{"kind":"trade","n":2}'), (8, b'{"type":"ticker","kind":"trade"}'), (9, "stopped", {}),
    )  # fmt: skip
    before = plain.read_bytes()
    run(tmp_path)
    assert content(tmp_path) == before
    rows = pq.read_table(plain.with_suffix(".parquet") / "type=trade" / "part-0000.parquet").to_pylist()
    assert [row["line"] for row in rows] == [1, 3, 4]


def test_days_without_a_ledger_and_without_a_line_become_parquet(tmp_path):
    plain = make_day(tmp_path, DAY, per_hour=5, sealed=False)
    plain.with_name("kalshi.ledger.jsonl").unlink()
    empty = write_day(tmp_path, "2026-09-22", (0, "started", KALSHI), (1, "stopped", {}), sealed=False)
    for file in data_files([tmp_path]):
        assert seal(file, NS + 86_400 * 10**9)
    before = plain.read_bytes()
    assert len(run(tmp_path)) == 2
    assert b"".join(LineBlocks(plain)) == before
    assert b"".join(LineBlocks(empty)) == b""
    assert verify(data_files([empty.with_suffix(".parquet")])[0]).findings == []


def beside(storage: Path, how: str) -> Path:
    """Put a Parquet day beside the plain one: that of the very lines, or a wrong one."""
    folder = storage / DAY / "kalshi.parquet"
    kept = (storage / DAY / "kalshi.jsonl").read_bytes()
    run(storage)
    (storage / DAY / "kalshi.jsonl").write_bytes(kept)
    part = folder / "type=trade" / "part-0000.parquet"
    if how == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif how == "a part less":
        part.unlink()
    elif how == "cut off":
        part.write_bytes(part.read_bytes()[:-20])
    elif how == "another day":
        shutil.rmtree(folder)
        other = make_day(storage.parent / "other", DAY, per_hour=5)
        run(storage.parent / "other")
        other.with_suffix(".parquet").rename(folder)
    return folder


@pytest.mark.parametrize("packer", [ParquetPacker(), ZstPacker(1)], ids=["parquet", "zst"])
def test_a_plain_file_beside_a_sound_folder_is_removed(storage, packer):
    folder = beside(storage, "sound")
    before = content(storage)
    [file] = data_files([storage])
    outcome = compact(file, packer, dry_run=False, progress=lambda count: None)
    assert outcome == Compacted(len(before), bytes_on_disk(folder), ("kalshi.jsonl",), finished=True)
    assert names(storage) == ["kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.parquet", "kalshi.shape.json"]
    assert content(storage) == before


@pytest.mark.parametrize("how", ["empty", "a part less", "cut off", "another day"])
def test_a_plain_file_beside_a_folder_with_other_content_stays(storage, how):
    folder = beside(storage, how)
    plain = storage / DAY / "kalshi.jsonl"
    before = plain.read_bytes()
    for dry_run in (True, False):
        with pytest.raises(DataError, match=str(folder)):
            run(storage, dry_run=dry_run)
    assert (plain.read_bytes(), folder.is_dir()) == (before, True)


def test_a_day_that_is_not_as_sealed_is_left_and_named(storage):
    plain = storage / DAY / "kalshi.jsonl"
    plain.write_bytes(plain.read_bytes().replace(b"KX-1", b"KX-2", 1))
    for dry_run in (True, False):
        with pytest.raises(DataError, match=r"kalshi\.jsonl: does not match its manifest; nothing is removed"):
            run(storage, dry_run=dry_run)
    assert names(storage) == ["kalshi.jsonl", "kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.shape.json"]


def test_a_full_disk_leaves_the_plain_file_and_nothing_else(tmp_path):
    resource = pytest.importorskip("resource")
    make_day(tmp_path, DAY, per_hour=100)
    before = names(tmp_path), content(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(WriteError, match=r"kalshi\.parquet(\.new)?: File too large"):
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (names(tmp_path), content(tmp_path)) == before


@pytest.mark.parametrize("left", ["folder", "file", "link"])
def test_what_an_earlier_run_has_left_is_removed_and_not_written_to(storage, left):
    kept = storage.parent / "kept"
    kept.mkdir()
    (kept / "x").write_bytes(b"somebody else's")
    new = storage / DAY / "kalshi.parquet.new"
    if left == "folder":
        (new / "type=x").mkdir(parents=True)
        (new / "type=x" / "part-0000.parquet").write_bytes(b"half")
    elif left == "file":
        new.write_bytes(b"half")
    else:
        new.symlink_to(kept)
    before = content(storage)
    assert isinstance(run(storage)[0], Compacted)
    assert names(storage) == ["kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.parquet", "kalshi.shape.json"]
    assert (content(storage), (kept / "x").read_bytes()) == (before, b"somebody else's")
    assert not (storage / DAY / "kalshi.parquet" / "type=x").exists()


@pytest.mark.parametrize("form", ["jsonl", "jsonl.zst"])
def test_a_kill_at_any_step_loses_nothing_and_the_next_run_finishes(tmp_path, form):
    write_day(tmp_path / "data", DAY, (0, "started", KALSHI), (1, "connected", {}), (2, trade(1)), (3, "stopped", {}))
    if form != "jsonl":
        [file] = data_files([tmp_path / "data"])
        assert isinstance(compact(file, ZstPacker(1), dry_run=False, progress=lambda count: None), Compacted)
    steps, states = killed_everywhere(tmp_path / "data", tmp_path / "copy", "parquet")
    assert steps > 60
    # These are all states that can be found on the disk.
    assert states == [
        f"kalshi.{form}",
        f"kalshi.{form}+kalshi.parquet",
        f"kalshi.{form}+kalshi.parquet.new",
        "kalshi.parquet",
    ]


def test_tables_are_learned_where_the_dialect_declares_none(tmp_path):
    """A field that is not always of one kind, and one that comes late, are no reason to lose a byte."""
    odd = b'{"e":"trade","p":0.10,"n":9007199254740993,"late":[1,{"a":null}]}'
    messages = [(n, b'{"e":"trade","p":%d,"n":%d}' % (n, n)) for n in range(2, 40)]
    plain = write_day(
        tmp_path, DAY, (0, "started", {**GENERIC, "description": {"paths": {"type": "e"}}}), (1, "connected", {}),
        *messages, (40, odd), (41, b"PONG"), (42, "stopped", {}),
    )  # fmt: skip
    before = plain.read_bytes()
    run(tmp_path)
    assert content(tmp_path) == before
    table = pq.read_table(plain.with_suffix(".parquet") / "type=trade" / "part-0000.parquet")
    assert [str(price) for price in table["p"].to_pylist()[-2:]] == ["39.00", "0.10"]
    assert table["n"].to_pylist()[-2:] == [39, 9007199254740993]
    assert table["raw"].null_count == len(table)
