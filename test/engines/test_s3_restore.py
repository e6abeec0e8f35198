"""What a storage folder has lost comes back from the segments of a bucket, against a real server."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from process import ssmd
from recorded import make_day, trade, write_day
from s3_server import BUCKET
from s3_storage import put_day, put_segments

from ssmd.bucket.address import Address
from ssmd.bucket.restore import Restored, restore, unfinished_days
from ssmd.errors import DataError, OutputError
from ssmd.proof.seal import seal
from ssmd.store.inventory import data_files
from ssmd.store.joining import joined_path
from ssmd.store.layout import DayFile, manifest_path
from ssmd.store.ledger import decode_entry
from ssmd.store.timestamps import day_begins

DAY = "2025-12-22"
NOW = day_begins(DAY) + 86_000 * 10**9


@pytest.fixture
def bucket(server, request):
    return server.bucket(Address(BUCKET, request.node.name.replace("[", "-").strip("]")))


@pytest.fixture
def file(tmp_path) -> DayFile:
    """A day that is not sealed."""
    runs = [(0, 7000, "killed"), (8000, 20_000, "stopped")]
    make_day(tmp_path / "data", DAY, per_hour=200, connected=runs, sealed=False)
    [file] = data_files([tmp_path / "data"])
    return file


def lines_of(file: DayFile) -> list[bytes]:
    return file.path.read_bytes().splitlines(keepends=True)


def ledger(file: DayFile) -> Path:
    return file.path.with_name("kalshi.ledger.jsonl")


def content(file: DayFile) -> tuple[bytes, bytes]:
    return file.path.read_bytes(), ledger(file).read_bytes()


def restored(bucket, file: DayFile) -> Restored:
    return restore(bucket, file.path.parent, "kalshi", NOW)


def cut(file: DayFile, lines: int) -> None:
    """Leave the first lines, and the entries that were written before the next one."""
    rest = lines_of(file)[:lines]
    file.path.write_bytes(b"".join(rest))
    entries = ledger(file).read_bytes().splitlines(keepends=True)
    ledger(file).write_bytes(b"".join(entry for entry in entries if decode_entry(entry).line < lines))


def test_a_lost_node_gets_all_lines_back(bucket, file):
    before, count = content(file), len(lines_of(file))
    put_segments(bucket, file, 100, 110, count)
    shutil.rmtree(file.path.parent)
    assert restored(bucket, file) == Restored(count)
    data, entries = content(file)
    assert data == before[0]
    assert before[1].startswith(entries)
    assert restored(bucket, file) == Restored()


@pytest.mark.parametrize("left", [0, 1, 99, 100, 101, 109, 110, 111, 300])
def test_a_folder_that_was_set_back_gets_the_rest(bucket, file, left):
    before, count = content(file), len(lines_of(file))
    put_segments(bucket, file, 100, 110, count)
    cut(file, left)
    assert restored(bucket, file) == Restored(count - left)
    assert content(file)[0] == before[0]
    assert before[1].startswith(content(file)[1])


def test_where_only_the_ledger_was_left_the_lines_come_back(bucket, file):
    before, count = content(file), len(lines_of(file))
    put_segments(bucket, file, 100, count)
    file.path.unlink()
    assert restored(bucket, file) == Restored(count)
    assert content(file) == before


def test_a_ledger_about_lines_that_nobody_has_is_one_clear_error(bucket, file):
    put_segments(bucket, file, 100)
    before, manifest = ledger(file).read_bytes(), manifest_path(file.path.parent, file.stem)
    manifest.write_bytes(b"kept")
    file.path.unlink()
    with pytest.raises(OutputError) as error:
        restored(bucket, file)
    assert f"{file.path}: is not here, although its ledger is about " in str(error.value)
    assert "the bucket has 100 of them: somebody has removed it; put it back, or move " in str(error.value)
    assert (ledger(file).read_bytes(), manifest.read_bytes(), file.path.exists()) == (before, b"kept", False)
    assert not list(file.path.parent.glob("*.new"))
    ledger(file).unlink()
    assert restored(bucket, file) == Restored(100)


def test_a_folder_that_was_set_back_within_a_large_segment_gets_the_rest(bucket, tmp_path):
    """Such a segment comes in several pieces, and the lines here end in the first of them."""
    noise = random.Random(17)
    messages = [b'{"type":"x","msg":"%b"}' % noise.randbytes(500).hex().encode() for _ in range(3000)]
    begin = [(0, "started", {"version": "9.9", "exchange": "kalshi"}), (0, "connected", {})]
    happened = [(1 + number, message) for number, message in enumerate(messages)]
    write_day(tmp_path / "data", DAY, *begin, *happened, sealed=False)
    [file] = data_files([tmp_path / "data"])
    before = content(file)[0]
    put_segments(bucket, file, len(messages))
    [segment] = [found for found in bucket.list() if found.name.endswith(".zst")]
    assert segment.size > 1024 * 1024
    cut(file, 10)
    assert restored(bucket, file) == Restored(len(messages) - 10)
    assert content(file)[0] == before


def test_a_sealed_day_that_gets_more_lines_is_not_sealed_any_longer(bucket, file):
    before, count = content(file), len(lines_of(file))
    put_segments(bucket, file, 100, count)
    cut(file, 50)
    assert seal(file, NOW) is not None
    assert restored(bucket, file) == Restored(count - 50)
    assert content(file)[0] == before[0]
    verified = ssmd("verify", file.path)
    assert (verified.returncode, "not sealed" in verified.stdout) == (0, True), verified.stdout


def test_a_torn_line_is_set_aside_first(bucket, file):
    before, count = content(file), len(lines_of(file))
    put_segments(bucket, file, 100, count)
    cut(file, 50)
    with file.path.open("ab") as opened:
        opened.write(b'{"ts":"2025-12-')
    assert restored(bucket, file) == Restored(count - 50)
    assert content(file)[0] == before[0]
    assert (file.path.parent / "kalshi.jsonl.torn").exists()
    assert b'"event":"torn"' in content(file)[1]
    assert ssmd("verify", file.path).returncode == 0


def test_nothing_is_done_where_the_folder_has_all(bucket, file):
    put_segments(bucket, file, 100, 300)
    before = content(file)
    assert restored(bucket, file) == Restored()
    assert content(file) == before


def test_a_complete_day_and_one_that_was_never_there_are_left_alone(bucket, file):
    assert restored(bucket, file) == Restored()
    make_day(file.path.parent.parent, "2025-12-21")
    sealed = data_files([file.path.parent.parent])[0]
    put_segments(bucket, sealed, 100)
    assert unfinished_days(bucket, "kalshi") == ["2025-12-21"]
    put_day(bucket, sealed)
    assert unfinished_days(bucket, "kalshi") == []
    shutil.rmtree(sealed.path.parent)
    assert restore(bucket, sealed.path.parent, "kalshi", NOW) == Restored()
    assert not sealed.path.parent.exists()


@pytest.mark.parametrize("line", [1, 50, 100, 101, 299])
def test_another_line_stops_it(bucket, file, line):
    put_segments(bucket, file, 100, 300)
    lines = lines_of(file)
    # As of another collector: from there on, all lines are others.
    lines[line - 1 :] = [one.replace(b"0.4", b"0.6") for one in lines[line - 1 :]]
    file.path.write_bytes(b"".join(lines))
    before = content(file)
    with pytest.raises(OutputError, match=rf"kalshi\.jsonl: line {line} is not the one that s3://"):
        restored(bucket, file)
    assert content(file) == before


@pytest.mark.parametrize("left", [100, 110])
def test_other_lines_that_end_where_a_segment_ends_stop_it_too(bucket, file, left):
    put_segments(bucket, file, 100, 110, 300)
    cut(file, left)
    file.path.write_bytes(file.path.read_bytes().replace(b"0.4", b"0.6"))
    before = content(file)
    with pytest.raises(OutputError, match=r"kalshi\.jsonl: line 1 is not the one that s3://"):
        restored(bucket, file)
    assert content(file) == before


def test_a_damaged_segment_is_one_clear_error(bucket, file):
    put_segments(bucket, file, 100, 300)
    name = f"{DAY}/live/kalshi/000000000101-000000000300.jsonl.zst"
    bucket.delete(name)
    bucket.put_new(name, b"no zstd at all")
    cut(file, 100)
    before = content(file)
    with pytest.raises(DataError, match=r"000000000101-000000000300\.jsonl\.zst: cannot be read"):
        restored(bucket, file)
    assert content(file) == before


def apart(storage: Path, *happened: bytes, ends: tuple = (61_000, "stopped", {"reason": "SIGTERM"})) -> DayFile:
    """Write the file of a run that began the day without the bucket."""
    write_day(
        storage,
        DAY,
        (60_000, "apart", {"copy": "s3://market-data/x", "why": "cannot connect"}),
        (60_000, "started", {"version": "9.9", "exchange": "kalshi"}),
        (60_000, "connected", {}),
        *((60_001 + number, message) for number, message in enumerate(happened)),
        ends,
        sealed=False,
    )
    [file] = data_files([storage])
    return file


def test_a_run_that_began_apart_follows_what_the_bucket_has(bucket, file, tmp_path):
    put_segments(bucket, file, 100, len(lines_of(file)))
    first = content(file)[0]
    late = apart(tmp_path / "late", trade(1), trade(2))
    second = content(late)[0]
    assert restored(bucket, late) == Restored(first.count(b"\n"), joined=True)
    assert content(late)[0] == first + second
    verified = ssmd("verify", late.path)
    assert verified.returncode == 0, verified.stdout
    assert restored(bucket, late) == Restored()
    assert not list(late.path.parent.glob("*.new"))


def test_a_run_that_began_apart_and_got_no_line_gets_those_of_the_bucket(bucket, file, tmp_path):
    count = len(lines_of(file))
    put_segments(bucket, file, count)
    late = apart(tmp_path / "late")
    assert restored(bucket, late).lines == count
    assert content(late)[0] == content(file)[0]
    assert ssmd("verify", late.path).returncode == 0
    events = [decode_entry(line).event for line in content(late)[1].splitlines()]
    assert events[-4:] == ["apart", "started", "connected", "stopped"]


@pytest.mark.parametrize("kept", ["data", "ledger"])
def test_a_join_that_was_killed_is_completed_or_done_again(bucket, file, tmp_path, kept):
    put_segments(bucket, file, 100)
    cut(file, 100)
    late = apart(tmp_path / "late", trade(1))
    second = content(late)[0]
    for path in (late.path, ledger(late)):
        joined_path(path).write_bytes(b"half")
    if kept == "ledger":
        joined_path(late.path).unlink()
        joined_path(ledger(late)).write_bytes(content(late)[1])
    restored(bucket, late)
    assert content(late)[0] == content(file)[0] + second
    assert not list(late.path.parent.glob("*.new"))
