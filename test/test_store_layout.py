"""The names of a storage folder's files: each names one day and one feed, and no two feeds share one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.store.file_kinds import DAY_FILES, LEDGER, MANIFEST
from ssmd.store.layout import (
    FEED,
    FORMS,
    RESERVED_ENDINGS,
    DayFile,
    data_path,
    day_of,
    errors_path,
    feed_and_shard,
    forms_of,
    ledger_path,
    lock_path,
    manifest_path,
    pruned_path,
    read_name,
    shape_path,
    torn_path,
)

FOLDER = Path("/data/2026-01-31")

pieces = st.sampled_from(
    ["a", "-", "1", ".", ".jsonl", ".zst", ".gz", ".ledger", ".manifest", ".shape", ".json", ".torn"]
)
feeds = (
    st.lists(pieces, min_size=1, max_size=4)
    .map("".join)
    .filter(lambda name: FEED.fullmatch(name) is not None and not name.endswith(RESERVED_ENDINGS))
)
shards = st.sampled_from([WHOLE, Shard(1, 2), Shard(2, 4), Shard(10, 12)])


def test_the_files_of_a_day_are_those_of_the_list():
    """Whoever uploads, verifies or removes files goes by this list."""
    suffixes = {kind.suffix: (kind.uploaded, kind.verified, kind.pruned) for kind in DAY_FILES}
    assert suffixes == {
        ".jsonl": (True, True, True),
        ".jsonl.zst": (True, True, True),
        ".jsonl.gz": (True, True, True),
        ".parquet": (True, True, True),
        ".ledger.jsonl": (True, True, False),
        ".manifest.json": (True, True, False),
        ".shape.json": (True, True, False),
        ".pruned.json": (False, False, False),
        ".jsonl.torn": (True, False, False),
        ".ledger.jsonl.torn": (True, False, False),
    }
    written = [data_path, ledger_path, manifest_path, shape_path, pruned_path]
    names = {path(FOLDER, "kalshi").name for path in written} | {path.name for path in forms_of(FOLDER, "kalshi")}
    names |= {torn_path(path(FOLDER, "kalshi")).name for path in (data_path, ledger_path)}
    assert names == {f"kalshi{suffix}" for suffix in suffixes}


def test_the_forms_of_the_data_are_in_the_order_in_which_they_are_read():
    assert FORMS == ("jsonl", "jsonl.zst", "jsonl.gz", "parquet")
    assert forms_of(FOLDER, "kalshi") == [FOLDER / f"kalshi.{form}" for form in FORMS]


@given(feeds, shards, feeds, shards)
def test_two_feeds_or_shards_never_have_a_file_of_the_same_name(one, part, other, its_part):
    stem, its_stem = part.stem(one), its_part.stem(other)
    shared = {stem + kind.suffix for kind in DAY_FILES} & {its_stem + kind.suffix for kind in DAY_FILES}
    assert not shared or (one, part) == (other, its_part)


@given(feeds, shards, st.sampled_from(DAY_FILES))
def test_the_name_of_a_data_file_gives_feed_shard_and_form_back_and_no_other_name_does(feed, shard, kind):
    path = FOLDER / f"{shard.stem(feed)}{kind.suffix}"
    file = read_name(path)
    expected = DayFile("2026-01-31", feed, shard, kind.suffix[1:], path) if kind.pruned else None
    assert file == expected
    assert file is None or file.stem == shard.stem(feed)


@given(feeds, shards)
def test_a_stem_gives_feed_and_shard_back(feed, shard):
    assert feed_and_shard(shard.stem(feed)) == (feed, shard)


@pytest.mark.parametrize(
    "stem",
    ["a+0of4", "a+5of4", "a+01of4", "a+1of04", "a+of", "a+", "a+1of1", "a+b", "+1of2", "a+1of2+1of2", "a+1of1000"],
)
def test_other_names_with_a_plus_are_of_no_feed_and_no_shard(stem):
    assert feed_and_shard(stem) is None
    assert [read_name(path) for path in forms_of(FOLDER, stem)] == [None] * len(FORMS)


def test_files_are_in_the_order_of_day_feed_number_of_shards_and_shard():
    stems = ["a+10of12", "a+2of12", "a", "a+2of2", "a.listing", "b+1of2"]
    days = [FOLDER.parent / "2026-01-30", FOLDER]
    files = sorted(file for day in days for stem in stems if (file := read_name(data_path(day, stem))))
    ordered = ["a", "a+2of2", "a+2of12", "a+10of12", "a.listing", "b+1of2"]
    assert [(file.day, file.stem) for file in files] == [(day.name, stem) for day in days for stem in ordered]


@pytest.mark.parametrize("ending", [LEDGER, MANIFEST, f"{LEDGER}.zst", f"{LEDGER}.gz", ".jsonl.zst.new", ".jsonl.xz"])
def test_other_files_of_a_day_are_no_data(ending):
    assert read_name(FOLDER / f"kalshi{ending}") is None


@pytest.mark.parametrize("name", [".jsonl", "._kalshi.jsonl", "a b.jsonl", "-a.jsonl", "k\u00e4.jsonl"])
def test_a_name_that_no_feed_can_have_is_no_data(name):
    assert read_name(FOLDER / name) is None


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("2026-01-31", "2026-01-31"),
        ("2024-02-29", "2024-02-29"),
        ("2026-02-29", None),
        ("20260131", None),
        ("2026-W05-6", None),
        ("2026-1-31", None),
        ("2026-01-31.old", None),
        ("latest", None),
    ],
)
def test_a_folder_is_of_the_day_that_it_is_named_after(name, day):
    assert day_of(Path("/data") / name) == day
    file = read_name(Path("/data") / name / "kalshi.jsonl")
    assert file is not None
    assert file.day == (day or "")


def test_a_link_to_a_day_is_that_day_whatever_its_name(tmp_path):
    (tmp_path / "2026-01-31").mkdir()
    (tmp_path / "latest").symlink_to("2026-01-31")
    (tmp_path / "disk").mkdir()
    (tmp_path / "2026-02-01").symlink_to("disk")
    for folder, day in (("latest", "2026-01-31"), ("2026-02-01", "2026-02-01"), ("disk", "")):
        file = read_name(tmp_path / folder / "kalshi.jsonl")
        assert file is not None
        assert file.day == day
    assert read_name(tmp_path / "disk" / "kalshi.jsonl", "2026-02-01") == DayFile(
        "2026-02-01", "kalshi", WHOLE, "jsonl", tmp_path / "disk" / "kalshi.jsonl"
    )


def test_the_small_files_of_a_feed_are_hidden_in_the_storage_folder():
    assert lock_path(Path("/data"), "kalshi") == Path("/data/.kalshi.lock")
    assert errors_path(Path("/data"), "kalshi") == Path("/data/.kalshi.errors")
    assert lock_path(Path("/data"), "kalshi+2of4") == Path("/data/.kalshi+2of4.lock")
