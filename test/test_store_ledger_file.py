"""A ledger is read from the disk, with what is wrong with it, and without one when there is none."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ssmd.errors import DataError
from ssmd.store import ledger_file
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.ledger_file import Loss, read_ledger, readable_entries

NS = 1_766_404_800_000_000_000


def entries(*events: tuple[str, int]) -> list[Entry]:
    """Return entries, each at a number of lines of ten bytes."""
    return [Entry(NS, event, 10 * line, line, {}) for event, line in events]


def gaps(count: int, line: int) -> list[Entry]:
    fields = {"sid": 1, "expected": 1, "got": 3, "missing": 2}
    return [Entry(NS, "gap", 10 * (line + number), line + number, fields) for number in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kalshi.ledger.jsonl"


def write(path: Path, written: list[Entry]) -> bytes:
    data = b"".join(map(encode_entry, written))
    path.write_bytes(data)
    return data


def test_a_sound_ledger_has_its_entries_and_nothing_wrong(path):
    written = [*entries(("started", 0), ("connected", 0)), *gaps(3, 5), *entries(("stopped", 30))]
    data = write(path, written)
    ledger = read_ledger(path)
    assert ledger is not None
    assert list(ledger.entries) == written
    assert list(readable_entries(path)) == [*written[:2], *written[4:]]
    assert ledger.sha256 == hashlib.sha256(data).hexdigest()
    assert (ledger.bad, ledger.torn, ledger.losses) == ([], False, [])


def test_of_a_day_on_which_markets_come_and_go_a_start_keeps_little(path):
    """A run writes such entries thousands of times an hour; the next start needs none of them but the last."""
    names = ("followed", "asked", "subscribed", "unfollowed")
    changes = entries(*((names[number % 4], number) for number in range(1, 10_000)))
    written = [*entries(("started", 0), ("connected", 0)), *changes, *entries(("stopped", 20_000))]
    write(path, written)
    ledger = read_ledger(path)
    assert ledger is not None
    assert list(ledger.entries) == written
    assert list(readable_entries(path)) == [*written[:2], *written[-2:]]


def test_an_event_of_a_later_version_is_read_like_any_other(path):
    written = entries(("started", 0), ("of a later version", 3))
    write(path, written)
    assert list(readable_entries(path)) == written


def test_lines_that_are_not_entries_are_named_and_the_others_read(path):
    first, second, third = entries(("started", 0), ("connected", 0), ("stopped", 9))
    path.write_bytes(b"oops\n" + encode_entry(first) + b"\0\0\n{}\n" + encode_entry(second) + encode_entry(third))
    ledger = read_ledger(path)
    assert ledger is not None
    assert (ledger.bad, list(ledger.entries)) == ([1, 3, 4], [first, second, third])
    assert list(readable_entries(path)) == [first, second, third]


def test_part_of_a_line_at_the_end_is_torn_and_not_in_the_checksum(path):
    written = entries(("started", 0), ("connected", 0))
    data = write(path, written)
    path.write_bytes(data + encode_entry(written[0])[:-1])
    ledger = read_ledger(path)
    assert ledger is not None
    assert (list(ledger.entries), ledger.torn, ledger.bad) == (written, True, [])
    assert ledger.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["no file", "a link to nothing", "a loop", "below a file"])
def test_there_is_no_ledger_where_no_file_can_be_reached(path, kind):
    if kind == "a link to nothing":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "a loop":
        path.symlink_to(path)
    elif kind == "below a file":
        path.write_bytes(b"")
        path = path / "x"
    assert read_ledger(path) is None
    assert list(readable_entries(path)) == []


def test_a_ledger_that_cannot_be_read_is_a_data_error_and_has_no_readable_entries(path):
    path.mkdir()
    with pytest.raises(DataError, match=rf"^{path}: cannot be read: {os.strerror(errno.EISDIR)}$"):
        read_ledger(path)
    assert list(readable_entries(path)) == []


def test_a_line_that_is_longer_than_any_of_ssmd_is_not_read_into_memory(path, monkeypatch):
    """A power failure can leave a run of NUL bytes of any length, and later entries after it."""
    monkeypatch.setattr(ledger_file, "LONGEST_LINE", 1000)
    written = entries(("started", 0), ("connected", 0), ("stopped", 9))
    first, *others = map(encode_entry, written)
    for nul in (bytes(5000), bytes(5000) + b"\n"):
        path.write_bytes(first + nul)
        with pytest.raises(DataError, match=rf"^{path}: holds a line of more than 1000 bytes$"):
            read_ledger(path)
        assert list(readable_entries(path)) == written[:1]
    path.write_bytes(first + bytes(5000) + b"\n" + b"".join(others))
    ledger = read_ledger(path, whole=False)
    assert ledger is not None
    assert (list(ledger.entries), ledger.bad, ledger.torn) == (written, [2], False)


def test_of_gaps_in_a_row_only_the_last_is_kept_on_request(path):
    written = [*entries(("started", 0), ("connected", 0)), *gaps(50, 1), *entries(("mark", 60)), *gaps(1, 61)]
    write(path, [*written, *gaps(4, 70)])
    ledger = read_ledger(path, whole=False)
    assert ledger is not None
    assert list(ledger.entries) == [*written[:2], written[51], written[52], gaps(4, 70)[-1]]


def test_so_are_responses(path):
    answers = [entry._replace(event="response") for entry in gaps(9, 1)]
    more = [entry._replace(event="response") for entry in gaps(9, 30)]
    written = [*entries(("started", 0)), *answers, *gaps(3, 20), *more]
    write(path, written)
    ledger = read_ledger(path, whole=False)
    assert ledger is not None
    assert list(ledger.entries) == [written[0], answers[-1], gaps(3, 20)[-1], more[-1]]


def test_a_run_that_begins_before_what_an_earlier_one_has_counted_shows_a_loss(path):
    write(path, entries(("started", 0), ("stopped", 30), ("started", 20), ("stopped", 25), ("outage", 12)))
    ledger = read_ledger(path)
    assert ledger is not None
    assert ledger.losses == [Loss(line=20, lines=10), Loss(line=12, lines=13)]
    assert [(entry.event, entry.line) for entry in ledger.entries] == [("started", 0), ("outage", 12)]


def test_a_loss_that_the_next_start_has_written_down_is_found_once(path):
    lost = Entry(NS, "lost", 200, 20, {"lines": 10, "bytes": 100})
    write(path, [*entries(("started", 0), ("rotated", 30)), lost, *entries(("started", 20), ("stopped", 40))])
    ledger = read_ledger(path)
    assert ledger is not None
    assert ledger.losses == [Loss(line=20, lines=10)]


def test_a_mark_or_a_gap_that_the_data_does_not_reach_shows_no_loss(path):
    """A power failure may keep these and take the lines before them."""
    write(path, [*entries(("started", 0), ("mark", 30)), *gaps(1, 31), *entries(("started", 20))])
    ledger = read_ledger(path)
    assert ledger is not None
    assert ledger.losses == []
