"""Kills compaction at each of its steps, as a program of its own, because a process that forks must have no greenlets.

    compact_kills.py <storage folder with one sealed day> <folder for copies of it> <form>
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

from kills import killed_at

from ssmd.proof.compact import candidates, compact
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.packer import Packer
from ssmd.proof.verify import verify
from ssmd.reading.blocks import LineBlocks
from ssmd.store.inventory import data_files
from ssmd.tables.packer import ParquetPacker

PACKERS: dict[str, Packer] = {"jsonl.zst": ZstPacker(1), "parquet": ParquetPacker()}
STEPS = ("compact.py", "pack_zst.py", "packer.py", "durable.py", "parquet/writer.py", "shutil.py")
"""The files whose calls are steps."""


def killed_everywhere(kept: Path, copy: Path, form: str) -> tuple[int, list[str]]:
    """Compact copies of a day into a form, each killed at another step; return the number of steps, and what was found.

    That is each set of the day's forms that the disk had after a kill, as text. Fails when one of them has not all
    lines, or is not finished by the next run.
    """
    ended = subprocess.run(
        [sys.executable, __file__, kept, copy, form],
        env={"PYTHONPATH": str(Path(__file__).parent.parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    steps, *found = ended.stdout.split()
    return int(steps), found


def main(kept: Path, copy: Path, form: str) -> None:
    expected = b"".join(LineBlocks(data_files([kept])[0].path))

    def run() -> None:
        for file in candidates(copy, "2026-09-30", form):
            compact(file, PACKERS[form], dry_run=False, progress=lambda count: None)

    def forms() -> tuple[str, ...]:
        [file] = data_files([copy])
        assert b"".join(LineBlocks(file.path)) == expected
        return tuple(sorted(path.name for path in copy.glob("*/kalshi.[jp]*")))

    found = set()
    for step in itertools.count():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(kept, copy)
        killed = killed_at(step, run, *STEPS)
        found.add(forms())
        run()
        assert forms() == (f"kalshi.{form}",)
        assert not (wrong := verify(data_files([copy])[0]).findings), wrong
        if not killed:
            break
    print(step, *sorted("+".join(names) for names in found), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
