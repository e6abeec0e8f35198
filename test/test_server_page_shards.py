"""The other shards on the page of one."""

from __future__ import annotations

import pytest
from test_server_status import NOW, SECOND
from test_server_verdict import BEGIN

from ssmd.contracts.shard import Shard
from ssmd.contracts.strip import LISTENING, OUTAGE, Piece, ShardToday, Strip
from ssmd.server.page.shards import shard_text, shards_of
from ssmd.store.timestamps import DAY_NS

HERE = Piece(BEGIN, NOW - 94 * SECOND, LISTENING)
AWAY = Piece(NOW - 94 * SECOND, NOW, OUTAGE, "killed")
DASHBOARD = "ssmd dashboard shows all shards on one page."


def test_each_other_shard_has_a_row():
    others = [
        ShardToday(Shard(2, 20), Strip("2026-09-21", [HERE], gaps_ns=(NOW, NOW)), is_connected=True, read_ns=NOW),
        ShardToday(Shard(3, 20), Strip("2026-09-21", [HERE, AWAY]), is_connected=False, read_ns=NOW),
        ShardToday(Shard(4, 20), None, is_connected=False, read_ns=NOW),
    ]
    found = shards_of("1of20", others, NOW)
    assert found is not None
    assert found["note"].startswith("This page shows shard 1 of 20. ")
    assert [tuple(row.values()) for row in found["rows"]] == [
        ("shard 2 of 20", "connected", "good", "00:00 UTC, for 14 h 13 min", "2"),
        (
            *("shard 3 of 20", "not connected", "bad"),
            "14:11:46 UTC, for 94 s: the collector was killed, or its host lost power",
            "0",
        ),
        ("shard 4 of 20", "not known", "", "no ledger of today here", "?"),
    ]
    assert found["more"] == 16


@pytest.mark.parametrize("age", [61 * SECOND, 15 * 3600 * SECOND])
def test_what_was_read_too_long_ago_is_not_shown_as_the_present(age):
    others = [
        ShardToday(Shard(2, 3), Strip("2026-09-21", [HERE]), is_connected=True, read_ns=NOW - age),
        ShardToday(Shard(3, 3), None, is_connected=False, read_ns=NOW - age),
    ]
    found = shards_of("1of3", others, NOW)
    assert found is not None
    assert "The ledgers were last read at " in found["note"]
    assert [(row["state"], row["grade"], row["since"], row["gaps"]) for row in found["rows"]] == [
        ("not known", "", "", "?"),
        ("not known", "", "", "?"),
    ]


def test_what_was_read_before_midnight_is_not_shown_after_it():
    midnight = BEGIN + DAY_NS
    others = [ShardToday(Shard(2, 2), Strip("2026-09-21", [HERE]), is_connected=True, read_ns=midnight - SECOND)]
    for now_ns, state in ((midnight - 1, "connected"), (midnight + SECOND, "not known")):
        found = shards_of("1of2", others, now_ns)
        assert found is not None
        assert [row["state"] for row in found["rows"]] == [state]


def test_without_ledgers_of_the_others_it_says_where_they_are_shown():
    others = [ShardToday(Shard(1, 2), None, is_connected=False, read_ns=NOW)]
    assert shards_of("2of2", others, NOW) == {
        "note": f"This page shows shard 2 of 2 only: the others have no ledger of today on this disk. {DASHBOARD}",
        "rows": [],
        "more": 0,
    }
    assert shards_of("2of2", None, NOW) == {
        "note": f"This page shows shard 2 of 2 only. {DASHBOARD}",
        "rows": [],
        "more": 0,
    }


def test_a_feed_without_shards_has_none():
    assert (shards_of("", None, NOW), shard_text(""), shard_text("1of2")) == (None, "", "shard 1 of 2")
