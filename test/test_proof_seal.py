"""Sealing: a day is sealed once, not while it is written, and a torn one is repaired first."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

from process import ssmd
from recorded_runs import (
    BEGIN,
    SECOND,
    data_in,
    findings_in,
    ledger_in,
    manifest_in,
    open_writer,
)

from ssmd.store.joining import joined_path


def test_a_sealed_day_and_a_held_file_are_left_alone(own_storage, status, metrics):
    manifest = manifest_in(own_storage)
    before = manifest.read_bytes()
    assert ssmd("seal", own_storage).returncode == 0
    assert manifest.read_bytes() == before
    manifest.unlink()
    writer = open_writer(own_storage, BEGIN + SECOND, status, metrics)
    done = ssmd("seal", own_storage)
    assert (done.returncode, "is being written" in done.stdout, manifest.exists()) == (0, True, False)
    writer.close()
    assert "sealed, 2,500 lines" in ssmd("seal", own_storage).stdout
    assert findings_in(own_storage) == []


def test_parts_of_a_day_that_were_being_put_together_are_completed_first(own_storage):
    """A kill right after the rename of the data has left the ledger under its other name."""
    manifest_in(own_storage).unlink()
    ledger = ledger_in(own_storage)
    right = ledger.read_bytes()
    joined_path(ledger).write_bytes(right)
    ledger.write_bytes(right.splitlines(keepends=True)[0])
    assert ssmd("seal", own_storage).returncode == 0
    assert ledger.read_bytes() == right
    assert not joined_path(ledger).exists()
    assert findings_in(own_storage) == []


def tear(storage: Path, *, hours_ago: float) -> list[Path]:
    """Leave a data file and a ledger that end in the middle of a line, last written to so many hours ago."""
    paths = [data_in(storage), ledger_in(storage)]
    manifest_in(storage).unlink()
    for path in paths:
        with path.open("ab") as file:
            file.write(b'{"ts":"2025')
        os.utime(path, (time.time() - 3600 * hours_ago,) * 2)
    return paths


def test_a_torn_day_is_repaired_and_sealed(own_storage):
    """On a copied day no collector may ever start, which would repair it."""
    whole = data_in(own_storage).read_bytes()
    paths = tear(own_storage, hours_ago=2)
    printed = ssmd("seal", own_storage).stdout
    assert "kalshi.jsonl: 11 bytes of a torn line set aside, in kalshi.jsonl.torn\n" in printed
    assert "sealed, 2,500 lines" in printed
    assert data_in(own_storage).read_bytes() == whole
    for path in paths:
        assert path.with_name(path.name + ".torn").read_bytes() == b'{"ts":"2025\n'
    assert b'"event":"torn"' in paths[1].read_bytes().splitlines()[-1]
    assert findings_in(own_storage) == []


def test_a_torn_day_that_was_just_written_to_is_left_alone(own_storage):
    """Somebody may still be copying it."""
    paths = tear(own_storage, hours_ago=0.5)
    before = [path.read_bytes() for path in paths]
    done = ssmd("seal", own_storage)
    assert (done.returncode, done.stderr.count("\n")) == (65, 1)
    assert "it was written to within the last hour, so try again later" in done.stderr
    assert [path.read_bytes() for path in paths] == before


def test_a_torn_day_without_a_ledger_gets_none(own_storage):
    _, ledger = tear(own_storage, hours_ago=2)
    ledger.unlink()
    assert ssmd("seal", own_storage).returncode == 0
    assert not ledger.exists()
    assert [text for _, text in findings_in(own_storage)] == [
        "has no ledger: it is lost, or the day was recorded by a version that wrote none"
    ]


def test_a_torn_day_that_is_compressed_is_not_sealed(own_storage):
    manifest_in(own_storage).unlink()
    packed = data_in(own_storage).with_name("kalshi.jsonl.gz")
    packed.write_bytes(gzip.compress(data_in(own_storage).read_bytes() + b"{"))
    data_in(own_storage).unlink()
    done = ssmd("seal", own_storage)
    assert (done.returncode, "its last line, or its ledger's, is not whole" in done.stderr) == (65, True)
    assert not manifest_in(own_storage).exists()


def test_a_torn_day_that_cannot_be_repaired_is_one_line_and_73(own_storage):
    tear(own_storage, hours_ago=2)
    before = data_in(own_storage).read_bytes()
    data_in(own_storage).with_name("kalshi.jsonl.torn").mkdir()
    done = ssmd("seal", own_storage)
    assert (done.returncode, done.stderr.count("\n")) == (73, 1)
    assert "kalshi.jsonl.torn: Is a directory" in done.stderr
    assert data_in(own_storage).read_bytes() == before
