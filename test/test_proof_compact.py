"""Compaction loses no byte, whatever it finds and wherever it is killed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from compact_kills import killed_everywhere
from process import ROOT
from recorded import fail

from ssmd.errors import DataError, OutputError, WriteError
from ssmd.proof.compact import Compacted, Left, candidates, compact
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.merge import merged
from ssmd.reading.seek import blocks, lines_before, ranges
from ssmd.store.inventory import bytes_on_disk, data_files, in_any_form
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder

NS = 1_790_000_000_000_000_000  # 2026-09-21
LINES = 8_000
ZST = ZstPacker(3)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage folder with one sealed day of more than a megabyte."""
    folder = tmp_path / "data" / "2026-09-21"
    folder.mkdir(parents=True)
    encoder = LineEncoder("kalshi")
    messages = [json.dumps({"n": n, "x": hashlib.sha256(b"%d" % n).hexdigest()}).encode() for n in range(LINES)]
    data = b"".join(encoder.encode(NS + n * 10**6, [m]) for n, m in enumerate(messages))
    (folder / "kalshi.jsonl").write_bytes(data)
    ends = NS + LINES * 10**6
    entries = [
        Entry(NS, "started", 0, 0, {"version": "0.1.0"}),
        Entry(NS, "connected", 0, 0, {}),
        Entry(ends, "disconnected", len(data), LINES, {}),
        Entry(ends, "stopped", len(data), LINES, {"lines": LINES, "bytes": len(data)}),
    ]
    (folder / "kalshi.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    [file] = data_files([folder])
    assert seal(file, NS + 86_400 * 10**9)
    return tmp_path / "data"


def run(storage: Path, *, dry_run: bool = False, before: str = "2026-09-22") -> list[Compacted | Left]:
    files = candidates(storage, before, ZST.form)
    return [compact(file, ZST, dry_run=dry_run, progress=lambda count: None) for file in files]


def names(storage: Path) -> list[str]:
    return sorted(path.name for path in storage.glob("*/*"))


def content(storage: Path) -> bytes:
    return b"".join(block for file in data_files([storage]) for block in LineBlocks(file.path))


def test_a_day_becomes_smaller_and_keeps_its_content_times_and_permissions(storage):
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    plain.chmod(0o640)
    os.utime(plain, ns=(NS, NS))
    before = content(storage)
    [outcome] = run(storage)
    packed = plain.with_name("kalshi.jsonl.zst")
    assert outcome == Compacted(len(before), packed.stat().st_size, ("kalshi.jsonl",), finished=False)
    assert names(storage) == ["kalshi.jsonl.zst", "kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.shape.json"]
    assert content(storage) == before
    assert packed.stat().st_size < len(before)
    assert (packed.stat().st_mode & 0o777, packed.stat().st_mtime_ns) == (0o640, NS)
    frame = zstandard.get_frame_parameters(packed.read_bytes())
    assert (frame.has_checksum, frame.content_size) == (True, len(before))
    assert run(storage) == []  # There is nothing left to do.


def test_a_file_that_was_compacted_after_it_was_listed_is_read_in_its_new_form(storage):
    [file] = data_files([storage])
    before = content(storage)
    opened = LineBlocks(file.path)
    first = next(iter(opened))
    edges = ranges(file, b"2026-09-21", b"2026-09-22")
    assert edges == [(0, len(before))]
    lines = before.splitlines(keepends=True)
    part = len(b"".join(lines[:3000])), len(b"".join(lines[:5000]))
    run(storage)
    assert not file.path.exists()
    assert before.startswith(first)
    assert b"".join(merged([file], trouble=fail)) == before
    assert b"".join(blocks(file.path, *part)) == b"".join(lines[3000:5000])
    assert lines_before(file.path, part[0]) == 3000
    assert verify(file).findings == []
    assert in_any_form(file.path, bytes_on_disk) < len(before)


def test_a_file_that_another_run_has_compacted_meanwhile_is_left(storage):
    [file] = data_files([storage])
    run(storage)
    assert isinstance(compact(file, ZST, dry_run=False, progress=lambda count: None), Left)


def test_a_dry_run_changes_nothing(storage):
    before = names(storage), content(storage)
    assert run(storage, dry_run=True) == [Compacted(len(before[1]), 0, ("kalshi.jsonl",), finished=False)]
    assert (names(storage), content(storage)) == before


def test_only_days_before_the_given_one_are_candidates(storage):
    assert run(storage, before="2026-09-21") == []


def test_a_day_that_is_not_sealed_is_left_with_the_reason(storage):
    (storage / "2026-09-21" / "kalshi.manifest.json").unlink()
    assert run(storage) == [Left("is not sealed; `ssmd seal` does that")]
    assert names(storage) == ["kalshi.jsonl", "kalshi.ledger.jsonl", "kalshi.shape.json"]


def test_a_file_that_is_being_written_is_left_with_the_reason(storage):
    with (storage / "2026-09-21" / "kalshi.jsonl").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        [outcome] = run(storage)
        assert isinstance(outcome, Left)
        assert "is being written" in outcome.why
    assert "kalshi.jsonl" in names(storage)


def test_a_link_is_left_with_the_reason(storage, tmp_path):
    """Removing it would free no space, and the file that it leads to may belong to somebody else."""
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    plain.rename(tmp_path / "elsewhere.jsonl")
    plain.symlink_to(tmp_path / "elsewhere.jsonl")
    before = names(storage), content(storage)
    for dry_run in (True, False):
        [outcome] = run(storage, dry_run=dry_run)
        assert outcome == Left(f"is a link to {tmp_path}/elsewhere.jsonl, and links are not compacted")
    assert (names(storage), content(storage), plain.is_symlink()) == (*before, True)
    plain.with_name("kalshi.jsonl.zst").write_bytes(zstandard.compress(before[1]))
    assert isinstance(run(storage)[0], Left)
    assert plain.is_symlink()


@pytest.mark.parametrize("change", ["longer", "other", "no manifest"])
def test_a_file_that_does_not_match_its_manifest_is_never_removed(storage, change):
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    data = bytearray(plain.read_bytes())
    if change == "other":
        data[-100] ^= 1
    elif change == "longer":
        data += LineEncoder("kalshi").encode(NS, [b"{}"])
    else:
        plain.with_name("kalshi.manifest.json").write_bytes(b"{")
    plain.write_bytes(data)
    with pytest.raises(DataError, match=r"kalshi\.(jsonl|manifest\.json)"):
        run(storage)
    assert names(storage) == ["kalshi.jsonl", "kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.shape.json"]
    assert plain.read_bytes() == data


def test_a_plain_file_beside_a_sound_compressed_one_is_removed(storage):
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    data = plain.read_bytes()
    plain.with_name("kalshi.jsonl.zst").write_bytes(zstandard.compress(data))
    [outcome] = run(storage)
    assert isinstance(outcome, Compacted)
    assert outcome.finished
    assert names(storage) == ["kalshi.jsonl.zst", "kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.shape.json"]
    assert content(storage) == data


@pytest.mark.parametrize("packed", [b"", b"no zst", zstandard.compress(b"other")])
def test_a_plain_file_beside_a_compressed_one_with_other_content_stays(storage, packed):
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    data = plain.read_bytes()
    plain.with_name("kalshi.jsonl.zst").write_bytes(packed)
    for dry_run in (True, False):
        with pytest.raises(DataError, match=r"kalshi\.jsonl\.zst"):
            run(storage, dry_run=dry_run)
    assert (plain.read_bytes(), plain.with_name("kalshi.jsonl.zst").read_bytes()) == (data, packed)


@pytest.mark.parametrize(
    "behind", [b"x", b"\0" * 100, zstandard.compress(b"other"), zstandard.compress(b"x" * 99)[:-3]]
)
def test_a_plain_file_stays_when_anything_follows_the_first_frame_of_the_compressed_one(storage, behind):
    """A reader of the compressed file would stop there, or read more than the content."""
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    data = plain.read_bytes()
    plain.with_name("kalshi.jsonl.zst").write_bytes(zstandard.compress(data) + behind)
    for dry_run in (True, False):
        with pytest.raises(DataError, match=r"kalshi\.jsonl\.zst: "):
            run(storage, dry_run=dry_run)
    assert plain.read_bytes() == data


def test_a_dry_run_raises_the_same_error_as_a_real_one(storage):
    plain = storage / "2026-09-21" / "kalshi.jsonl"
    plain.write_bytes(plain.read_bytes().replace(b'"n":', b'"m":', 1).replace(b'"n": ', b'"m": ', 1))
    with pytest.raises(DataError, match="does not match its manifest"):
        run(storage, dry_run=True)


def test_nothing_is_removed_when_nothing_can_be_written(storage):
    (storage / "2026-09-21" / "kalshi.jsonl.zst.new").mkdir()
    with pytest.raises(OutputError, match=r"kalshi\.jsonl\.zst\.new: Is a directory"):
        run(storage)
    assert "kalshi.jsonl" in names(storage)


def test_a_full_disk_leaves_the_plain_file_and_nothing_else(storage):
    resource = pytest.importorskip("resource")
    before = names(storage), content(storage)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(WriteError, match=r"kalshi\.jsonl\.zst: File too large"):
            run(storage)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (names(storage), content(storage)) == before


def test_files_that_an_earlier_run_has_left_are_removed_and_not_written_to(storage):
    folder = storage / "2026-09-21"
    kept = storage.parent / "kept"
    kept.write_bytes(b"somebody else's")
    before = content(storage)
    (folder / "kalshi.jsonl.zst.new").symlink_to(kept)
    (folder / "kalshi.manifest.json.new").symlink_to(kept)
    (folder / "kalshi.manifest.json").unlink()
    [file] = data_files([storage])
    assert seal(file, NS + 86_400 * 10**9)
    assert isinstance(run(storage)[0], Compacted)
    assert names(storage) == ["kalshi.jsonl.zst", "kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.shape.json"]
    assert (content(storage), kept.read_bytes()) == (before, b"somebody else's")


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
def test_files_that_another_user_has_left_do_not_stop_the_owner_of_the_folder(storage):
    other = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    folder = storage / "2026-09-21"
    (folder / "kalshi.manifest.json").unlink()
    for name in ("kalshi.jsonl.zst.new", "kalshi.manifest.json.new"):
        (folder / name).write_bytes(b"")
        os.chown(folder / name, 65534, 65534)
        (folder / name).chmod(0o644)
    for command in (["seal", storage], ["compact", storage]):
        done = subprocess.run(
            [*other, sys.executable, "-m", "ssmd", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert names(storage) == ["kalshi.jsonl.zst", "kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.shape.json"]


def test_a_kill_at_any_step_loses_nothing_and_the_next_run_finishes(storage, tmp_path):
    steps, states = killed_everywhere(storage, tmp_path / "copy", "jsonl.zst")
    assert steps > 40
    # These are all states that can be found on the disk.
    assert states == [
        "kalshi.jsonl",
        "kalshi.jsonl+kalshi.jsonl.zst",
        "kalshi.jsonl+kalshi.jsonl.zst.new",
        "kalshi.jsonl.zst",
    ]
