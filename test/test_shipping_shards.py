"""Which shards of a feed there are, asked again and again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import DataError
from ssmd.shipping.shards import Shards
from ssmd.store.inventory import day_folders


def make(storage: Path, *names: str) -> None:
    for name in names:
        path = storage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_shards_are_found_once_they_have_data(tmp_path):
    make(tmp_path, "2025-12-22/kalshi+1of2.jsonl.zst", "2025-12-23/kalshi+2of2.jsonl", "2025-12-23/other.jsonl")
    make(tmp_path, "2025-12-23/kalshi.listing.jsonl", "2025-12-23/kalshi.ledger.jsonl", "notes/kalshi+1of4.jsonl")
    shards = Shards(tmp_path, "kalshi")
    assert shards.look() == [Shard(1, 2), Shard(2, 2)]
    make(tmp_path, "2025-12-23/kalshi.jsonl", "2025-12-22/kalshi+1of3.jsonl")
    assert shards.look() == [WHOLE, Shard(1, 2), Shard(2, 2)]  # Of an earlier day that is no longer recorded, none.
    make(tmp_path, "2025-12-24/kalshi+3of3.jsonl")
    assert shards.look() == [WHOLE, Shard(1, 2), Shard(2, 2), Shard(3, 3)]


def test_a_day_that_is_moved_away_meanwhile_is_passed_over(tmp_path, monkeypatch):
    make(tmp_path, "2025-12-22/kalshi+1of2.jsonl", "2025-12-23/kalshi+2of2.jsonl")
    found = day_folders(tmp_path)
    monkeypatch.setattr("ssmd.shipping.shards.day_folders", lambda storage: found)
    shutil.rmtree(found[0])
    assert Shards(tmp_path, "kalshi").look() == [Shard(2, 2)]


def test_a_storage_folder_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file or directory"):
        Shards(tmp_path / "none", "kalshi").look()
