"""`ssmd export` as a process: what it exports, what it leaves, and what a kill leaves behind."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from kills import killed_at
from market_days import DAY, write_market_day
from patience import PATIENCE
from process import ROOT, Ended, ssmd, start
from recorded import fail

from ssmd.contracts.shard import Shard
from ssmd.store.inventory import data_files
from ssmd.store.pruned import PrunedDay, write_pruned
from ssmd.tables.export.day import export_day
from ssmd.tables.export.folder import FolderTarget
from ssmd.tables.export.open import open_layout
from ssmd.tables.export.plan import Plan

DAYS = ("2026-11-25", "2026-11-26", DAY)
LAYOUTS = ("hive", "ssmd")
FOLDER = {"hive": "feed=kalshi", "ssmd": "kalshi"}

pytestmark = pytest.mark.one_day


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for seed, day in enumerate(DAYS):
        write_market_day(tmp_path / "data", day, count=100, seed=seed)
    return tmp_path / "data"


def export(storage: Path, layout: str, *options: str | Path) -> Ended:
    return ssmd("export", storage, "--to", storage.parent / "lake", "--layout", layout, *options)


def tree(storage: Path) -> dict[str, bytes]:
    """Return what a reader finds in the target: every file but the receipts, by its name."""
    lake = storage.parent / "lake"
    return {
        path.relative_to(lake).as_posix(): path.read_bytes()
        for path in sorted(lake.rglob("*"))
        if path.is_file() and "_ssmd" not in path.parts and path.name != "parquet-manifest.json"
    }


def receipts(storage: Path) -> dict[str, dict]:
    found = sorted((storage.parent / "lake" / "_ssmd").rglob("*"))
    assert all(path.suffix == ".json" for path in found if path.is_file())  # Nothing else is left.
    return {path.parent.name: json.loads(path.read_text()) for path in found if path.is_file()}


def test_all_sealed_days_are_exported_and_a_second_run_has_nothing_to_do(storage, layout):
    code, out, err = export(storage, layout)
    assert (code, err) == (0, "")
    for day, line in zip(DAYS, out.splitlines(), strict=True):
        assert re.fullmatch(
            rf"{re.escape(str(storage))}/{day}/kalshi.jsonl: exported, 100 lines to [0-9]+ files of [0-9,]+ bytes", line
        )
    before = tree(storage)
    for day in DAYS:
        manifest = json.loads((storage / day / "kalshi.manifest.json").read_text())
        receipt = receipts(storage)[day]
        assert receipt["source"] == {"sealed": True} | {key: manifest[key] for key in ("lines", "bytes", "sha256")}
        assert (receipt["feed"], receipt["day"], receipt["shard"], receipt["types"]) == ("kalshi", day, "", None)
        assert all(len(before[file["name"]]) == file["bytes"] for file in receipt["files"] if file["name"] in before)
    assert {day for day in DAYS for name in before if day in name} == set(DAYS)
    assert export(storage, layout) == (0, "3 days are exported already\n", "")
    assert tree(storage) == before


def test_a_day_that_has_changed_is_replaced_and_what_it_no_longer_has_is_removed(storage, layout):
    export(storage, layout)
    before = tree(storage)
    shutil.rmtree(storage / DAY)
    day = write_market_day(storage, count=3, seed=7)  # It has no trade.
    code, out, err = export(storage, layout)
    assert (code, err) == (0, "")
    assert out.startswith(f"{day}: exported again, 3 lines to ")
    after = tree(storage)
    assert {name: data for name, data in after.items() if DAY not in name} == {
        name: data for name, data in before.items() if DAY not in name
    }
    assert any("trade" in name for name in before if DAY in name)
    assert not any("trade" in name for name in after if DAY in name)


@pytest.mark.parametrize("damage", ["remove", "cut", "receipt"])
def test_what_is_missing_or_cut_off_is_exported_again(storage, layout, damage):
    export(storage, layout)
    before = tree(storage)
    victim = storage.parent / "lake" / next(name for name in before if DAYS[1] in name and "json" not in name)
    if damage == "remove":
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-10])
    else:
        [receipt] = (storage.parent / "lake" / "_ssmd" / DAYS[1]).glob("*.json")
        receipt.write_text("{}")
    code, out, _ = export(storage, layout)
    assert (code, out.count("\n"), f"/{DAYS[1]}/" in out) == (0, 1, True)
    assert tree(storage) == before


def test_a_day_that_was_pruned_before_it_was_exported_is_noted(storage, layout):
    export(storage, layout, "--day", DAYS[0])
    for day in DAYS[:2]:
        write_pruned(storage / day, "kalshi", PrunedDay("2026-11-27T00:17:00.000000Z", "s3://market-data/x", "00"))
        (storage / day / "kalshi.jsonl").unlink()
    code, _, err = export(storage, layout)
    assert (code, err.count("\n")) == (0, 1)
    assert f"kalshi on {DAYS[1]} is not here: `ssmd prune` has removed it, and s3://market-data/x has it" in err
    assert f"kalshi on {DAYS[1]} is not here" in export(storage, layout, "--day", DAYS[1]).stderr


def test_files_of_another_program_are_not_replaced(storage, layout):
    export(storage, layout)
    before = tree(storage)
    [receipt] = (storage.parent / "lake" / "_ssmd" / DAYS[1]).glob("*.json")
    receipt.unlink()
    code, _, err = export(storage, layout)
    assert code == 73
    assert f"{storage / DAYS[1] / 'kalshi.jsonl'}: is not exported: the target has {FOLDER[layout]}/" in err
    assert "which no export of ssmd has written" in err
    assert tree(storage) == before
    assert DAYS[1] not in receipts(storage)
    assert export(storage, layout, "--again", "--day", DAYS[1]).returncode == 0
    assert receipts(storage).keys() == set(DAYS)


def test_a_day_that_does_not_match_its_manifest_is_not_exported_and_the_others_are(storage, layout):
    wrong = storage / DAYS[1] / "kalshi.jsonl"
    data = wrong.read_bytes()
    wrong.write_bytes(data.replace(b'"sid":1', b'"sid":9', 1))
    code, out, err = export(storage, layout)
    assert code == 65
    assert err == (
        f"ssmd: {wrong}: does not match its manifest, so it is not exported. `ssmd verify` reports the details\n"
    )
    assert out.count(": exported, ") == 2
    assert not any(DAYS[1] in name for name in tree(storage))
    wrong.write_bytes(data)
    assert export(storage, layout).stdout.count(": exported, ") == 1


def test_a_manifest_that_cannot_be_read_stops_only_its_day(storage, layout):
    (storage / DAYS[0] / "kalshi.manifest.json").write_text("no manifest")
    code, out, err = export(storage, layout)
    assert (code, out.count(": exported, ")) == (65, 2)
    assert "kalshi.manifest.json: cannot be read" in err


def test_days_that_are_not_sealed_are_named_and_exported_only_when_asked(tmp_path, layout):
    storage, today = tmp_path / "data", datetime.now(UTC).date().isoformat()
    write_market_day(storage, today, count=40, sealed=False)
    only = "there is only today's data here, and today is not over; --unsealed exports it as it is\n"
    assert export(storage, layout) == (0, only, "")
    old = write_market_day(storage, DAYS[0], count=50, sealed=False)
    code, out, err = export(storage, layout)
    assert (code, err) == (0, "")
    reason = "is not sealed; `ssmd seal` does that, and --unsealed exports the lines that it has so far"
    assert out == f"{old}: {reason}\n"  # Nobody expects today's to be sealed.
    assert reason in export(storage, layout, "--day", today).stdout
    code, out, _ = export(storage, layout, "--unsealed")
    assert (code, out.count(": exported, ")) == (0, 2)
    assert export(storage, layout, "--unsealed").stdout == "2 days are exported already\n"
    assert receipts(storage)[today]["source"]["sealed"] is False
    more = write_market_day(storage, today, count=60, sealed=False)
    assert export(storage, layout, "--unsealed").stdout.startswith(f"{more}: exported again, 60 lines")
    assert ssmd("seal", storage).returncode == 0
    assert export(storage, layout).stdout == "1 day is exported already\n"


@pytest.mark.parametrize("form", ["zst", "gz", "parquet"])
def test_a_day_in_another_form_gives_the_same_files(storage, layout, form):
    export(storage, layout)
    before = tree(storage)
    shutil.rmtree(storage.parent / "lake")
    if form == "parquet":
        assert ssmd("compact", storage, "--parquet").returncode == 0
    for day in DAYS:
        path = storage / day / "kalshi.jsonl"
        assert path.exists() is (form != "parquet")
        if form == "zst":
            path.with_suffix(".jsonl.zst").write_bytes(zstandard.compress(path.read_bytes()))
            path.unlink()
        elif form == "gz":
            subprocess.run(["gzip", path], check=True)
    code, out, err = export(storage, layout)
    assert (code, out.count(": exported, 100 lines"), err) == (0, 3, "")
    assert tree(storage) == before


def test_only_the_wanted_days_feeds_and_types_are_exported(storage, layout):
    write_market_day(storage, feed="other", count=10)
    code, out, err = export(storage, layout, "--day", DAYS[0], "--day", DAY, "--feed", "kalshi", "--type", "trade")
    assert (code, out.count(": exported, "), err) == (0, 2, "")
    names = tree(storage)
    assert not any("other" in name or DAYS[1] in name or "ticker" in name for name in names)
    assert any("trade" in name for name in names)
    assert receipts(storage)[DAY]["types"] == ["trade"]
    assert export(storage, layout, "--day", DAY, "--type", "trade", "--feed", "kalshi").stdout == (
        "1 day is exported already\n"
    )
    code, out, _ = export(storage, layout, "--day", DAY, "--type", "ticker", "--feed", "kalshi")
    assert (code, out.count("\n")) == (0, 1)
    assert receipts(storage)[DAY]["types"] == ["ticker", "trade"]
    assert {name: data for name, data in tree(storage).items() if "trade" in name and layout == "hive"} == {
        name: data for name, data in names.items() if "trade" in name and layout == "hive"
    }
    export(storage, layout)
    assert receipts(storage)[DAY]["types"] is None
    shutil.rmtree(storage.parent / "lake")
    export(storage, layout)
    whole = tree(storage)
    shutil.rmtree(storage.parent / "lake")
    for kind in ("trade", "ticker"):
        export(storage, layout, "--type", kind)
    export(storage, layout)
    assert tree(storage) == whole


def test_a_type_that_is_misspelt_is_noted(storage, layout):
    code, _, err = export(storage, layout, "--type", "trades")
    assert (code, err) == (0, "ssmd: no message of these days has the type 'trades'; did you mean `trade`?\n")


def test_shards_have_files_beside_each_other(tmp_path, layout):
    for index in (1, 2):
        write_market_day(tmp_path / "data", shard=Shard(index, 2), count=100, seed=index)
    assert export(tmp_path / "data", layout).returncode == 0
    names = tree(tmp_path / "data")
    for index in (1, 2):
        assert any(f"{index}of2" in name for name in names)
    write_market_day(tmp_path / "data", shard=Shard(1, 2), count=90, seed=5)
    before = {name: data for name, data in names.items() if "2of2" in name}
    code, out, _ = export(tmp_path / "data", layout)
    assert (code, out.count("\n"), "exported again, 90 lines" in out) == (0, 1, True)
    assert {name: data for name, data in tree(tmp_path / "data").items() if "2of2" in name} == before


def test_several_jobs_give_the_same_files(storage, layout):
    export(storage, layout, "--jobs", "1")
    before = tree(storage)
    shutil.rmtree(storage.parent / "lake")
    code, out, err = export(storage, layout, "--jobs", "3")
    assert (code, out.count(": exported, "), err) == (0, 3, "")
    assert tree(storage) == before


def test_two_exports_at_once_are_one(storage, layout):
    lake = storage.parent / "lake"
    runs = [start("export", storage, "--to", lake, "--layout", layout) for _ in range(3)]
    for run in runs:
        _, err = run.communicate(timeout=PATIENCE)
        assert (run.returncode, err) == (0, "")
    assert export(storage, layout).stdout == "3 days are exported already\n"
    receipts(storage)


def test_a_day_that_another_export_holds_is_left(storage, layout):
    label = {"hive": "kalshi.hive", "ssmd": "kalshi.ssmd-all"}[layout]
    lock = storage.parent / "lake" / "_ssmd" / DAY / f"{label}.lock"
    lock.parent.mkdir(parents=True)
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, out, _ = export(storage, layout)
        assert (code, out.count(": exported, ")) == (0, 2)
        assert "another ssmd command is exporting it; left as it is" in out
    assert export(storage, layout).stdout.count(": exported, ") == 1


def test_a_kill_at_any_moment_leaves_only_whole_files_and_no_receipt_without_them(storage, layout):
    """A first export, and one that replaces a day, are each killed at each of their steps."""
    lake, target = storage.parent / "lake", FolderTarget(storage.parent / "lake")
    [file] = data_files([storage / DAY])
    kind = open_layout(layout, "all")

    def work() -> None:
        plan = Plan(target, kind, None)
        for job in plan.jobs([file], unsealed=False, left=lambda *why: fail(why)):
            export_day(job, target, kind, lambda done: None)

    def written(count: int) -> dict[str, bytes]:
        shutil.rmtree(storage / DAY)
        shutil.rmtree(lake, ignore_errors=True)
        write_market_day(storage, DAY, count=count)
        work()
        return tree(storage)

    old = written(9)
    shutil.copytree(lake, storage.parent / "old")
    new = written(12)
    for replaces in (False, True):
        step = 0
        while True:
            shutil.rmtree(lake)
            if replaces:
                shutil.copytree(storage.parent / "old", lake)
            killed = killed_at(step, work, "tables/export/folder.py", "tables/export/day.py")
            found = tree(storage)
            assert all(data in (old.get(name), new.get(name)) for name, data in found.items())
            if receipt := target.read(f"_ssmd/{DAY}/kalshi.{kind.name}.json"):
                source = json.loads(receipt)["source"]["lines"]
                assert found == (new if source == 12 else old)
            if not killed:
                break
            work()
            assert tree(storage) == new
            receipts(storage)
            step += 1
        assert step > 5


def test_a_target_that_cannot_be_written_is_one_clear_error(storage, layout):
    (storage.parent / "lake").write_text("a file")
    code, out, err = export(storage, layout)
    assert (code, out) == (73, "")
    assert err.startswith("ssmd: ")
    assert "lake" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--day", "20261127"], "--day is '20261127'; it must be a day such as 2025-12-22"),
        (["--day", "2026-11-28"], "there is no data of 2026-11-28 here"),
        (["--layout", "delta"], "--layout is 'delta'; it must be hive or ssmd"),
        (["--stream", "a/b"], "--stream is 'a/b'; it must be a name of letters, digits, dots and dashes"),
        (["--jobs", "0"], "--jobs is '0'; it must be a whole number from 1 to 99999"),
        (["--to", "gs://bucket"], "--to is 'gs://bucket'; it must be a folder, or a bucket such as s3://bucket/lake"),
        (["--to", "s3://"], "'s3://' is no address of a bucket; write s3://<bucket>/<prefix>"),
    ],
)
def test_a_wrong_option_is_one_clear_error(storage, options, error):
    to = [] if "--to" in options else ["--to", str(storage.parent / "lake")]
    code, out, err = ssmd("export", storage, *to, *options)
    assert (code, out, err) == (64, "", f"ssmd: {error}\n")
    assert not (storage.parent / "lake").exists()


def test_without_pyarrow_one_error_says_what_to_install(storage, layout):
    missing = storage.parent / "missing" / "pyarrow"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'pyarrow'\", name='pyarrow')")
    paths = f"{missing.parent}:{ROOT}"
    code, out, err = ssmd("export", storage, "--to", storage.parent / "lake", "--layout", layout, PYTHONPATH=paths)
    assert (code, out) == (78, "")
    assert err == (
        "ssmd: `ssmd export` needs the Python package pyarrow, which is not installed; run `bin/extras parquet` in a "
        "checkout, and elsewhere `pip install 'ssmd[parquet]'`\n"
    )
