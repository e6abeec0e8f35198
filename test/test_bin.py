"""The scripts in bin/: from anywhere, through a link, and without the Python they need."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from process import ROOT

from ssmd import __version__


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_ssmd_runs_from_another_folder_through_a_link_with_a_space(tmp_path):
    link = tmp_path / "my ssmd"
    link.symlink_to(ROOT / "bin" / "ssmd")
    (tmp_path / "ssmd").mkdir()  # A folder of that name where one stands must not be taken for the package.
    (tmp_path / "ssmd" / "__main__.py").write_text("raise SystemExit(99)")
    ended = run(link, "--version", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"ssmd {__version__}\n", "")


def test_the_exit_code_of_ssmd_is_passed_on():
    assert run(ROOT / "bin" / "ssmd", "run").returncode == 64


@pytest.fixture
def checkout(tmp_path):
    """A checkout that was never used: without a virtual environment."""
    root = tmp_path / "a check out"
    (root / "test").mkdir(parents=True)
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "requirements.txt").write_text("")
    return root


def test_the_first_use_says_what_it_does_and_the_second_nothing(checkout):
    first = run(checkout / "bin" / "venv", "requirements.txt")
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert "making .venv with Python 3" in first.stderr
    assert (checkout / ".venv" / "bin" / "python").exists()
    second = run(checkout / "bin" / "venv", "requirements.txt")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (checkout / "requirements.txt").write_text("# changed\n")
    third = run(checkout / "bin" / "venv", "requirements.txt")
    assert "installing requirements.txt" in third.stderr
    assert "making .venv" not in third.stderr


def test_without_a_fitting_python_there_is_one_clear_line(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp", "tr", "flock", "printf", "rm"):
        if path := shutil.which(tool):
            (tools / tool).symlink_to(path)
    ended = run(checkout / "bin" / "venv", "requirements.txt", PATH=str(tools), SSMD_PYTHON="")
    assert ended.returncode == 78
    assert ended.stderr == "ssmd: needs Python 3.11 or later; install it, or name it in SSMD_PYTHON\n"


def test_a_failed_installation_is_tried_again_by_the_next_use(checkout):
    (checkout / "requirements.txt").write_text("no-such-file.whl --hash=sha256:00\n")
    for _ in range(2):
        ended = run(checkout / "bin" / "venv", "requirements.txt")
        assert ended.returncode != 0
        assert "is ready" not in ended.stderr


def test_unpack_does_nothing_for_a_program_that_is_there(tmp_path):
    ended = run(ROOT / "bin" / "unpack", tmp_path / "tools", "sh:dash")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not (tmp_path / "tools").exists()


def test_unpack_does_nothing_where_there_is_no_apt(tmp_path):
    ended = run(shutil.which("sh"), ROOT / "bin" / "unpack", tmp_path / "tools", "no-such-program:dash", PATH="")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not (tmp_path / "tools").exists()
