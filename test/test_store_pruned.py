"""The note that pruning leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssmd.contracts.shard import Shard
from ssmd.errors import DataError
from ssmd.store.layout import pruned_path
from ssmd.store.pruned import PrunedDay, is_pruned, pruned_data, read_pruned, write_pruned

NOTE = PrunedDay("2026-02-08T00:17:00.000000Z", "s3://market-data/prod", "9f86")


def note(storage: Path, day: str, stem: str = "kalshi") -> Path:
    folder = storage / day
    folder.mkdir(exist_ok=True)
    write_pruned(folder, stem, NOTE)
    return folder


def test_a_note_is_read_back_as_long_as_there_is_no_data(tmp_path):
    folder = note(tmp_path, "2026-01-01")
    assert read_pruned(folder, "kalshi") == NOTE
    assert read_pruned(folder, "gate") is None
    (folder / "kalshi.jsonl.zst").touch()
    assert not is_pruned(folder, "kalshi")
    assert read_pruned(folder, "kalshi") is None


def test_a_damaged_note_is_one_clear_error(tmp_path):
    folder = note(tmp_path, "2026-01-01")
    pruned_path(folder, "kalshi").write_text('{"pruned":1}')
    with pytest.raises(DataError, match=r"kalshi\.pruned\.json: cannot be read: it "):
        read_pruned(folder, "kalshi")


def test_one_sentence_for_each_feed_or_shard(tmp_path):
    for day in ("2026-01-01", "2026-01-02"):
        note(tmp_path, day)
    note(tmp_path, "2026-01-02", "gate+1of2")
    end = "is not here: `ssmd prune` has removed it, and s3://market-data/prod has it"
    kalshi = f"{tmp_path}: kalshi on 2 days from 2026-01-01 to 2026-01-02 {end}"
    gate = f"{tmp_path}: gate+1of2 on 2026-01-02 {end}"
    assert list(pruned_data([tmp_path])) == [kalshi, gate]
    assert list(pruned_data([tmp_path], "gate")) == list(pruned_data([tmp_path], shard=Shard(1, 2))) == [gate]
    assert list(pruned_data([tmp_path], wanted=lambda day: day < "2026-01-02")) == [
        f"{tmp_path}: kalshi on 2026-01-01 {end}"
    ]
    folder = tmp_path / "2026-01-02"
    assert list(pruned_data([folder], "kalshi")) == [f"{folder}: kalshi on 2026-01-02 {end}"]
