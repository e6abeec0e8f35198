"""The files below a storage folder are found whatever path leads there, and what cannot be read is reported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from process import ssmd
from recorded import make_day

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import UsageError
from ssmd.proof.missing import missing_files
from ssmd.proof.verify import verify
from ssmd.store import inventory
from ssmd.store.inventory import (
    data_files,
    day_folders,
    in_any_form,
    other_forms,
    own_ledgers,
    own_manifests,
    packed_ledger,
)

DAY = "2025-09-21"
READERS = ("verify", "seal", "cat", "compact", "replay", "report")

# Root may read everything, unless it gives up these capabilities.
POWERS = "-dac_override,-dac_read_search"
POWERLESS = ("setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}") if os.geteuid() == 0 else ()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day in ("2025-09-20", DAY):
        make_day(tmp_path / "data", day, per_hour=2)
    return tmp_path / "data"


@pytest.fixture
def closed(storage: Path) -> Iterator[Path]:
    """A day's folder that cannot be opened."""
    folder = storage / DAY
    folder.chmod(0)
    yield folder
    folder.chmod(0o755)


def test_the_shards_of_a_day_are_files_beside_each_other(storage):
    folder = storage / DAY
    for name in ("kalshi+1of2.jsonl", "kalshi+2of2.jsonl.zst", "kalshi+2of2.jsonl", "kalshi+3of2.jsonl"):
        (folder / name).write_bytes(b"")
    (folder / "kalshi+1of2.ledger.jsonl").write_bytes(b"")
    assert [file.path.name for file in data_files([folder], "kalshi")] == [
        *("kalshi.jsonl", "kalshi+1of2.jsonl", "kalshi+2of2.jsonl")
    ]
    assert [file.path.name for file in data_files([folder], "kalshi", Shard(2, 2))] == ["kalshi+2of2.jsonl"]
    assert [file.path.name for file in data_files([folder], shard=WHOLE)] == ["kalshi.jsonl"]
    assert [other.path.name for other in other_forms(folder / "kalshi+2of2.jsonl")] == ["kalshi+2of2.jsonl.zst"]
    assert sorted(own_ledgers(folder)) == ["kalshi", "kalshi+1of2"]
    with pytest.raises(UsageError, match=r"is not named like data of ssmd"):
        data_files([folder / "kalshi+3of2.jsonl"])


def run(*arguments: str | Path) -> tuple[int, str]:
    """Run ssmd without the right to read everything; return its exit code and what it wrote to stderr."""
    ended = ssmd(*arguments, prefix=POWERLESS, SSMD_LOG_FORMAT="text")
    return ended.returncode, ended.stderr


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("command", READERS)
def test_a_folder_that_cannot_be_opened_is_one_line_and_65(closed, command):
    for path in (closed.parent, closed):
        code, err = run(command, path)
        assert (code, len(err.splitlines())) == (65, 1), err
        assert f"{closed}: cannot be read: Permission denied" in err


@pytest.mark.needs(*POWERLESS[:1])
def test_a_folder_whose_files_cannot_be_examined_is_one_line_and_65(closed):
    closed.chmod(0o444)
    code, err = run("verify", closed.parent)
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
        code, err = run(command, storage)
        # A day without its ledger is sealed as one that has none. Only verify looks for files that are not there.
        assert code == (65 if command == "verify" or (data and kind == "closed") else 0), err
        assert "bug" not in err


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("command", ["verify", "cat", "replay"])
def test_a_file_below_a_folder_that_cannot_be_opened_is_one_line_and_65(closed, command):
    for path in (closed / "kalshi.jsonl", closed / "other", closed / "raw.txt"):
        code, err = run(command, path)
        assert (code, len(err.splitlines())) == (65, 1), err
        assert f"{path}: cannot be read: Permission denied" in err


@pytest.mark.needs(*POWERLESS[:1])
@pytest.mark.parametrize("command", ["seal", "compact", "report"])
def test_a_storage_folder_below_a_folder_that_cannot_be_opened_is_one_line_and_65(closed, command):
    code, err = run(command, closed / "data")
    assert (code, len(err.splitlines())) == (65, 1), err
    assert f"{closed}/data: cannot be read: Permission denied" in err


def test_a_folder_that_was_removed_after_it_was_listed_is_passed_over(storage, monkeypatch):
    def cleared(root: Path) -> list[Path]:
        return [storage / "2025-09-19", *day_folders(root)]

    monkeypatch.setattr(inventory, "day_folders", cleared)
    assert [file.day for file in data_files([storage])] == ["2025-09-20", DAY]


def test_a_day_is_the_same_whatever_path_leads_to_it(storage, tmp_path, monkeypatch):
    (storage / "latest").symlink_to(DAY)
    (storage / DAY / "sub").mkdir()
    monkeypatch.chdir(storage / DAY / "sub")
    for path in (storage / "latest", Path(".."), Path("../.")):
        [file] = data_files([path])
        assert (file.day, file.path) == (DAY, path / "kalshi.jsonl")
        assert verify(file).findings == []
        assert missing_files([path], [verify(file)]) == []
        assert data_files([path / "kalshi.jsonl"]) == [file]
        assert data_files([path, storage / DAY]) == [file]
    for command in ("verify", "report", "compact"):
        assert run(command, storage / "latest") == (0, "")
    assert sorted(path.name for path in (storage / DAY).glob("kalshi.jsonl*")) == ["kalshi.jsonl.zst"]


def test_a_day_in_another_place_is_the_one_that_its_link_is_named_after(storage, tmp_path):
    (storage / DAY).rename(tmp_path / "elsewhere")
    (storage / DAY).symlink_to(tmp_path / "elsewhere")
    assert [file.day for file in data_files([storage])] == ["2025-09-20", DAY]
    assert [file.day for file in data_files([storage / DAY / "kalshi.jsonl"])] == [DAY]


def test_files_that_another_system_leaves_beside_those_of_a_feed_are_passed_over(storage):
    for name in ("._kalshi", "", "a b"):
        for ending in ("jsonl", "ledger.jsonl", "manifest.json"):
            (storage / DAY / f"{name}.{ending}").write_bytes(b"\0\5\26\7\xff")
    assert set(own_ledgers(storage / DAY)) == {"kalshi"}
    assert set(own_manifests(storage / DAY)) == {"kalshi"}
    files = data_files([storage])
    assert missing_files([storage], [verify(file) for file in files]) == []


def test_of_a_day_in_several_forms_the_plain_one_is_listed_and_the_others_are_its_other_forms(storage):
    plain = storage / DAY / "kalshi.jsonl"
    packed = [plain.with_name(f"kalshi.jsonl.{form}") for form in ("zst", "gz")]
    for path in packed:
        path.write_bytes(b"")
    [file] = data_files([storage / DAY])
    assert (file.path, file.form) == (plain, "jsonl")
    assert [other.path for other in other_forms(plain)] == packed
    assert [other.path for other in other_forms(packed[0])] == [plain, packed[1]]
    plain.unlink()
    [file] = data_files([storage / DAY])
    assert (file.path, file.form) == (packed[0], "jsonl.zst")


def test_a_file_that_is_gone_is_found_in_another_form_and_else_is_not_found(storage):
    plain = storage / DAY / "kalshi.jsonl"
    assert in_any_form(plain, Path.read_bytes) == plain.read_bytes()
    plain.unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(plain))):
        in_any_form(plain, Path.read_bytes)
    plain.with_name("kalshi.jsonl.gz").write_bytes(b"gz")
    assert in_any_form(plain, Path.read_bytes) == b"gz"
    with pytest.raises(FileNotFoundError):
        in_any_form(storage / "raw.txt", Path.read_bytes)


def test_only_the_files_of_the_wanted_feed_are_listed(storage):
    make_day(storage, DAY, feed="kraken", per_hour=2)
    assert [(file.day, file.feed) for file in data_files([storage])] == [
        ("2025-09-20", "kalshi"), (DAY, "kalshi"), (DAY, "kraken")
    ]  # fmt: skip
    assert [file.feed for file in data_files([storage], "kraken")] == ["kraken"]


@pytest.mark.parametrize(("form", "remedy"), [("zst", "zstd -d --rm"), ("gz", "gunzip")])
def test_a_compressed_ledger_is_no_data_and_is_named_with_the_command_that_unpacks_it(storage, form, remedy):
    folder = storage / DAY
    assert packed_ledger(folder, "kalshi") is None
    path = (folder / "kalshi.ledger.jsonl").rename(folder / f"kalshi.ledger.jsonl.{form}")
    assert [file.feed for file in data_files([folder])] == ["kalshi"]
    expected = f"is a compressed ledger; unpack it with `{remedy} {path}`"
    assert packed_ledger(folder, "kalshi") == f"{path.name} {expected}"
    with pytest.raises(UsageError, match=re.escape(f"{path}: {expected}")):
        data_files([path])
