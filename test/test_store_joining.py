"""The ledger of two parts that were put together, and interruptions of that."""

from __future__ import annotations

import pytest

from ssmd.errors import OutputError
from ssmd.store.joining import commit_join, finish_join, joined_path, merged_ledger
from ssmd.store.ledger import Entry, decode_entry, encode_entry


def entries(*found: tuple[str, int, int, dict]) -> bytes:
    return b"".join(encode_entry(Entry(1_766_404_800 * 10**9, *one)) for one in found)


STARTED: tuple[str, int, int, dict] = ("started", 0, 0, {})
THERE = entries(STARTED, ("mark", 100, 5, {}))
ROTATED: tuple[str, int, int, dict] = ("rotated", 40, 2, {"lines": 2, "bytes": 40})
HERE = entries(("apart", 0, 0, {}), STARTED, ("lost", 0, 0, {"lines": 5}), ROTATED)


def test_entries_of_the_second_part_move_behind_the_first(tmp_path):
    merged = merged_ledger(THERE, HERE, (0, 0), (100, 5), tmp_path)
    assert merged.startswith(THERE)
    moved = [decode_entry(line)[1:] for line in merged[len(THERE) :].splitlines()]
    assert moved == [
        ("apart", 100, 5, {}),
        ("started", 100, 5, {}),
        ("rotated", 140, 7, {"lines": 7, "bytes": 140}),
    ]


def test_a_ledger_that_is_the_beginning_of_the_other_adds_nothing(tmp_path):
    assert merged_ledger(THERE, entries(STARTED), (0, 0), (100, 5), tmp_path) == THERE
    assert merged_ledger(THERE, THERE + entries(("stopped", 100, 5, {})), (100, 5), (100, 5), tmp_path) == (
        THERE + entries(("stopped", 100, 5, {}))
    )


def test_other_entries_about_the_same_lines_are_refused(tmp_path):
    with pytest.raises(OutputError, match="have different entries about the same lines"):
        merged_ledger(THERE, entries(("mark", 10, 1, {})), (50, 2), (100, 5), tmp_path)


def test_both_files_count_from_one_moment_on(tmp_path):
    data, ledger = tmp_path / "kalshi.jsonl", tmp_path / "kalshi.ledger.jsonl"
    for path in (data, ledger, tmp_path / "kalshi.manifest.json"):
        path.write_bytes(b"old")
    joined_path(data).write_bytes(b"new")
    joined_path(ledger).write_bytes(b"half")
    finish_join(tmp_path, "kalshi")
    assert (data.read_bytes(), ledger.read_bytes()) == (b"old", b"old")
    assert not list(tmp_path.glob("*.new"))
    joined_path(data).write_bytes(b"new")
    commit_join(tmp_path, "kalshi", b"new")
    assert (data.read_bytes(), ledger.read_bytes()) == (b"new", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kalshi.jsonl", "kalshi.ledger.jsonl"]
    joined_path(ledger).write_bytes(b"newer")
    finish_join(tmp_path, "kalshi")
    assert ledger.read_bytes() == b"newer"
