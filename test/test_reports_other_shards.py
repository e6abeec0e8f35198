"""The other shards of a feed as their ledgers say: with real collectors, one of which is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from exchange_server import eventually
from process import Simulator
from recorded_runs import Run, at
from test_shards import collector

from ssmd.contracts.shard import Shard
from ssmd.contracts.strip import LISTENING, OUTAGE, Piece
from ssmd.reports.other_shards import MOST_SHARDS_READ, OtherShards
from ssmd.store.ledger import Entry, encode_entry

pytestmark = pytest.mark.one_day


def test_a_shard_that_runs_and_one_that_was_killed(tmp_path):
    with (
        Simulator("--rate", "200") as simulator,
        collector(tmp_path, simulator, Shard(1, 2)) as first,
        collector(tmp_path, simulator, Shard(2, 2)) as second,
    ):
        others = OtherShards(tmp_path / "data", "test", Shard(1, 2), time.time_ns)
        eventually(lambda: others.read()[0].is_connected)
        [there] = others.read()
        assert there.strip is not None
        assert (there.shard, there.strip.pieces[-1].kind) == (Shard(2, 2), LISTENING)
        eventually(lambda: '<td data-name="since">' in first.get("/")[1])
        page = first.get("/")[1]
        assert "<span>shard 1 of 2</span>" in page
        assert "The table shows the others, from their ledgers in the same folder." in page
        second.process.kill()
        second.wait()
        [gone] = others.read()
        assert gone.strip is not None
        assert (gone.is_connected, gone.strip.pieces[-1].kind, gone.strip.pieces[-1].cause) == (False, OUTAGE, "killed")


def killed_shard(storage: Path) -> OtherShards:
    """Record a shard that was killed at 15:00, hours after the last entry of its ledger; return it, read at 16:00."""
    run = Run(storage, at("22T10:00:00"))
    run.note("connected", at("22T10:00:00"))
    run.message(at("22T15:00:00"))
    run.kill()
    for path in (storage / "2025-12-22").iterdir():
        path.rename(path.with_name(path.name.replace("kalshi.", "kalshi+2of2.")))
    return OtherShards(storage, "kalshi", Shard(1, 2), lambda: at("22T16:00:00"))


def test_the_outage_of_a_shard_that_was_killed_begins_with_its_last_line(tmp_path):
    [gone] = killed_shard(tmp_path).read()
    assert gone.strip is not None
    assert gone.strip.pieces[-1] == Piece(at("22T15:00:00"), at("22T16:00:00"), OUTAGE, "killed")
    assert not gone.is_connected


def test_a_ledger_is_read_again_only_when_it_has_changed(tmp_path):
    others = killed_shard(tmp_path)
    ledger = tmp_path / "2025-12-22" / "kalshi+2of2.ledger.jsonl"
    content, changed = ledger.read_bytes(), ledger.stat().st_mtime_ns
    before = others.read()
    ledger.write_bytes(b"x" * len(content))
    os.utime(ledger, ns=(changed, changed))
    assert others.read() == before
    ledger.write_bytes(content)
    with open(ledger, "ab") as file:
        file.write(encode_entry(Entry(at("22T15:30:00"), "stopped", 0, 0, {"reason": "SIGTERM"})))
    [stopped] = others.read()
    assert stopped.strip is not None
    assert (stopped.strip.pieces[-1].begin_ns, stopped.strip.pieces[-1].cause) == (at("22T15:30:00"), "stopped")
    ledger.unlink()
    [gone] = others.read()
    assert gone.strip is None


def test_of_shards_on_other_disks_nothing_is_known_and_of_hundreds_the_first_are_read(tmp_path):
    found = OtherShards(tmp_path, "test", Shard(2, 900), time.time_ns).read()
    assert [one.shard.index for one in found] == [1, *range(3, MOST_SHARDS_READ + 2)]
    assert {one.strip for one in found} == {None}
