import pytest

from ssmd.bucket.address import Address, Segment, chain, day_key, is_address, live_prefix, read_segment
from ssmd.errors import UsageError


def test_an_address_is_read_and_written():
    address = Address.parse("s3://market-data/capture/kalshi/")
    assert address == ("market-data", "capture/kalshi")
    assert str(address) == "s3://market-data/capture/kalshi"
    assert address.key("2026-01-31/a") == "capture/kalshi/2026-01-31/a"
    assert address.name("capture/kalshi/2026-01-31/a") == "2026-01-31/a"
    whole = Address.parse("s3://market-data")
    assert (str(whole), whole.key("a"), whole.name("a")) == ("s3://market-data", "a", "a")
    assert is_address("s3://x")
    assert not is_address("data")


@pytest.mark.parametrize("text", ["data", "s3://", "s3:///x", "s3://a b/c", "gs://bucket", "s3://-a/b"])
def test_other_texts_are_no_addresses(text):
    with pytest.raises(UsageError, match="is no address of a bucket; write s3://<bucket>/<prefix>"):
        Address.parse(text)


def test_the_names_of_objects():
    assert day_key("2026-01-31", "kalshi.jsonl.zst") == "2026-01-31/kalshi.jsonl.zst"
    assert live_prefix("2026-01-31", "kalshi+1of2") == "2026-01-31/live/kalshi+1of2/"
    segment = Segment(1, 4321)
    assert segment.data == "000000000001-000000004321.jsonl.zst"
    assert segment.ledger == "000000000001-000000004321.ledger.jsonl"
    assert read_segment(segment.data) == (segment, False)
    assert read_segment(segment.ledger) == (segment, True)
    assert read_segment("1-2.jsonl.zst") is None
    assert read_segment("000000000001-000000004321.jsonl.zst.new") is None


def test_segments_that_follow_each_other_are_a_chain():
    one, two, three = Segment(1, 10), Segment(11, 30), Segment(31, 31)
    assert chain([three, one, two]) == [one, two, three]
    assert chain([two, three]) == []
    assert chain([one, three]) == [one]
    assert chain([]) == []


def test_of_segments_that_overlap_those_that_reach_furthest_are_taken():
    # One uploader was killed after it had sent lines 1 to 10, which came only when the next one had sent 1 to 15.
    late, first, second = Segment(1, 10), Segment(1, 15), Segment(16, 20)
    assert chain([late, first, second]) == [first, second]
    # And here the next one had gone on behind lines 1 to 10.
    assert chain([Segment(1, 15), Segment(1, 10), Segment(11, 40)]) == [Segment(1, 10), Segment(11, 40)]


def test_a_segment_without_lines_is_in_no_chain():
    assert chain([Segment(1, 10), Segment(11, 10), Segment(1, 0)]) == [Segment(1, 10)]
