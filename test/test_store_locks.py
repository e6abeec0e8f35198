"""Locks on files: who gets one, who is kept away, and what can be seen without taking one."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded_runs import data_in

from ssmd.errors import DataError
from ssmd.store.locks import held, is_locked, take_lock_file, try_lock
from ssmd.writer.recovery import repair_older


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(b"")
    return path


@pytest.fixture
def collector(path: Path) -> Iterator[int]:
    """The descriptor of a data file that a collector has locked."""
    fd = os.open(path, os.O_WRONLY)
    assert try_lock(fd, path)
    yield fd
    os.close(fd)


def test_a_lock_is_held_by_one_at_a_time_and_free_once_it_is_given_back(path):
    for _ in range(2):
        with held(path) as ours:
            assert ours
            with held(path) as others:
                assert not others
            assert is_locked(path)
        assert not is_locked(path)


def test_the_lock_of_a_collector_keeps_others_away(path, collector):
    with held(path) as ours:
        assert not ours
    assert is_locked(path)  # Neither held() nor is_locked() has taken it away.


def test_looking_for_a_lock_leaves_none_behind(path):
    assert not is_locked(path)
    with held(path) as ours:
        assert ours


def test_two_that_look_for_a_lock_at_the_same_moment_do_not_see_each_other(path):
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not is_locked(path)


def test_a_file_that_is_gone_is_not_locked_and_cannot_be_held(tmp_path):
    assert not is_locked(tmp_path / "gone")
    with held(tmp_path / "gone") as ours:
        assert not ours


def test_a_file_that_cannot_be_opened_is_a_data_error(path):
    with pytest.raises(DataError, match=r"kalshi\.jsonl/x: cannot be read: Not a directory"), held(path / "x"):
        pass


def test_where_locks_do_not_work_nothing_is_locked(path, monkeypatch):
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert not is_locked(path)


def test_a_lock_file_names_the_process_that_holds_it(tmp_path):
    path = tmp_path / ".kalshi.lock"
    path.write_bytes(b"an older and longer text\n")
    with path.open("r+b") as ours, path.open("r+b") as others:
        assert take_lock_file(ours.fileno()) is None
        assert path.read_text() == f"{os.getpid()}\n"
        assert take_lock_file(others.fileno()) == str(os.getpid())
    with path.open("r+b") as later:
        assert take_lock_file(later.fileno()) is None


def test_a_lock_file_that_names_no_process_yet_is_held_by_an_unknown_one(tmp_path):
    path = tmp_path / ".kalshi.lock"
    path.write_bytes(b"")
    with path.open("r+b") as ours, path.open("r+b") as others:
        fcntl.flock(ours, fcntl.LOCK_EX)
        assert take_lock_file(others.fileno()) == "unknown"


def test_a_file_is_locked_while_it_is_open_for_writing_as_nfs_demands(own_storage, monkeypatch):
    real = fcntl.flock

    def flock(file, how: int) -> None:
        if how & fcntl.LOCK_EX and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with held(data_in(own_storage)) as ours:
        assert ours
    assert repair_older(own_storage, "kalshi", own_storage / "2025-12-23" / "kalshi.jsonl", 0)


def test_the_lock_of_a_file_that_lost_its_name_meanwhile_is_not_held(path, monkeypatch):
    """Compaction removes the file between its opening and its locking."""
    lock = fcntl.flock

    def removed_before(fd: int, operation: int) -> None:
        path.rename(path.with_name("elsewhere"))
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    with held(path) as ours:
        assert not ours
