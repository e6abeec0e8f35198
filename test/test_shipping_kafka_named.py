"""Under what a topic keeps a message, and whether that is the partition of its key."""

from __future__ import annotations

import pytest
from confluent_kafka import murmur2

from ssmd.shipping.kafka.named import Named, name_of

KEYS = [b"KX-%d" % number for number in range(40)]


def test_a_name_has_the_topic_and_the_key():
    assert name_of("feed", b"KX-1") == "topic feed, key KX-1"
    assert name_of("feed", None) == "topic feed, no key"
    assert name_of("feed", b"\xed\xa0\x80") == "topic feed, key \\xed\\xa0\\x80"


@pytest.mark.parametrize("partitions", [1, 3, 6])
def test_a_message_in_the_partition_of_its_key_has_no_partition_in_its_name(partitions):
    named = Named("feed", partitions)
    for key in [*KEYS, None]:
        assert named.of(key, murmur2(key or b"", partitions)) == name_of("feed", key)


def test_a_message_in_another_partition_has_it_in_its_name():
    named = Named("feed", 3)
    for key in KEYS:
        named.of(key, murmur2(key, 3))
    for key in KEYS:
        other = (murmur2(key, 3) + 1) % 3
        assert named.of(key, other) == f"topic feed, key {key.decode()}, partition {other}"


def test_what_was_written_before_a_topic_got_more_partitions_is_where_it_belongs():
    named = Named("feed", 6)
    for partitions in (2, 3, 6):
        for key in KEYS:
            assert named.of(key, murmur2(key, partitions)) == name_of("feed", key)
    assert "partition" in named.of(KEYS[0], (murmur2(KEYS[0], 6) + 1) % 6)
