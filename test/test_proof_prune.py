"""Pruning removes a day's data only when all is proved, and what is left says where it is."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest
from kills import killed_at
from process import ssmd
from recorded import make_day

from ssmd.errors import DataError, EngineError, OutputError
from ssmd.proof.prune import Kept, Pruned, prunable, prune, remove_rests
from ssmd.proof.seal import unsealed
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.manifest import Manifest
from ssmd.store.pruned import is_pruned, read_pruned
from ssmd.store.timestamps import DAY_NS, day_begins
from ssmd.writer.day import open_locked

DAYS = ("2025-12-20", "2025-12-21", "2025-12-22")
NOW = day_begins("2025-12-24")


class Elsewhere:
    """A copy that lacks what a test says."""

    name = "s3://market-data/prod"

    def __init__(self, lack: str = "") -> None:
        self._lack = lack

    def lack(self, file: DayFile, manifest: Manifest) -> str:
        return self._lack


class Unreachable(Elsewhere):
    def lack(self, file: DayFile, manifest: Manifest) -> str:
        raise EngineError("the bucket cannot be reached")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day in DAYS:
        make_day(tmp_path / "data", day, per_hour=10, connected=[(0, 86_400, "rotated")])
    return tmp_path / "data"


def day(storage: Path, name: str = DAYS[0]) -> DayFile:
    [file] = data_files([storage / name])
    return file


def names(storage: Path, name: str = DAYS[0]) -> list[str]:
    return sorted(path.name for path in (storage / name).iterdir())


WITHOUT_DATA = ["kalshi.ledger.jsonl", "kalshi.manifest.json", "kalshi.pruned.json", "kalshi.shape.json"]


def test_the_data_goes_and_the_rest_stays(storage):
    size = day(storage).path.stat().st_size
    assert prune(day(storage), Elsewhere(), NOW) == Pruned(size)
    assert names(storage) == WITHOUT_DATA
    note = read_pruned(storage / DAYS[0], "kalshi")
    assert note is not None
    assert (note.pruned, note.copy) == ("2025-12-24T00:00:00.000000Z", Elsewhere.name)


def test_a_dry_run_removes_nothing(storage):
    before = names(storage)
    assert isinstance(prune(day(storage), Elsewhere(), NOW, dry_run=True), Pruned)
    assert names(storage) == before


def test_what_the_copy_lacks_is_the_reason(storage):
    before = names(storage)
    outcome = prune(day(storage), Elsewhere("is not complete in s3://market-data/prod"), NOW)
    assert outcome == Kept("is not complete in s3://market-data/prod")
    with pytest.raises(EngineError):
        prune(day(storage), Unreachable(), NOW)
    assert names(storage) == before


def test_a_day_that_is_not_sealed_stays(storage):
    (storage / DAYS[0] / "kalshi.manifest.json").unlink()
    assert prune(day(storage), Elsewhere(), NOW) == Kept("is not sealed yet")


def test_a_day_that_is_not_what_was_sealed_stays(storage):
    path = day(storage).path
    path.write_bytes(path.read_bytes().replace(b"0.4400", b"0.4500", 1))
    with pytest.raises(DataError, match="nothing is removed: it is not what was sealed"):
        prune(day(storage), Elsewhere(), NOW)
    assert "kalshi.jsonl" in names(storage)


def test_a_day_that_another_process_holds_stays(storage):
    with day(storage).path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert prune(day(storage), Elsewhere(), NOW) == Kept(
            "is being written, or another ssmd command is working on it"
        )


def test_a_day_behind_a_link_stays(storage, tmp_path):
    path = day(storage).path
    shutil.move(path, tmp_path / "far.jsonl")
    path.symlink_to(tmp_path / "far.jsonl")
    outcome = prune(day(storage), Elsewhere(), NOW)
    assert isinstance(outcome, Kept)
    assert "links are not pruned" in outcome.why


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_the_newest_days_stay(storage, keep):
    old = prunable(storage, frozenset(["kalshi"]), "2025-12-23", keep)
    assert [file.day for file in old] == list(DAYS[: 3 - keep])
    assert prunable(storage, frozenset(["gate"]), "2025-12-23", keep) == []


def test_today_is_never_pruned(storage):
    assert [file.day for file in prunable(storage, frozenset(["kalshi"]), DAYS[-1], 0)] == list(DAYS[:-1])


def test_a_kill_at_any_step_leaves_the_data_or_the_note(storage):
    file = day(storage)
    lines = file.path.read_bytes()
    step = 0
    while killed_at(step, lambda: prune(file, Elsewhere(), NOW), "proof/prune.py", "store/durable.py"):
        step += 1
        if file.path.exists():
            assert file.path.read_bytes() == lines
        else:
            assert is_pruned(storage / DAYS[0], "kalshi")
            file.path.write_bytes(lines)
    assert step > 10
    assert names(storage) == WITHOUT_DATA


def test_what_a_kill_leaves_of_a_day_in_parquet_the_next_run_removes(storage):
    assert ssmd("compact", storage, "--parquet").returncode == 0
    shutil.copytree(storage, whole := storage.parent / "whole")
    step, left = 1, 0
    while killed_at(step, lambda: prune(day(storage), Elsewhere(), NOW), "proof/prune.py", "store/durable.py"):
        step += 1
        rest = [name for name in names(storage) if name.endswith(".new")]
        left += "kalshi.parquet.new" in rest and "kalshi.parquet" not in names(storage)
        removed = remove_rests(storage, frozenset(["kalshi"]))
        assert [path.name for path in removed] == [name for name in rest if name == "kalshi.parquet.new"]
        data = "kalshi.parquet" in names(storage)
        assert data or (is_pruned(storage / DAYS[0], "kalshi") and "kalshi.parquet.new" not in names(storage))
        shutil.rmtree(storage)
        shutil.copytree(whole, storage)
    assert left


def test_what_another_command_is_making_is_not_removed(storage):
    for place in DAYS[:2]:
        (storage / place / "kalshi.parquet.new").mkdir()
    prune(day(storage, DAYS[1]), Elsewhere(), NOW)
    make_day(storage, DAYS[1], per_hour=10, connected=[(0, 86_400, "rotated")])
    assert remove_rests(storage, frozenset(["kalshi"])) == []
    assert remove_rests(storage, frozenset(["other"])) == []


def test_a_pruned_day_is_not_a_lost_day(storage):
    for name in DAYS[:2]:
        prune(day(storage, name), Elsewhere(), NOW)
    verified = ssmd("verify", storage)
    assert verified.returncode == 0, verified.stdout
    assert "is missing" not in verified.stdout
    assert (
        f"note: {storage}: kalshi on 2 days from 2025-12-20 to 2025-12-21 is not here: `ssmd prune` has removed it, "
        "and s3://market-data/prod has it"
    ) in verified.stdout
    assert unsealed(storage, "2025-12-24") == []
    assert "2025-12-20" in ssmd("report", storage, "--days", "5").stdout


def test_a_storage_with_pruned_days_alone_is_no_empty_one(storage):
    for name in DAYS:
        prune(day(storage, name), Elsewhere(), NOW)
    verified = ssmd("verify", storage)
    assert verified.returncode == 0, verified.stderr
    assert "3 days from 2025-12-20 to 2025-12-22" in verified.stdout


def test_a_day_that_is_lost_beside_pruned_ones_is_missing(storage):
    prune(day(storage), Elsewhere(), NOW)
    (storage / DAYS[1] / "kalshi.jsonl").unlink()
    verified = ssmd("verify", storage)
    assert verified.returncode == 65
    assert f"{storage}/{DAYS[1]}/kalshi.jsonl: is missing" in verified.stdout


def test_cat_says_what_it_cannot_print(storage):
    prune(day(storage), Elsewhere(), NOW)
    printed = ssmd("cat", storage)
    assert printed.returncode == 0
    assert "kalshi on 2025-12-20 is not here" in printed.stderr
    assert ssmd("cat", "--from", DAYS[1], storage).stderr == ""
    assert "no data here" in ssmd("cat", storage / DAYS[0]).stderr


def test_no_collector_begins_a_pruned_day_anew(storage):
    prune(day(storage), Elsewhere(), NOW)
    folder = storage / DAYS[0]
    with pytest.raises(OutputError, match="this day was pruned: its data is in s3://market-data/prod"):
        open_locked(folder / "kalshi.jsonl", folder / "kalshi.ledger.jsonl")
    assert names(storage) == WITHOUT_DATA


def test_data_that_was_put_back_counts_as_any_other(storage):
    kept = day(storage).path.read_bytes()
    prune(day(storage), Elsewhere(), NOW + DAY_NS)
    (storage / DAYS[0] / "kalshi.jsonl").write_bytes(kept)
    verified = ssmd("verify", storage)
    assert verified.returncode == 0
    assert "is not here" not in verified.stdout
