"""A day that a kill or a power failure has left is repaired: nothing is removed, and the ledger says what is gone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from descriptors import nothing_left_open
from recorded import KALSHI, Happened, trade, write_day

from ssmd.errors import OutputError
from ssmd.store.repair import Repaired, repair
from ssmd.store.timestamps import day_begins

DAY = "2026-09-20"
NOW = day_begins(DAY) + 3600 * 10**9
TORN = b'{"ts":"2026-09'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    run: Happened = ((0, "started", KALSHI), (0, "connected", {}), (1, trade(1)), (2, trade(2)), (3, "stopped", {}))
    return write_day(tmp_path, DAY, *run, sealed=False)


def ledger_of(data: Path) -> Path:
    return data.with_name("kalshi.ledger.jsonl")


def events(data: Path) -> list[str]:
    return [json.loads(line)["event"] for line in ledger_of(data).read_bytes().splitlines()]


def tear(path: Path, end: bytes = TORN) -> None:
    with path.open("ab") as file:
        file.write(end)


def test_a_sound_day_is_left_as_it_is(data):
    before = {path: path.read_bytes() for path in data.parent.iterdir()}
    assert repair(data, "kalshi", NOW) == [Repaired(data), Repaired(ledger_of(data))]
    assert {path: path.read_bytes() for path in data.parent.iterdir()} == before


@pytest.mark.parametrize("end", [TORN, b"\0" * 500, b"\0" * 100 + b"\n"], ids=["cut", "NUL", "NUL and a newline"])
def test_a_torn_end_of_the_data_is_set_aside_and_noted(data, end):
    whole = data.read_bytes()
    tear(data, end)
    assert repair(data, "kalshi", NOW) == [Repaired(data, len(end)), Repaired(ledger_of(data))]
    assert (data.read_bytes(), data.with_name("kalshi.jsonl.torn").read_bytes()) == (whole, end + b"\n")
    *_, torn = map(json.loads, ledger_of(data).read_bytes().splitlines())
    assert (torn["event"], torn["bytes"], torn["offset"], torn["line"]) == ("torn", len(end), len(whole), 2)
    # Once repaired, it is sound.
    assert repair(data, "kalshi", NOW) == [Repaired(data), Repaired(ledger_of(data))]


def test_a_torn_end_of_the_ledger_is_set_aside_too(data):
    tear(ledger_of(data))
    assert repair(data, "kalshi", NOW) == [Repaired(data), Repaired(ledger_of(data), len(TORN))]
    assert events(data) == ["started", "connected", "stopped"]


def test_lines_that_the_ledger_counts_and_that_are_gone_are_noted(data):
    first, second = data.read_bytes().splitlines(keepends=True)
    os.truncate(data, len(first) + 5)
    lost = {"lines": 1, "bytes": len(second)}
    assert repair(data, "kalshi", NOW) == [Repaired(data, 5, lost), Repaired(ledger_of(data))]
    assert events(data)[-2:] == ["torn", "lost"]


def test_a_lost_ledger_is_not_made_again(data):
    """A new one would hide the loss, and describe a day without any run."""
    tear(data)
    ledger_of(data).unlink()
    assert repair(data, "kalshi", NOW) == [Repaired(data, len(TORN))]
    assert not ledger_of(data).exists()


def test_a_file_of_another_program_is_refused_and_not_changed(data):
    data.write_bytes(b"somebody's notes")
    with pytest.raises(OutputError, match="is not a file of ssmd"):
        repair(data, "kalshi", NOW)
    assert data.read_bytes() == b"somebody's notes"


def test_a_ledger_of_another_program_is_refused_and_closed_again(data):
    ledger_of(data).write_bytes(b"somebody's notes")
    with nothing_left_open(), pytest.raises(OutputError, match="is not a file of ssmd"):
        repair(data, "kalshi", NOW)
    assert ledger_of(data).read_bytes() == b"somebody's notes"
