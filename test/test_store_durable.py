"""Durable writes: what a kill at any moment leaves, and every failure as one clear error."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import gevent
import pytest
from descriptors import nothing_left_open
from process import ROOT

from ssmd.errors import OutputError, WriteError
from ssmd.store.durable import (
    explain,
    make_directory,
    sync_directory,
    sync_file,
    write_all,
    write_durably,
    write_pieces,
)

KILLED_AT_EVERY_STEP = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, "test")
from kills import killed_at
from ssmd.store.durable import write_durably

path = Path(sys.argv[1])
old, new = sys.argv[2].encode() or None, b"new" * 100_000

seen = []
for step in itertools.count():
    path.unlink(missing_ok=True)
    if old is not None:
        path.write_bytes(old)
    # What an earlier kill has left beside it is still there.
    killed = killed_at(step, lambda: write_durably(path, new), "durable.py")
    content = path.read_bytes() if path.exists() else None
    assert content in (old, new), content
    seen.append("new" if content == new else "old")
    if not killed:
        break
print(step, *sorted(set(seen)))
"""


@pytest.mark.parametrize("old", ["", "old"], ids=["no file before", "an older file"])
def test_a_kill_at_any_step_of_a_durable_write_leaves_the_old_file_or_the_new_one(tmp_path, old):
    path = tmp_path / "manifest.json"
    command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, path, old]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    steps, *states = ended.stdout.split()
    assert int(steps) >= 7
    assert states == ["new", "old"]
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]  # The last run was not killed.


def test_a_file_is_durable_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    steps: list[tuple[str | bytes, ...]] = []
    path = tmp_path / "manifest.json"
    fsync, replace = os.fsync, os.replace

    def watched_fsync(fd: int) -> None:
        steps.append(("sync", Path(os.readlink(f"/proc/self/fd/{fd}")).name))
        fsync(fd)

    def watched_replace(source: Path, target: Path) -> None:
        steps.append(("rename", source.name, source.read_bytes(), target.name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_durably(path, b"{}")
    assert steps == [
        ("sync", "manifest.json.new"),
        ("rename", "manifest.json.new", b"{}", "manifest.json"),
        ("sync", tmp_path.name),
    ]


def test_a_link_that_an_earlier_run_has_left_is_replaced_and_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.write_bytes(b"of somebody else")
    (tmp_path / "manifest.json.new").symlink_to(kept)
    write_durably(tmp_path / "manifest.json", b"{}")
    assert (kept.read_bytes(), (tmp_path / "manifest.json").read_bytes()) == (b"of somebody else", b"{}")


def test_a_file_that_cannot_be_created_is_an_output_error_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_bytes(b"old")
    (tmp_path / "manifest.json.new").mkdir()
    with pytest.raises(OutputError, match=r"manifest\.json\.new: Is a directory"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_file_that_does_not_fit_is_a_write_error_and_leaves_the_old_one(tmp_path):
    """The kernel's limit for files stops a write half-way, as a full disk does."""
    path = tmp_path / "manifest.json"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"manifest\.json: File too large"):
            write_durably(path, b"x" * 3000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]  # What did not fit takes no space either.
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("most", [1, 3, 7, 10**6])
def test_pieces_are_written_in_order_however_little_each_call_takes(tmp_path, monkeypatch, most):
    pieces = [b"", b"1", b"22", b"", b"4444", b"55555" * 400, b""] * 300
    writev = os.writev

    def short(fd: int, buffers: Sequence[bytes]) -> int:
        return os.write(fd, b"".join(buffers)[:most]) if most < 10**6 else writev(fd, buffers)

    monkeypatch.setattr(os, "writev", short)
    pieces = pieces if most > 3 else pieces[:14]
    path = tmp_path / "data"
    with path.open("wb", buffering=0) as file:
        write_pieces(file.fileno(), pieces)
        write_all(file.fileno(), [], "nothing")
    assert path.read_bytes() == b"".join(pieces)


def test_a_failed_write_names_the_location_and_what_to_do_about_a_full_disk(tmp_path):
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(WriteError) as raised:
        write_all(full.fileno(), [b"x"], "data/kalshi.jsonl")
    assert str(raised.value) == (
        "data/kalshi.jsonl: No space left on device; free some, then start again: the next start repairs the end of "
        "the file"
    )


def test_other_failures_are_explained_by_the_system_alone():
    assert explain(OSError(errno.EIO, os.strerror(errno.EIO))) == "Input/output error"
    assert "free some" in explain(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))
    assert explain(OSError("without a number")) == "without a number"


def test_a_sync_returns_the_free_bytes_of_the_disk(tmp_path):
    with (tmp_path / "data").open("wb") as file:
        free = sync_file(file.fileno(), file.name, 0)
    disk = os.statvfs(tmp_path)
    assert 0 < free <= disk.f_blocks * disk.f_frsize


def test_a_sync_of_a_file_that_was_removed_is_a_write_error(tmp_path):
    path = tmp_path / "data"
    with path.open("wb") as file:
        path.unlink()
        with pytest.raises(WriteError, match="data: somebody has removed the file; what is written to it is lost"):
            sync_file(file.fileno(), file.name, 0)


def test_a_sync_of_a_file_that_was_moved_or_replaced_is_a_write_error(tmp_path):
    path = tmp_path / "folder" / "data"
    path.parent.mkdir()
    with path.open("wb") as file:
        path.rename(tmp_path / "moved")
        with pytest.raises(WriteError, match="data: somebody has moved or replaced the file; what is written is no"):
            sync_file(file.fileno(), file.name, 0)
        path.touch()
        with pytest.raises(WriteError, match="moved or replaced"):
            sync_file(file.fileno(), file.name, 0)
        path.unlink()
        (tmp_path / "moved").rename(path)
        sync_file(file.fileno(), file.name, 0)
        path.parent.rename(tmp_path / "other")
        (tmp_path / "folder").touch()
        with pytest.raises(WriteError, match="moved or replaced"):
            sync_file(file.fileno(), file.name, 0)


def test_a_sync_of_a_file_that_was_cut_off_is_a_write_error(tmp_path):
    path = tmp_path / "data"
    with path.open("wb", buffering=0) as file:
        file.write(b"x" * 2000)
        sync_file(file.fileno(), file.name, 2000)
        os.truncate(path, 1999)
        with pytest.raises(WriteError, match="data: somebody has cut the file off: it has 1,999 bytes, and 2,000"):
            sync_file(file.fileno(), file.name, 2000)


def test_a_sync_that_fails_is_a_write_error():
    reading, writing = os.pipe()
    try:
        with pytest.raises(WriteError, match="pipe: sync failed: Invalid argument"):
            sync_file(writing, "pipe", 0)
    finally:
        os.close(reading)
        os.close(writing)


def test_the_names_of_all_new_folders_are_durable(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    for _ in range(2):
        make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]


def test_a_directory_is_closed_at_once_after_it_was_synced(tmp_path):
    """gevent's os.close() would leave it open until its event loop runs again."""
    gevent.sleep(0)  # Start the loop.
    with nothing_left_open():
        sync_directory(tmp_path)
