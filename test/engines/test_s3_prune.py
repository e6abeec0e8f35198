"""`ssmd prune` with a real server: what the bucket does not have stays here."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from process import make_tree, ssmd
from recorded import make_day
from s3_runs import FEED, VARIABLES, Site
from s3_storage import put_day

from ssmd.store.inventory import data_files
from ssmd.store.timestamps import DAY_NS, day_of_ns


def ago(days: int) -> str:
    return day_of_ns(time.time_ns() - days * DAY_NS)


@pytest.fixture
def site(server, tmp_path) -> Site:
    """A storage folder with five sealed days, of which the bucket has all but the last."""
    folder = tmp_path / tmp_path.name
    folder.mkdir()
    site = Site(folder, server, keep_days=2)
    for days in range(1, 6):
        make_day(site.data, ago(days), feed=FEED, per_hour=5, connected=[(0, 86_400, "rotated")])
    for file in data_files([site.data]):
        if file.day != ago(4):
            put_day(site.bucket, file)
    return site


def prune(site: Site, *options: str):
    return ssmd("prune", "test", "--config-dir", site.tree, *options, **VARIABLES)


def here(site: Site) -> list[str]:
    return [file.day for file in data_files([site.data])]


def path(site: Site, days: int) -> Path:
    return site.data / ago(days) / f"{FEED}.jsonl"


def test_only_old_days_go_that_the_bucket_has(site):
    before = here(site)
    shown = prune(site, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert here(site) == before
    pruned = prune(site)
    assert pruned.returncode == 0, pruned.stderr
    assert pruned.stdout == shown.stdout.replace("would be removed", "removed")
    copy = str(site.bucket.address)
    assert [line.partition(": ")[2].partition(",")[0] for line in pruned.stdout.splitlines()] == [
        "removed",
        f"is not complete in {copy}: {FEED}.manifest.json is missing; left as it is",
        "removed",
    ]
    assert f"{path(site, 3)}: removed, " in pruned.stdout
    assert f"bytes; {copy} has it" in pruned.stdout
    assert here(site) == [ago(4), ago(2), ago(1)]
    verified = ssmd("verify", site.data)
    assert verified.returncode == 0, verified.stdout
    assert copy in verified.stdout
    assert prune(site).stdout.count("\n") == 1


def test_a_bucket_with_other_lines_is_no_copy(site):
    name = f"{ago(5)}/{FEED}.jsonl.zst"
    other = site.bucket.get(f"{ago(3)}/{FEED}.jsonl.zst")
    site.bucket.delete(name)
    assert "its data is missing" in prune(site).stdout
    site.bucket.put_new(name, other)
    assert f"{path(site, 5)}: has other lines in " in prune(site).stdout
    site.bucket.delete(name)
    site.bucket.put_new(name, b"cut off")
    assert f"{path(site, 5)}: has other lines in " in prune(site).stdout
    site.bucket.delete(f"{ago(5)}/{FEED}.ledger.jsonl")
    site.bucket.put_new(f"{ago(5)}/{FEED}.ledger.jsonl", b"")
    assert f"{FEED}.ledger.jsonl differs" in prune(site).stdout
    assert ago(5) in here(site)


def test_a_day_whose_ledger_is_gone_stays_and_the_others_go(site):
    ledger = path(site, 5).with_name(f"{FEED}.ledger.jsonl")
    ledger.unlink()
    pruned = prune(site)
    assert pruned.returncode == 65
    assert f"{ledger}: cannot be read, so nothing is removed: No such file" in pruned.stdout + pruned.stderr
    assert "Traceback" not in pruned.stderr
    assert here(site) == [ago(5), ago(4), ago(2), ago(1)]


def prune_beside_a_relay(site: Site, tmp_path: Path, shipped: str) -> str:
    """Prune where the relay of a transport has left this beside the data; return what is printed."""
    transport = f"transport: {{type: file, path: {tmp_path / 'copy'}}}\n"
    tree = make_tree(site.folder, "sim://kalshi", "kalshi", "", site.environment + transport)
    (site.data / f".{FEED}.file.shipped").write_text(shipped)
    pruned = ssmd("prune", "test", "--config-dir", tree, **VARIABLES)
    assert pruned.returncode == 0, pruned.stderr
    return pruned.stdout


@pytest.mark.parametrize("more", [{}, {"start": "today"}], ids=["shipped", "begun"])
def test_a_day_that_a_relay_still_needs_stays(site, tmp_path, more):
    """It has shipped up to this day, or it was to begin there, and has not reached the engine so far."""
    position = {"feed": FEED, "shard": "", "day": ago(3), "offset": 0, "line": 0, **more}
    printed = prune_beside_a_relay(site, tmp_path, json.dumps(position))
    assert f"{path(site, 3)}: is not shipped to file yet; left as it is" in printed
    assert f"{path(site, 5)}: removed" in printed


def test_where_it_is_not_known_what_a_relay_has_shipped_all_days_stay(site, tmp_path):
    assert prune_beside_a_relay(site, tmp_path, "").count("is not shipped to file yet") == 3
    assert here(site) == [ago(days) for days in (5, 4, 3, 2, 1)]


def test_without_keep_days_or_a_server_nothing_goes(site):
    before = here(site)
    site.configure(endpoint="http://127.0.0.1:9")
    assert prune(site).returncode == 69
    del site.storage["keep_days"]
    site.configure()
    refused = prune(site)
    assert (refused.returncode, "storage.keep_days is not set" in refused.stderr) == (78, True)
    assert here(site) == before
