"""A position as engines keep it."""

import json

import pytest

from ssmd.contracts.sink import Position

POSITION = Position("kalshi", "2of4", "2026-01-31", 12345, 67)


def test_a_position_is_read_back_from_its_json():
    assert Position.decode(POSITION.encode()) == POSITION
    assert json.loads(POSITION.encode()) == {
        "feed": "kalshi", "shard": "2of4", "day": "2026-01-31", "offset": 12345, "line": 67
    }  # fmt: skip


def test_a_later_version_may_add_a_field():
    later = json.loads(POSITION.encode()) | {"more": 1}
    assert Position.decode(json.dumps(later).encode()) == POSITION


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'"x"', POSITION.encode().replace(b"12345", b'"12345"'), POSITION.encode()[:-1]]
)
def test_anything_else_is_no_position(data):
    with pytest.raises(ValueError, match="it is no position of ssmd"):
        Position.decode(data)


def test_positions_of_a_shard_sort_by_day_and_offset():
    assert sorted([POSITION._replace(day="2026-02-01", offset=0), POSITION, POSITION._replace(offset=2)])[0].offset == 2
