"""What lies below a storage folder is found by whatever way leads there, and what cannot be looked into is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from process import ssmd
from recorded import make_day

from ssmd.proof.missing import missing_files
from ssmd.proof.verify import verify
from ssmd.store import inventory
from ssmd.store.inventory import data_files, day_folders, own_ledgers, own_manifests

DAY = "2025-09-21"
READERS = ("verify", "seal", "cat", "compact", "replay", "report")

# Root may look into everything, unless it gives that up.
POWERS = "-dac_override,-dac_read_search"
POWERLESS = ("setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}") if os.geteuid() == 0 else ()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day in ("2025-09-20", DAY):
        make_day(tmp_path / "data", day, per_hour=2)
    return tmp_path / "data"


@pytest.fixture
def closed(storage: Path) -> Iterator[Path]:
    """A day's folder that nobody may look into."""
    folder = storage / DAY
    folder.chmod(0)
    yield folder
    folder.chmod(0o755)


def told(*arguments: str | Path) -> tuple[int, str]:
    """The exit code, and what stands on stderr."""
    ended = ssmd(*arguments, prefix=POWERLESS, SSMD_LOG_FORMAT="text")
    return ended.returncode, ended.stderr


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("command", READERS)
def test_a_folder_that_cannot_be_looked_into_is_one_line_and_65(closed, command):
    for path in (closed.parent, closed):
        code, err = told(command, path)
        assert (code, len(err.splitlines())) == (65, 1), err
        assert f"{closed}: cannot be read: Permission denied" in err


@pytest.mark.needs(*POWERLESS[:1])
def test_a_folder_whose_files_cannot_be_looked_at_is_one_line_and_65(closed):
    closed.chmod(0o444)
    code, err = told("verify", closed.parent)
    assert (code, len(err.splitlines())) == (65, 1), err
    assert f"ssmd: {closed}/kalshi." in err


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("data", [True, False], ids=["its data is here", "its data is gone"])
@pytest.mark.parametrize("kind", ["a loop", "below a file", "closed"])
def test_a_ledger_that_is_a_link_and_cannot_be_followed_is_a_finding(storage, kind, data):
    folder, beside = storage / DAY, storage / "closed"
    ledger = folder / "kalshi.ledger.jsonl"
    ledger.unlink()
    (folder / "kalshi.manifest.json").unlink()
    ledger.symlink_to({"a loop": ledger, "below a file": folder / "kalshi.jsonl" / "x", "closed": beside / "x"}[kind])
    if not data:
        (folder / "kalshi.jsonl").unlink()
    beside.mkdir(mode=0)
    for command in ("verify", "seal", "report"):
        code, err = told(command, storage)
        # A day without its ledger is sealed as one that has none; what is not there, nobody but verify asks for.
        assert code == (65 if command == "verify" or (data and kind == "closed") else 0), err
        assert "bug" not in err


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("command", ["verify", "cat", "replay"])
def test_a_path_below_a_folder_that_cannot_be_looked_into_is_one_line_and_65(closed, command):
    for path in (closed / "kalshi.jsonl", closed / "other", closed / "raw.txt"):
        code, err = told(command, path)
        assert (code, len(err.splitlines())) == (65, 1), err
        assert f"{path}: cannot be read: Permission denied" in err


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("command", ["seal", "compact", "report"])
def test_a_storage_below_a_folder_that_cannot_be_looked_into_is_one_line_and_65(closed, command):
    code, err = told(command, closed / "data")
    assert (code, len(err.splitlines())) == (65, 1), err
    assert f"{closed}/data: cannot be read: Permission denied" in err


def test_a_folder_that_is_gone_since_it_was_listed_is_passed_over(storage, monkeypatch):
    def cleared(root: Path) -> list[Path]:
        return [storage / "2025-09-19", *day_folders(root)]

    monkeypatch.setattr(inventory, "day_folders", cleared)
    assert [file.day for file in data_files([storage])] == ["2025-09-20", DAY]


def test_a_day_is_the_same_by_whatever_way_one_gets_there(storage, tmp_path, monkeypatch):
    (storage / "latest").symlink_to(DAY)
    (storage / DAY / "sub").mkdir()
    monkeypatch.chdir(storage / DAY / "sub")
    for way in (storage / "latest", Path(".."), Path("../.")):
        [file] = data_files([way])
        assert (file.day, file.path) == (DAY, way / "kalshi.jsonl")
        assert verify(file).findings == []
        assert missing_files([way], [verify(file)]) == []
        assert data_files([way / "kalshi.jsonl"]) == [file]
        assert data_files([way, storage / DAY]) == [file]
    for command in ("verify", "report", "compact"):
        assert told(command, storage / "latest") == (0, "")
    assert sorted(path.name for path in (storage / DAY).glob("kalshi.jsonl*")) == ["kalshi.jsonl.zst"]


def test_a_day_that_lies_elsewhere_is_the_one_that_its_link_names(storage, tmp_path):
    (storage / DAY).rename(tmp_path / "elsewhere")
    (storage / DAY).symlink_to(tmp_path / "elsewhere")
    assert [file.day for file in data_files([storage])] == ["2025-09-20", DAY]
    assert [file.day for file in data_files([storage / DAY / "kalshi.jsonl"])] == [DAY]


def test_what_another_system_leaves_beside_a_file_is_no_file_of_a_feed(storage):
    for name in ("._kalshi", "", "a b"):
        for ending in ("jsonl", "ledger.jsonl", "manifest.json"):
            (storage / DAY / f"{name}.{ending}").write_bytes(b"\0\5\26\7\xff")
    assert set(own_ledgers(storage / DAY)) == {"kalshi"}
    assert set(own_manifests(storage / DAY)) == {"kalshi"}
    files = data_files([storage])
    assert missing_files([storage], [verify(file) for file in files]) == []
