"""Each file of a shard is proved by itself, and a shard that is not there, or has another's name, is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from process import ssmd
from recorded import DAY, make_day

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.proof.advisories import advisories
from ssmd.proof.compact import candidates, compact
from ssmd.proof.missing import missing_files
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.verify import verify
from ssmd.store.file_kinds import DAY_FILES
from ssmd.store.inventory import data_files

DAYS = ("2026-09-20", "2026-09-21", "2026-09-22")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Three days of three shards. On the second, four have gone on at noon, and on the third there are four."""
    for day in DAYS[:2]:
        for index in (1, 2, 3):
            make_day(tmp_path, day, shard=Shard(index, 3), per_hour=20, connected=[(0, DAY / 2, "stopped")])
    for day in DAYS[1:]:
        for index in (1, 2, 3, 4):
            make_day(tmp_path, day, shard=Shard(index, 4), per_hour=20, connected=[(DAY / 2, DAY, "stopped")])
    return tmp_path


def notes(*paths: Path) -> list[str]:
    return list(advisories([verify(file) for file in data_files(paths)], paths))


def remove(storage: Path, day: str, stem: str) -> None:
    for kind in DAY_FILES:
        (storage / day / f"{stem}{kind.suffix}").unlink(missing_ok=True)


def rename(storage: Path, day: str, old: str, new: str) -> None:
    for path in (storage / day).iterdir():
        if path.name.startswith(f"{old}."):
            path.rename(path.with_name(new + path.name.removeprefix(old)))


def test_a_change_of_the_number_of_shards_is_neither_damage_nor_worth_a_note(storage):
    verdicts = [verify(file) for file in data_files([storage])]
    assert [verdict.file.stem for verdict in verdicts[3:10]] == [
        *(f"kalshi+{index}of3" for index in (1, 2, 3)),
        *(f"kalshi+{index}of4" for index in (1, 2, 3, 4)),
    ]
    assert [verdict.findings for verdict in verdicts] == [[]] * 14
    assert missing_files([storage], verdicts) == []
    assert list(advisories(verdicts, [storage])) == []


def test_a_verdict_names_its_file(storage):
    path = storage / DAYS[1] / "kalshi+2of4.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"KX-1"', b'"KX-2"', 1))
    code, out, _ = ssmd("verify", storage)
    assert code == 65
    assert sum("WRONG" in line for line in out.splitlines()) == 1
    assert f"{path}: line " in out
    assert any(line.split()[:2] == [DAYS[1], "kalshi+2of4"] and "WRONG" in line for line in out.splitlines())


def test_a_shard_without_data_beside_the_others_is_a_note(storage):
    remove(storage, DAYS[2], "kalshi+3of4")
    others = "although other shards of the same number are: it received nothing, did not run, or its files are missing"
    assert notes(storage) == [f"{storage}/{DAYS[2]}/kalshi+3of4.jsonl: is not here, {others}"]
    assert notes(storage / DAYS[2] / "kalshi+1of4.jsonl") == notes(storage / DAYS[2]) == notes(storage)
    remove(storage, DAYS[1], "kalshi+3of4")
    assert notes(storage) == [f"{storage}: on 2 days from {DAYS[1]} to {DAYS[2]} kalshi+3of4 is not here, {others}"]


def test_a_feed_of_which_lost_messages_do_not_show_gets_one_note(tmp_path):
    for day in DAYS[:2]:
        for index in (1, 2):
            path = make_day(tmp_path, day, shard=Shard(index, 2), per_hour=20, sealed=False)
            ledger = path.with_name(f"kalshi+{index}of2.ledger.jsonl")
            ledger.write_bytes(ledger.read_bytes().replace(b'"kalshi"', b'"generic"'))
    [note] = notes(tmp_path)
    assert note.startswith(f"{tmp_path}: on 2 of 2 days of kalshi lost messages")


def test_data_of_a_shard_whose_ledger_is_here_is_missing(storage):
    path = storage / DAYS[2] / "kalshi+3of4.jsonl"
    path.unlink()
    found = missing_files([storage], [verify(file) for file in data_files([storage])])
    assert found == [f"{path}: is missing; kalshi+3of4.manifest.json describes it"]


@pytest.mark.parametrize(
    ("new", "whose"),
    [("kalshi+4of5", "of the shard 3of4"), ("kalshi", "of the shard 3of4")],
)
def test_files_with_the_name_of_another_shard_are_found(storage, new, whose):
    rename(storage, DAYS[2], "kalshi+3of4", new)
    [file] = [file for file in data_files([storage / DAYS[2]]) if file.stem == new]
    texts = [finding.text for finding in verify(file).findings]
    assert texts == [f"was written by a run {whose}, by the ledger, and not by the file's name"]


def test_files_of_a_run_without_shards_cannot_pass_for_those_of_one(tmp_path):
    make_day(tmp_path, DAYS[0], per_hour=20)
    assert [verify(file).findings for file in data_files([tmp_path])] == [[]]
    rename(tmp_path, DAYS[0], "kalshi", "kalshi+1of2")
    [file] = data_files([tmp_path])
    assert [finding.text for finding in verify(file).findings] == [
        "was written by a run without shards, by the ledger, and not by the file's name"
    ]


def test_each_shard_is_compacted_by_itself(storage):
    make_day(storage, DAYS[0], shard=WHOLE, per_hour=20)
    for file in candidates(storage, "2026-09-30", "jsonl.zst"):
        if file.shard != Shard(2, 3):
            compact(file, ZstPacker(1), dry_run=False, progress=lambda done: None)
    assert sorted(path.name for path in (storage / DAYS[0]).glob("*.jsonl*") if "ledger" not in path.name) == [
        *("kalshi+1of3.jsonl.zst", "kalshi+2of3.jsonl", "kalshi+3of3.jsonl.zst", "kalshi.jsonl.zst")
    ]
    assert [verify(file).findings for file in data_files([storage])] == [[]] * 15
