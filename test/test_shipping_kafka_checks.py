"""Warnings about the settings of topics."""

from __future__ import annotations

import pytest

from ssmd.shipping.kafka.checks import of_data, of_positions

GOOD = {
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}


def test_good_settings_need_no_warning():
    assert list(of_data("x", 3, GOOD)) == []
    assert list(of_data("x", 3, GOOD | {"retention.ms": "-1"})) == []
    assert list(of_positions("x.position", 3, GOOD | {"cleanup.policy": "compact"})) == []


def test_of_settings_that_are_not_known_nothing_is_said():
    assert list(of_data("x", 3, {})) == []
    assert list(of_positions("x.position", 3, {})) == []


@pytest.mark.parametrize(
    ("setting", "value", "said", "remedy"),
    [
        ("cleanup.policy", "compact", "only the newest message of each market stays", "cleanup.policy=delete"),
        ("cleanup.policy", "compact,delete", "only the newest message of each market stays", "cleanup.policy=delete"),
        ("retention.ms", "3600000", "for 1.0 hours only", "retention.ms to a day"),
        ("max.message.bytes", "10000", "10,000 bytes", "max.message.bytes to 1,000,000"),
        ("min.insync.replicas", "1", "no other broker has", "min.insync.replicas=2"),
        ("min.insync.replicas", "3", "while one broker is down", "one less"),
        ("unclean.leader.election.enable", "true", "they are lost", "unclean.leader.election.enable=false"),
    ],
)
def test_a_setting_that_loses_messages_has_a_warning_with_its_remedy(setting, value, said, remedy):
    (warning,) = of_data("x", 3, GOOD | {setting: value})
    assert "the topic x " in warning
    assert said in warning
    assert remedy in warning


def test_one_replica_is_lost_with_its_disk():
    (warning,) = of_data("x", 1, GOOD | {"min.insync.replicas": "1"})
    assert "give the topic three replicas" in warning


def test_positions_that_are_not_compacted_are_lost_in_time():
    (warning,) = of_positions("x.position", 3, GOOD)
    assert "cleanup.policy=delete, so the position is lost" in warning
    assert "set cleanup.policy=compact" in warning
