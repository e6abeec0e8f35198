"""--shard and SSMD_SHARD."""

import pytest

from ssmd.commands.shard import shard_to_run
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import UsageError


def test_the_option_counts_before_the_variable():
    assert shard_to_run("2/4", {"SSMD_SHARD": "3/4"}) == Shard(2, 4)
    assert shard_to_run(None, {"SSMD_SHARD": "3/4"}) == Shard(3, 4)
    assert shard_to_run("1/1", {"SSMD_SHARD": "3/4"}) == WHOLE
    assert shard_to_run(None, {"SSMD_SHARD": ""}) == shard_to_run(None, {}) == WHOLE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0/4", "it must be a shard from 1/4 to 4/4"),
        ("5/4", "it must be a shard from 1/4 to 4/4"),
        ("1/0", "it must be one of 1 to 999 shards"),
        ("1/1000", "it must be one of 1 to 999 shards"),
        ("a", "it must be the number of a shard and how many there are, such as 2/4"),
        ("2of4", "it must be the number of a shard and how many there are, such as 2/4"),
        ("-1/4", "it must be the number of a shard and how many there are, such as 2/4"),
    ],
)
def test_what_is_no_shard_is_wrong_usage(text, reason):
    with pytest.raises(UsageError) as refused:
        shard_to_run(text, {})
    assert str(refused.value) == f"--shard is '{text}'; {reason}"
    with pytest.raises(UsageError) as refused:
        shard_to_run(None, {"SSMD_SHARD": text})
    assert str(refused.value) == f"SSMD_SHARD is '{text}'; {reason}"
