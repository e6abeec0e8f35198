"""An export into a bucket of a real S3 server, and the questions of docs/lake.md from there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from kills import killed_at
from lake_queries import QUESTIONS, answer, rounded, rows_of, statement
from market_days import DAY, messages, write_market_day
from process import Ended, ssmd
from recorded import fail
from s3_server import BUCKET, KEY, READER, S3Server
from s3_storage import environment

from ssmd.bucket.address import Address
from ssmd.store.inventory import data_files
from ssmd.tables.export import in_bucket
from ssmd.tables.export.day import export_day
from ssmd.tables.export.in_bucket import BucketTarget
from ssmd.tables.export.open import open_layout
from ssmd.tables.export.plan import Plan

SENT: dict[str, Any] = {"count": 5_000, "lost": (100, 3_000, 3_001, 4_900), "burst": 300}
LAKE = f"s3://{BUCKET}/lake"




@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("storage")
    write_market_day(root / "data", **SENT)
    return root / "data"


def export(server: S3Server, storage: Path, to: str = LAKE, *options: str, key: dict[str, str] = KEY) -> Ended:
    return ssmd("export", storage, "--to", to, *options, **environment(server.endpoint, key, storage.parent))


def objects(server: S3Server, prefix: str) -> dict[str, bytes]:
    bucket = server.bucket(Address(BUCKET, prefix))
    return {found.name: bucket.get(found.name) for found in bucket.list()}


@pytest.fixture(scope="module")
def exported(server: S3Server, storage: Path) -> dict[str, bytes]:
    code, out, err = export(server, storage)
    assert (code, err) == (0, "")
    assert "exported, 5,300 lines to 3 files" in out
    return objects(server, "lake")


def extension() -> Path:
    """Return the file of DuckDB's httpfs, from the package of its version."""
    found = importlib.util.find_spec("duckdb_extension_httpfs")
    assert found is not None, "duckdb-extension-httpfs is not installed"
    return Path(str(found.origin)).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_one_statement(server, exported, question, tmp_path):
    [secret] = re.findall(r"CREATE SECRET \((.*)\);", Path("docs/lake.md").read_text())
    secret = secret.replace("my-key", READER["access_key_id"]).replace("my-secret", READER["secret_access_key"])
    host = server.endpoint.removeprefix("http://")
    database = duckdb.connect(config={"home_directory": str(tmp_path)})
    database.load_extension(str(extension()))
    database.sql(f"CREATE SECRET ({secret}, ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)")
    text = statement(question).replace("'lake/", f"'{LAKE}/")
    assert rows_of(database, text) == rounded(answer(question, list(messages(**SENT))))


def test_the_objects_are_the_files_of_a_folder_and_a_second_run_has_nothing_to_do(server, storage, exported):
    folder = storage.parent / "lake"
    shutil.rmtree(folder, ignore_errors=True)
    assert ssmd("export", storage, "--to", folder).returncode == 0
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert exported == files
    assert export(server, storage) == (0, "1 day is exported already\n", "")
    assert not list(storage.parent.glob("ssmd-*"))


@pytest.mark.parametrize("layout", ["hive", "ssmd"])
def test_what_has_changed_is_replaced_and_what_is_missing_comes_back(server, tmp_path, layout):
    to = f"s3://{BUCKET}/changed-{layout}"
    write_market_day(tmp_path / "data", count=100)
    assert export(server, tmp_path / "data", to, "--layout", layout).returncode == 0
    before = objects(server, f"changed-{layout}")
    bucket = server.bucket(Address(BUCKET, f"changed-{layout}"))
    victim = next(name for name in before if "trade" in name)
    bucket.delete(victim)
    bucket.delete(next(name for name in before if "ticker" in name))
    bucket.put_new(victim, b"something else")
    assert export(server, tmp_path / "data", to, "--layout", layout).returncode == 0
    unchanged = [name for name in before if "json" not in name.rsplit("/", 1)[1]]
    after = objects(server, f"changed-{layout}")
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    shutil.rmtree(tmp_path / "data")
    write_market_day(tmp_path / "data", count=3)  # It has no trade.
    code, out, _ = export(server, tmp_path / "data", to, "--layout", layout)
    assert (code, "exported again, 3 lines" in out) == (0, True)
    left = objects(server, f"changed-{layout}")
    assert not any("trade" in name for name in left)
    [receipt] = [json.loads(data) for name, data in left.items() if name.startswith(f"_ssmd/{DAY}/")]
    assert sorted(left)[1:] == sorted(file["name"] for file in receipt["files"])


def test_each_failure_is_one_clear_error(server, storage, tmp_path):
    code, out, err = export(server, storage, "s3://no-such-bucket/lake")
    assert (code, out) == (78, "")
    assert "no-such-bucket" in err
    code, out, err = export(server, storage, f"s3://{BUCKET}/other", key=KEY | {"secret_access_key": "wrong"})
    assert (code, out, err.count("\n")) == (77, "", 1)
    code, out, err = export(server, storage, f"s3://{BUCKET}/other", key=READER)
    assert (code, out, err.count("\n")) == (77, "", 1)
    assert objects(server, "other") == {}


def left_of(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return the objects without that which says that an export has begun."""
    return {name: data for name, data in found.items() if not name.endswith(".begun.json")}


def test_a_kill_at_any_moment_leaves_no_day_that_looks_complete(server, tmp_path, monkeypatch):
    for name, value in environment(server.endpoint, KEY, tmp_path).items():
        monkeypatch.setenv(name, value)
    write_market_day(tmp_path / "data", count=12)
    [file] = data_files([tmp_path / "data"])
    target, layout = BucketTarget(f"s3://{BUCKET}/killed"), open_layout("hive", "all")

    def work() -> None:
        in_bucket._bucket.cache_clear()  # A connection is for one process.
        for job in Plan(target, layout, None).jobs([file], unsealed=False, left=lambda *why: fail(why)):
            export_day(job, target, layout, lambda done: None)

    work()
    whole = objects(server, "killed")
    step = 0
    while True:
        for name in objects(server, "killed"):
            target.remove(name)
        killed = killed_at(step, work, "bucket/client.py", "tables/export/in_bucket.py", "tables/export/day.py")
        found = objects(server, "killed")
        assert left_of(found).items() <= whole.items()
        if any(name.endswith(".hive.json") for name in found):
            assert left_of(found) == whole
        if not killed:
            break
        step += 5
    assert step > 20
