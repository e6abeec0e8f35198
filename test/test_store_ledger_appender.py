"""Entries are appended at the right place of the data, before it and durably, whatever an earlier run has left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from recorded import KALSHI, trade, write_day

from ssmd.errors import OutputError, WriteError
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.ledger_appender import LedgerAppender
from ssmd.store.timestamps import day_begins

DAY = "2026-09-20"
NOW = day_begins(DAY) + 3600 * 10**9


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A day of two lines whose run has not ended."""
    return write_day(
        tmp_path, DAY, (0, "started", KALSHI), (0, "connected", {}), (1, trade(1)), (2, trade(2)), sealed=False
    )


def ledger_of(data: Path) -> Path:
    return data.with_name("kalshi.ledger.jsonl")


def entries(data: Path) -> list[dict]:
    return [json.loads(line) for line in ledger_of(data).read_bytes().splitlines()]


def opened(data: Path, torn: int = 0) -> LedgerAppender:
    ledger = LedgerAppender("kalshi")
    ledger.open_day(data, torn, NOW)
    return ledger


def test_a_new_ledger_begins_at_the_beginning(tmp_path):
    data = tmp_path / "kalshi.jsonl"
    data.touch()
    ledger = opened(data)
    assert (ledger.offset, ledger.line, ledger.pending, ledger.lost) == (0, 0, [], {})
    assert ledger_of(data).read_bytes() == b""
    ledger.close()


@pytest.mark.parametrize("counted_from", ["the last entry", "the beginning"])
def test_the_place_of_the_next_entry_is_the_end_of_the_data(data, counted_from):
    if counted_from == "the beginning":
        ledger_of(data).unlink()
    ledger = opened(data)
    assert (ledger.offset, ledger.line) == (data.stat().st_size, 2)
    ledger.add("mark", NOW, {})
    [pending] = ledger.pending
    assert pending == encode_entry(Entry(NOW, "mark", data.stat().st_size, 2, {}))
    before = ledger_of(data).read_bytes()
    ledger.write()
    assert (ledger.pending, ledger_of(data).read_bytes()) == ([], before + pending)
    ledger.close()


def test_an_entry_beyond_the_data_is_no_place_to_count_from(data):
    """A power failure took the line that it is about."""
    with ledger_of(data).open("ab") as file:
        file.write(encode_entry(Entry(NOW, "mark", 10**6, 4711, {})))
    ledger = opened(data)
    assert (ledger.line, ledger.lost) == (2, {})  # A mark proves no loss.
    ledger.close()


def test_torn_and_lost_data_become_the_next_entries(data):
    with ledger_of(data).open("ab") as file:
        file.write(encode_entry(Entry(NOW, "stopped", data.stat().st_size + 300, 5, {"lines": 5, "bytes": 0})))
    ledger = opened(data, torn=17)
    assert ledger.lost == {"lines": 3, "bytes": 300}
    found = [json.loads(line) for line in ledger.pending]
    assert [(one["event"], one["line"], one.get("bytes"), one.get("lines")) for one in found] == [
        ("torn", 2, 17, None),
        ("lost", 2, 300, 3),
    ]
    ledger.close()


def test_the_torn_end_of_the_ledger_is_set_aside_and_counted(data):
    whole = ledger_of(data).read_bytes()
    with ledger_of(data).open("ab") as file:
        file.write(b'{"ts":"2026')
    ledger = LedgerAppender("kalshi")
    assert ledger.open_day(data, 0, NOW) == 11
    ledger.close()
    assert ledger_of(data).read_bytes() == whole
    assert ledger_of(data).with_name("kalshi.ledger.jsonl.torn").read_bytes() == b'{"ts":"2026\n'


def test_a_file_of_another_program_is_refused(data):
    ledger_of(data).write_bytes(b"somebody's notes\n")
    ledger = LedgerAppender("kalshi")
    with pytest.raises(OutputError, match="is not a file of ssmd"):
        ledger.open_day(data, 0, NOW)
    ledger.close()


def test_the_ledger_is_synced_before_the_data_and_only_when_it_was_written_to(data, monkeypatch):
    synced: list[str] = []

    def sync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[2])

    ledger = opened(data)
    monkeypatch.setattr(os, "fdatasync", sync)
    with data.open("ab") as file:
        assert ledger.sync_with(file.fileno(), str(data), data.stat().st_size) > 0
        ledger.add("mark", NOW, {})
        ledger.write()
        for _ in range(2):
            ledger.sync_with(file.fileno(), str(data), data.stat().st_size)
    assert synced == ["kalshi.jsonl", "kalshi.ledger.jsonl", "kalshi.jsonl", "kalshi.jsonl"]
    ledger.close()


def test_a_write_that_fails_names_the_ledger(data):
    ledger = opened(data)
    ledger.add("mark", NOW, {})
    os.close(ledger._fd)
    with pytest.raises(WriteError, match=r"kalshi\.ledger\.jsonl: Bad file descriptor"):
        ledger.write()
    ledger._fd = -1
    ledger.close()  # Without an open ledger it does nothing.
