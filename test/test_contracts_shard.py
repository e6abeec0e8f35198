import pytest

from ssmd.contracts.shard import MOST_SHARDS, WHOLE, Shard, parse_shard, shard_of_label

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


@pytest.mark.parametrize(("index", "of"), [(0, 4), (5, 4), (-1, 4), (1, 0), (1, MOST_SHARDS + 1)])
def test_there_is_no_shard_outside_its_numbers(index, of):
    with pytest.raises(ValueError, match=f"there is no shard {index} of {of}"):
        Shard(index, of)


def test_a_label_gives_its_shard_back():
    for shard in (WHOLE, Shard(1, 2), Shard(2, 4), Shard(10, 12), Shard(MOST_SHARDS, MOST_SHARDS)):
        assert shard_of_label(shard.label) == shard


@pytest.mark.parametrize(
    "label", ["0of4", "5of4", "01of4", "1of04", "of", "1of", "of4", "1of1", "1of1000", "1OF4", "\u0662of4"]
)
def test_other_texts_are_no_labels(label):
    assert shard_of_label(label) is None


@pytest.mark.parametrize("text", ["1/1", "2/4", "4/4", "999/999"])
def test_a_command_line_names_a_shard(text):
    assert str(parse_shard(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5/4", "must be a shard from 1/4 to 4/4"),
        ("0/4", "must be a shard from 1/4 to 4/4"),
        ("1/0", "must be one of 1 to 999 shards"),
        ("1/1000", "must be one of 1 to 999 shards"),
        ("2of4", "must be the number of a shard and how many there are, such as 2/4"),
        ("-1/4", "must be the number of a shard and how many there are, such as 2/4"),
        ("", "must be the number of a shard and how many there are, such as 2/4"),
        ("9" * 5000 + "/4", "must be the number of a shard and how many there are, such as 2/4"),
    ],
)
def test_what_is_no_shard_is_explained(text, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        parse_shard(text)


def test_shards_are_in_the_order_of_their_numbers_fewer_first():
    some = [Shard(10, 12), Shard(2, 12), Shard(3, 3), WHOLE, Shard(1, 12)]
    assert list(map(str, sorted(some))) == ["1/1", "3/3", "1/12", "2/12", "10/12"]
