from pathlib import Path

import pytest

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.shipping.s3.parts import Parts


@pytest.fixture
def storage(tmp_path) -> Path:
    folder = tmp_path / "2026-01-31"
    folder.mkdir()
    for stem in ("kalshi+1of2", "kalshi+2of2", "kalshi.listing+1of2", "other"):
        (folder / f"{stem}.jsonl").touch()
    return tmp_path


def labels(storage: Path, shard: Shard | None, live: bool) -> list[str]:
    return [part.label for part in Parts(storage, "kalshi", shard, live=live).look()]


def test_all_shards_of_a_feed_and_of_its_listings_are_uploaded(storage):
    assert labels(storage, None, live=False) == ["kalshi+1of2 day", "kalshi+2of2 day", "kalshi.listing+1of2 day"]


def test_lines_of_today_are_work_of_their_own(storage):
    assert labels(storage, Shard(2, 2), live=True) == ["kalshi+2of2 day", "kalshi+2of2 live"]
    assert labels(storage, Shard(1, 2), live=False) == ["kalshi+1of2 day", "kalshi.listing+1of2 day"]


def test_a_shard_that_is_named_is_waited_for(tmp_path):
    assert labels(tmp_path, WHOLE, live=False) == ["kalshi day"]
