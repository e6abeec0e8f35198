"""What a listing of a bucket means: complete days, days in segments, and what is of no interest."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ssmd.bucket.listing import Listing

DAY = "2025-12-22"


class Object(NamedTuple):
    name: str
    size: int = 10


def listing(*names: str) -> Listing:
    return Listing(map(Object, names))


def segment(first: int, last: int, ending: str = ".jsonl.zst", stem: str = "kalshi") -> str:
    return f"{DAY}/live/{stem}/{first:012}-{last:012}{ending}"


def both(first: int, last: int) -> list[str]:
    return [segment(first, last), segment(first, last, ".ledger.jsonl")]


SEALED = [f"{DAY}/kalshi.jsonl.zst", f"{DAY}/kalshi.ledger.jsonl", f"{DAY}/kalshi.manifest.json"]
PARQUET = [f"{DAY}/gate+1of2.parquet/type=trade/part-0000.parquet", f"{DAY}/gate+1of2.manifest.json"]


def test_a_day_with_its_manifest_is_its_files():
    found = listing(*SEALED, *PARQUET, *both(1, 5))
    assert sorted(name for name, _ in found.files()) == sorted([*SEALED, *PARQUET])
    assert list(found.live()) == []
    assert found.days() == [DAY]


def test_a_day_without_its_manifest_is_its_segments():
    end = segment(9, 8, ".ledger.jsonl")
    found = listing(SEALED[0], *both(1, 5), *both(6, 8), *both(1, 3), segment(4, 3, ".ledger.jsonl"), end)
    assert list(found.files()) == []
    [(day, stem, live)] = found.live()
    assert (day, stem, live.lines, live.bytes) == (DAY, "kalshi", 8, 20)
    assert live.data == (segment(1, 5), segment(6, 8))
    assert live.ledger == (segment(1, 5, ".ledger.jsonl"), segment(6, 8, ".ledger.jsonl"), end)
    assert live.without_ledger == ()


def test_lines_without_their_part_of_the_ledger_are_named():
    [(_, _, live)] = listing(*both(1, 5), segment(6, 8)).live()
    assert live.without_ledger == (segment(6, 8),)


def test_without_manifest_and_segments_there_are_the_files_that_are_there():
    assert [name for name, _ in listing(SEALED[0], SEALED[1]).files()] == SEALED[:2]


@pytest.mark.parametrize(
    "name",
    [
        "",
        DAY,
        f"{DAY}/",
        "notes.txt",
        "2025-13-01/kalshi.jsonl",
        f"{DAY}/notes.txt",
        f"{DAY}/.kalshi.jsonl",
        f"{DAY}/../kalshi.jsonl",
        f"{DAY}//kalshi.jsonl",
        f"{DAY}/live/../../x.jsonl.zst",
        f"{DAY}/live/kalshi/1-5.jsonl.zst",
        f"{DAY}/live/kalshi/deeper/000000000001-000000000005.jsonl.zst",
        f"{DAY}/kalshi+5of4.jsonl",
        f"{DAY}/kalshi.ledger.jsonl.zst",
        f"{DAY}/kalshi.pruned.json",
        f"{DAY}/kalshi.parquet/type=trade/../part-0000.parquet",
        f"{DAY}/kalshi.parquet/part-0000.parquet",
    ],
)
def test_what_is_no_file_of_a_day_is_left_out(name):
    found = listing(name)
    assert list(found.files()) == []
    assert list(found.live()) == []
