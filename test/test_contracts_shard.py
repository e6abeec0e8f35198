import pytest

from ssmd.contracts.shard import WHOLE, Shard

MARKETS = [f"KXTEST-{number}" for number in range(3000)]


@pytest.mark.parametrize("of", [2, 3, 7])
def test_each_market_belongs_to_exactly_one_shard(of):
    shards = [Shard(index, of) for index in range(1, of + 1)]
    assert all(sum(shard.takes(market) for shard in shards) == 1 for market in MARKETS)


def test_the_shards_have_about_as_many_markets_each():
    counts = [sum(map(Shard(index, 4).takes, MARKETS)) for index in range(1, 5)]
    assert min(counts) > 0.8 * len(MARKETS) / 4


def test_with_another_shard_markets_move_only_to_that_one():
    stays = (1, 2, 3)
    moved = [m for m in MARKETS if not any(Shard(i, 3).takes(m) and Shard(i, 4).takes(m) for i in stays)]
    assert moved == list(filter(Shard(4, 4).takes, MARKETS))


def test_names():
    assert (Shard(2, 4).label, Shard(2, 4).stem("kalshi")) == ("2of4", "kalshi+2of4")
    assert (WHOLE.label, WHOLE.stem("kalshi")) == ("", "kalshi")
    assert all(map(WHOLE.takes, MARKETS))
