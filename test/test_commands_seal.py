"""`ssmd seal` as a process: which days it seals, and what it needs for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from process import ROOT, ssmd
from recorded import make_day

from ssmd.contracts.shard import WHOLE, Shard

DAYS = ("2025-12-28", "2025-12-29", "2025-12-30")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day in DAYS:
        make_day(tmp_path / "data", day, per_hour=2, sealed=False)
    return tmp_path / "data"


def sealed(storage: Path) -> list[str]:
    return sorted(path.parent.name for path in storage.glob("*/*.manifest.json"))


@pytest.mark.parametrize("before", ["2025-12-29", "20251229", "2026-W01", "2026-W01-1", "2026W01"])
def test_only_earlier_days_are_sealed_whatever_form_of_iso_8601_the_day_has(storage, before):
    code, out, err = ssmd("seal", storage, "--before", before)
    assert (code, len(out.splitlines()), err) == (0, 1, "")
    assert sealed(storage) == ["2025-12-28"]


@pytest.mark.parametrize("before", ["soon", "2025", "2025-12-29T00:00", "2025-13-01"])
def test_a_value_that_is_not_a_day_seals_nothing(storage, before):
    code, out, err = ssmd("seal", storage, "--before", before)
    assert (code, out, sealed(storage)) == (64, "", [])
    assert "it must be a day, such as 2026-01-31" in err


def test_each_shard_seals_the_days_of_its_number_and_the_first_those_of_shards_that_are_no_more(tmp_path):
    """So no two of them seal the same file, and none is left when the number of shards has changed."""
    storage = tmp_path / "data"
    for shard in (WHOLE, Shard(1, 2), Shard(2, 2), Shard(1, 3), Shard(3, 3), Shard(3, 5), Shard(4, 5)):
        make_day(storage, DAYS[0], shard=shard, per_hour=2, sealed=False)
    make_day(storage, DAYS[0], feed="other", per_hour=2, sealed=False)
    found = {}
    for named in ("2/3", "3/3", "1/3"):
        code, out, err = ssmd("seal", storage, "--feed", "kalshi", "--shard", named)
        assert (code, err) == (0, "")
        found[named] = [line.partition(":")[0].rpartition("/")[2] for line in out.splitlines()]
    assert found == {
        "2/3": ["kalshi+2of2.jsonl"],
        "3/3": ["kalshi+3of3.jsonl", "kalshi+3of5.jsonl"],
        "1/3": ["kalshi.jsonl", "kalshi+1of2.jsonl", "kalshi+1of3.jsonl", "kalshi+4of5.jsonl"],
    }
    assert ssmd("seal", storage, "--shard", "4/3").returncode == 64
    assert not list(storage.glob("*/other.manifest.json"))


def test_sealing_imports_neither_the_writer_nor_the_runtime():
    """A collector starts it every day, and so does cron: it should start fast and take little memory."""
    code = "import sys, ssmd.commands.seal; print(*(name for name in sys.modules if name.startswith('ssmd.')))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {name.split(".")[1] for name in ended.stdout.split()}
    assert "proof" in packages
    assert not packages & {"connector", "metadata", "runtime", "server", "shipping", "sim", "wiring", "writer"}


def test_a_shape_or_a_manifest_that_does_not_fit_leaves_nothing_behind(storage):
    """The kernel's limit for files stops the write half-way, as a full disk does."""
    before = sorted(storage.rglob("*"))
    code, out, err = ssmd("seal", storage, prefix=("prlimit", "--fsize=300"))
    assert (code, out) == (74, "")
    assert err.splitlines() == [f"ssmd: {storage}/{day}/kalshi.shape.json: File too large" for day in DAYS]
    assert [path for path in sorted(storage.rglob("*")) if path not in before] == []
    assert ssmd("seal", storage).returncode == 0
    assert sealed(storage) == list(DAYS)
