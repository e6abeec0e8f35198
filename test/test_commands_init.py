"""`ssmd init`: an example tree as a whole or not at all, and commands that work where it is called."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT, ssmd, start

CONF = ROOT / "conf"
FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/*"))


def files(tree: Path) -> list[Path]:
    return sorted(path.relative_to(tree) for path in tree.rglob("*") if path.is_file())


def refused(*arguments: str | Path, prefix: tuple[str, ...] = ()) -> str:
    """The message with which `ssmd init` refuses."""
    ended = ssmd("init", *arguments, prefix=prefix)
    assert (ended.returncode, ended.stdout) == (73, "")
    return ended.stderr.removeprefix("ssmd: ").removesuffix("\n")


def test_it_writes_the_example_tree_with_commands_that_work_from_here(tmp_path):
    tree = tmp_path / "my tree"
    ended = ssmd("init", tree)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert files(tree) == FILES
    assert os.listdir(tmp_path) == ["my tree"]
    for file in FILES:
        written = (tree / file).read_text().replace(shlex.quote(str(tree)), "conf")
        assert written == (CONF / file).read_text()
    done = ssmd("validate", "--strict", "--config-dir", tree)
    # That an exchange has no numbers, so that loss cannot be detected, is no fault of its feed.
    rest = [line for line in done.stdout.splitlines() if "has no `paths.sequence`" not in line]
    assert (done.returncode, [line for line in rest if not line.startswith("ok: ")]) == (0, [])
    # Each command that it prints, and each in a comment of the tree, is for a shell in this directory.
    text = ended.stdout + "".join((tree / file).read_text() for file in FILES)
    commands = re.findall(r"^[# ]*(bin/ssmd (?:run|validate) .*)", text, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        argv = shlex.split(command)
        assert argv[argv.index("--config-dir") + 1] == str(tree)
    assert subprocess.run(shlex.split(commands[1]), cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_from_another_directory_the_program_has_its_whole_path(tmp_path):
    process = start("init", "tree", cwd=tmp_path)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert f"  {ROOT}/bin/ssmd run kalshi-sim --config-dir tree\n" in out
    assert files(tmp_path / "tree") == FILES


def test_a_folder_that_exists_and_is_empty_is_filled_and_stays_the_same(tmp_path):
    """It may be a mount, or the working directory of the shell."""
    inode = tmp_path.stat().st_ino
    process = start("init", ".", cwd=tmp_path)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert (process.returncode, tmp_path.stat().st_ino) == (0, inode)
    assert files(tmp_path) == FILES
    assert sorted(os.listdir(tmp_path)) == ["environments", "feeds", "schemas"]


def test_existing_files_and_folders_are_not_touched(tmp_path):
    (tmp_path / "mine").write_text("x")
    assert refused(tmp_path) == f"{tmp_path}: is not empty (it has mine); name a new folder, or empty this one"
    assert refused(tmp_path / "mine") == f"{tmp_path}/mine: is not a folder; name another one"
    assert refused(tmp_path / "mine" / "tree") == f"{tmp_path}/mine: is in the way; name another folder"
    for number in range(3):
        (tmp_path / f"more-{number}").mkdir()
    assert "(it has mine, more-0, more-1, ...)" in refused(tmp_path)
    assert (tmp_path / "mine").read_text() == "x"


@pytest.mark.parametrize("exists", [False, True])
def test_a_tree_that_cannot_be_written_completely_is_removed(tmp_path, exists):
    tree = tmp_path / "tree"
    if exists:
        tree.mkdir()
    # No file may be longer than a block; some are.
    message = refused(tree, prefix=("sh", "-c", 'ulimit -f 1; exec "$@"', "sh"))
    assert message == f"{tree}: File too large; name another folder"
    assert list(tmp_path.rglob("*")) == ([tree] if exists else [])
    assert ssmd("init", tree).returncode == 0
