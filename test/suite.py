"""Small suites of test files, for the tests of side_by_side.py."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

from patience import PATIENCE
from process import ROOT

PASSING = """
def test_one(tmp_path): pass
def test_two(): pass
"""
# The runner, after `code` has changed something in its module.
RUN = "import side_by_side as s, sys; {}; sys.exit(s.main(sys.argv[1:]))"


class Suite:
    """Test files in a folder, whose temporary files go to another one."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "suite"
        self.temporary = folder / "temporary"
        for each in (self.files, self.temporary):
            each.mkdir()
        (self.files / "pytest.ini").write_text("[pytest]\naddopts = -q --import-mode=importlib -p no:cacheprovider\n")

    def add(self, **sources: str) -> None:
        for name, source in sources.items():
            (self.files / f"{name}.py").write_text(dedent(source))

    def start(self, *arguments: str, code: str = "") -> subprocess.Popen[str]:
        command = ["-c", RUN.format(code)] if code else [ROOT / "test" / "side_by_side.py"]
        return subprocess.Popen(
            [sys.executable, *command, *arguments, ".", "-c", "pytest.ini", "-p", "no:hypothesispytest"],
            cwd=self.files,
            env=os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT / "test")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # What a shell starts in the background ignores Ctrl-C, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments: str, code: str = "") -> tuple[int, list[str]]:
        """Its exit code, and what it has printed, by line; the seconds are replaced by `0.0`."""
        process = self.start(*arguments, code=code)
        out, _ = process.communicate(timeout=PATIENCE)
        assert not list(self.temporary.iterdir())
        return process.returncode, re.sub(r"(?m)^ *\d+\.\d(?=  )", "0.0", out).splitlines()


def command_lines(word: Path) -> list[bytes]:
    """Those of the processes of this machine that have the word in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if bytes(word) in line]


def assert_gone(word: Path) -> None:
    """No process is left. What was killed may take a moment to end."""
    until = time.monotonic() + PATIENCE
    while (lines := command_lines(word)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not lines
