"""bin/test's runner, on small suites: how many processes are at work, and that each of them ends."""

import re
import signal
import time

import pytest
from patience import PATIENCE
from process import ROOT
from suite import PASSING, Suite, assert_gone


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


MEETING = """
import os, time
from pathlib import Path

def test_meets_the_others():
    Path(__file__).with_suffix(".here").touch()
    until = time.monotonic() + 240
    while len(list(Path(__file__).parent.glob("*.here"))) < 4:
        assert time.monotonic() < until
        time.sleep(0.01)
"""


def test_four_files_at_a_time_and_each_in_a_process_of_its_own(suite):
    (suite.files / "pids").touch()
    count = "\ndef test_pid(tmp_path):\n    with open('pids', 'a') as file: print(os.getpid(), tmp_path, file=file)\n"
    suite.add(**{f"test_{number}": MEETING + count for number in range(4)}, test_a=PASSING, test_b=PASSING)
    code, lines = suite.run()
    assert lines[-1] == "12 passed, 0 failed, 0 skipped"
    assert code == 0
    pids, folders = zip(*map(str.split, (suite.files / "pids").read_text().splitlines()), strict=True)
    assert len(set(pids)) == len(set(folders)) == 4


def test_files_beside_the_folder_are_not_tested(suite):
    (suite.files / "inner").mkdir()
    suite.add(**{"test_beside": PASSING, "inner/test_in": PASSING})
    _, lines = suite.run(code="print(s.list_files('inner', ['-c', 'pytest.ini', '-p', 'no:hypothesispytest'])), exit()")
    assert lines == ["['inner/test_in.py']"]


def test_the_files_that_take_longest_begin_first_then_the_largest(suite):
    suite.add(test_small=PASSING, test_large=PASSING * 2, test_longest=PASSING, test_long=PASSING)
    names = "s.LONGEST = ('test_longest.py', 'test_long.py')"
    _, lines = suite.run(code=f"{names}; print(s.list_files('.', ['-c', 'pytest.ini', '-p', 'no:hypothesispytest'])); "
                              "exit()")  # fmt: skip
    assert lines == ["['test_longest.py', 'test_long.py', 'test_large.py', 'test_small.py']"]


def test_the_files_that_take_longest_are_there():
    from side_by_side import LONGEST

    assert set(LONGEST) <= {path.name for path in (ROOT / "test").rglob("test_*.py")}


def test_never_more_than_four_at_a_time(suite):
    suite.add(**{f"test_{number}": PASSING for number in range(9)})
    code, lines = suite.run(code="start = s.Processes.start; s.Processes.start = lambda self, file: "
                                 "(start(self, file), print('at work', len(self.running)))")  # fmt: skip
    assert code == 0
    assert max(line for line in lines if line.startswith("at work")) == "at work 4"


def test_what_a_file_has_left_running_is_ended(suite):
    suite.add(
        test_a="from subprocess import Popen\ndef test_it(tmp_path): Popen(['tail', '-f', '/dev/null', tmp_path / 'x'])"
    )
    code, _ = suite.run()
    assert code == 0
    assert_gone(suite.temporary)


def test_progress_names_what_is_at_work(suite):
    suite.add(test_a="import time\nfrom pathlib import Path\ndef test_waits():\n"
                     "    while not Path('go').exists(): time.sleep(0.01)\n")  # fmt: skip
    process = suite.start("--began=0", code="s.PROGRESS_SECONDS = 0")
    assert re.fullmatch(r"\d+ s: 0 of 1 files, 0 tests; now test_a.py\n", process.stdout.readline())
    (suite.files / "go").touch()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_hung_file_is_aborted_and_shows_where(suite):
    suite.add(test_a="import time\ndef test_before(): pass\ndef test_hangs(): time.sleep(60)\n")
    code, lines = suite.run("--hung=5")
    assert "failed  test_a.py::test_hangs (killed by SIGABRT)" in lines
    assert any('test_a.py", line 3 in test_hangs' in line for line in lines)
    assert code == 1


WAITING = """
import signal, subprocess, time
from pathlib import Path

def test_waits(tmp_path):
    {}
    process = subprocess.Popen(["tail", "-f", "/dev/null", tmp_path / "x"], start_new_session={})
    Path(__file__).with_suffix(".here").touch()
    try:
        time.sleep(60)
    finally:
        process.kill()
"""


def interrupt(suite: Suite, *numbers: int, code: str = "s.GRACE_SECONDS = 20") -> tuple[int, str]:
    """Signal a run whose files wait, again once that was noticed; return its exit code and what it has printed."""
    process = suite.start(code=code)
    until = time.monotonic() + PATIENCE
    while len(list(suite.files.glob("*.here"))) < len(list(suite.files.glob("test_*.py"))):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(numbers[0])
    for number in numbers[1:]:
        while not list(suite.files.glob("*.interrupted")):
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    assert not list(suite.temporary.iterdir())
    assert_gone(suite.temporary)
    return process.returncode, out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_and_what_the_tests_have_started(suite, number, code):
    suite.add(**{f"test_{name}": WAITING.format("", True) for name in "abcd"})
    assert interrupt(suite, number) == (code, "")


STUBBORN = WAITING.format(
    "signal.signal(signal.SIGINT, lambda *_: Path(__file__).with_suffix('.interrupted').touch())", False
)


def test_what_ignores_the_interruption_is_killed(suite):
    suite.add(test_a=STUBBORN)
    assert interrupt(suite, signal.SIGINT, code="s.GRACE_SECONDS = 0.5") == (130, "")


def test_a_second_ctrl_c_does_not_wait(suite):
    suite.add(test_a=STUBBORN)
    assert interrupt(suite, signal.SIGINT, signal.SIGINT, code="s.GRACE_SECONDS = 1000") == (130, "")
