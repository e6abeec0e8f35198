"""What verify, seal, compact and cat print and leave is the same for every --jobs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import zstandard
from process import Ended, ssmd
from recorded import make_day

DAYS = [f"2025-12-{day}" for day in range(20, 29)]
JOBS = ("1", "2", "4")
CATS = [
    ("cat",),
    ("cat", "--raw"),
    ("cat", "--feed", "other", "--type", "trade"),
    ("cat", "--from", f"{DAYS[1]}T12:00", "--to", f"{DAYS[4]}T01:00", "--market", "KX-3"),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine days of two feeds: sealed or not, plain or compressed, whole, changed, torn, unreadable or missing."""
    root = tmp_path_factory.mktemp("archive")
    for number, day in enumerate(DAYS):
        for feed in ("kalshi", "other"):
            make_day(root, day, feed=feed, per_hour=40 + 10 * number, lost_after=100, sealed=number not in (0, 4))
    change(root / DAYS[1] / "kalshi.jsonl")
    pack(root / DAYS[2] / "kalshi.jsonl")
    pack(root / DAYS[3] / "other.jsonl")
    change(root / DAYS[3] / "other.jsonl.zst")
    with (root / DAYS[4] / "other.jsonl").open("ab") as file:
        file.write(b'{"ts":')
    (root / DAYS[5] / "kalshi.jsonl").unlink()
    (root / DAYS[6] / "kalshi.ledger.jsonl").unlink()
    damaged = root / DAYS[6] / "other.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b'"data":{', b'"data":?', 15))
    (root / DAYS[7] / "other.manifest.json").write_text("{}")
    shutil.copy(root / DAYS[8] / "kalshi.jsonl", root / DAYS[8] / "kalshi.jsonl.copy")
    pack(root / DAYS[8] / "kalshi.jsonl")
    (root / DAYS[8] / "kalshi.jsonl.copy").rename(root / DAYS[8] / "kalshi.jsonl")
    return root


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def pack(path: Path) -> None:
    path.with_name(path.name + ".zst").write_bytes(zstandard.compress(path.read_bytes()))
    path.unlink()


def outcomes(archive: Path, folder: Path, *command: str) -> list[tuple[Ended, dict[str, bytes]]]:
    """Return what a command prints, and leaves on the disk, with each number of jobs."""
    found = []
    for jobs in JOBS:
        shutil.copytree(archive, folder / "data")
        done = ssmd(command[0], folder / "data", *command[1:], f"--jobs={jobs}")
        left = {
            str(path.relative_to(folder)): re.sub(rb'"sealed": "[^"]*"', b"", path.read_bytes())
            for path in sorted((folder / "data").rglob("*"))
            if path.is_file()
        }
        shutil.rmtree(folder / "data")
        found.append((done, left))
    return found


@pytest.mark.parametrize("command", [("verify",), ("seal",), ("compact",), ("compact", "--dry-run"), *CATS])
def test_all_that_can_be_seen_is_the_same_for_every_number_of_jobs(archive, tmp_path, command):
    (first, left), *others = outcomes(archive, tmp_path, *command)
    assert first.returncode == (0 if "--market" in command else 65)
    assert len(first.stdout.splitlines() + first.stderr.splitlines()) >= (4 if command[0] == "seal" else 15)
    assert "Traceback" not in first.stderr
    for other in others:
        assert other == (first, left)
    if command[0] in ("seal", "compact"):
        days = re.findall(r"/(2025-12-..)/[a-z]+\.jsonl: ", first.stdout)
        assert days == sorted(days)


def test_a_folder_that_cannot_be_written_to_is_one_line_for_each_day(archive, tmp_path):
    """The kernel's limit for files stops the writes, as a full disk does; root may write to every folder."""
    found = []
    for jobs in JOBS:
        shutil.copytree(archive, tmp_path / "data")
        done = ssmd("compact", tmp_path / "data", f"--jobs={jobs}", prefix=("prlimit", "--fsize=300"))
        assert not list((tmp_path / "data").rglob("*.new"))
        shutil.rmtree(tmp_path / "data")
        found.append(done)
    assert found[0].stderr.count("File too large") > 5
    assert found[0].returncode in (65, 74)
    assert found[1:] == found[:1] * 2
