"""bin/test's runner, on small suites: what counts as a failure, and what is shown."""

import re
import time
from textwrap import dedent

import hypothesis
import pytest
from process import ROOT
from side_by_side_results import Result, table
from suite import PASSING, Suite


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


def test_what_passes_and_what_is_skipped(suite):
    suite.add(
        test_a=PASSING,
        test_b="""
        import pytest
        @pytest.mark.skip(reason="not here")
        @pytest.mark.parametrize("n", [1, 2])
        def test_never(n): pass
        def test_now(): pytest.skip("not now")
        def test_always(): pass
        """,
        test_c="import pytest; pytest.skip('not this file', allow_module_level=True)",
        test_d="import pytest\n@pytest.mark.xfail(reason='a fault')\ndef test_fault(): assert 0\n",
        helper="raise AssertionError('no test file')",
    )
    code, lines = suite.run(f"--began={time.time() - 100}")
    assert lines[0:2] == ["", "seconds  passed  failed  skipped  file"]
    assert sorted(lines[2:6]) == [
        "0.0       0       0        1  test_c.py",
        "0.0       0       0        1  test_d.py",
        "0.0       1       0        3  test_b.py",
        "0.0       2       0        0  1 other files",
    ]
    assert lines[5].endswith("other files")
    assert lines[6:10] == [
        "skipped  [2] test_b.py:3: not here",
        "skipped  [1] test_b.py:6: not now",
        "skipped  [1] test_c.py:1: not this file",
        "skipped  [1] test_d.py::test_fault: expected to fail: a fault",
    ]
    assert re.fullmatch(r"4 files in 1 min 4\d s", lines[10])
    assert lines[11:] == ["3 passed, 0 failed, 5 skipped"]
    assert code == 0


FAULTS = {
    "test_assert": (
        "def test_before(): pass\ndef test_wrong():\n    assert 6 * 7 == 54\n",
        "1       1        0",
        ["::test_wrong"],
    ),
    "test_setup": (
        "import pytest\n@pytest.fixture\ndef broken(): raise OSError('set up')\ndef test_it(broken): pass\n",
        "0       1        0",
        ["::test_it"],
    ),
    "test_teardown": (
        "import pytest\n@pytest.fixture\ndef broken(): yield; raise OSError('clean up')\ndef test_it(broken): pass\n",
        "0       1        0",
        ["::test_it"],
    ),
    "test_import": ("import no_such_module\ndef test_it(): pass\n", "0       1        0", [""]),
    "test_syntax": ("def test_it(:\n", "0       1        0", [""]),
    "test_empty": ("", "0       1        0", [" (has no tests)"]),
    "test_import_exits": ("import os; os._exit(0)\n", "0       1        0", [" (its process ended with 0)"]),
    "test_exits": (
        "import os\ndef test_before(): pass\ndef test_exits(): os._exit(0)\ndef test_after(): pass\n",
        "1       2        0",
        ["::test_exits (its process ended with 0)", "1 more"],
    ),
    "test_killed": (
        "import os\ndef test_before(): pass\ndef test_killed(): os.kill(os.getpid(), 9)\n"
        "def test_after(): pass\ndef test_last(): pass\n",
        "1       3        0",
        ["::test_killed (killed by SIGKILL)", "2 more"],
    ),
    "test_segfault": (
        "import ctypes\ndef test_segfault(): ctypes.string_at(0)\n",
        "0       1        0",
        ["::test_segfault (killed by SIGSEGV)"],
    ),
    "test_interrupt": (
        "def test_interrupt(): raise KeyboardInterrupt\n",
        "0       1        0",
        ["::test_interrupt (its process ended with 2)"],
    ),
    "test_at_the_end": (
        "import os\ndef test_it(): pass\n"
        "def pytest_unconfigure(): pass\nimport atexit\n"
        "import pytest\n@pytest.fixture(scope='session', autouse=True)\ndef last(): yield; os._exit(3)\n",
        "0       1        0",
        ["::test_it (its process ended with 3)"],
    ),
}
"""For each file: its source, the figures of its row, and what is said to have failed."""


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    suite = Suite(tmp_path_factory.mktemp("faults"))
    suite.add(test_fine=PASSING, **{name: source for name, (source, _, _) in FAULTS.items()})
    return suite.run()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_failure_of_its_file(faults, name):
    code, lines = faults
    _, figures, failed = FAULTS[name]
    assert f"0.0       {figures}  {name}.py" in lines
    expected = [
        f"failed  {each} tests of {name}.py that did not run" if each[:1].isdigit() else f"failed  {name}.py{each}"
        for each in failed
    ]
    assert [line for line in lines if line.startswith("failed") and f"{name}.py" in line] == expected
    assert code == 1


def test_tracebacks_are_shown_in_full_and_the_sums_count_every_test(faults):
    text = "\n".join(faults[1])
    assert "\ntest_assert.py:\n" in text
    for each in (
        "assert (6 * 7) == 54",
        "OSError: set up",
        "OSError: clean up",
        "No module named 'no_such_module'",
        "SyntaxError: ",
        "Fatal Python error: Segmentation fault",
    ):
        assert each in text
    assert "test_fine.py:" not in text
    passed = 2 + sum(int(figures.split()[0]) for _, figures, _ in FAULTS.values())
    failed = sum(int(figures.split()[1]) for _, figures, _ in FAULTS.values())
    assert faults[1][-1] == f"{passed} passed, {failed} failed, 0 skipped"


def test_without_any_test_nothing_is_green(suite):
    code, lines = suite.run()
    assert lines[-1] == "0 passed, 0 failed, 0 skipped"
    assert code == 1


def test_a_conftest_that_cannot_be_loaded_ends_it_at_once(suite):
    suite.add(conftest="import no_such_module", test_a=PASSING)
    code, lines = suite.run()
    assert "No module named 'no_such_module'" in "\n".join(lines)
    assert code == pytest.ExitCode.USAGE_ERROR


def test_a_file_that_nobody_has_run_is_a_failure(suite):
    suite.add(test_a=PASSING, test_b=PASSING)
    code, lines = suite.run(code="start = s.Processes.start; s.Processes.start = "
                                 "lambda self, file: file == 'test_a.py' and start(self, file)")  # fmt: skip
    assert "failed  test_b.py (not run)" in lines
    assert lines[-1] == "2 passed, 1 failed, 0 skipped"
    assert code == 1


def test_a_warning_is_shown(suite):
    suite.add(test_a="import warnings\ndef test_it(): warnings.warn('this will not last')")
    code, lines = suite.run()
    assert "UserWarning: this will not last" in "\n".join(lines)
    assert code == 0


def test_the_table_has_the_longest_first_and_sums_up_short_ones():
    results = [
        Result("test/test_short.py", 1.25, passed=4),
        Result("test/test_long.py", 3.0, passed=3000),
        Result("test/test_quick.py", 0.5, passed=6),
        Result("test/test_longer.py", 100.06, passed=1, reasons=["x.py:1: no strace"]),
        Result("test/test_broken.py", 0.1, passed=1, notes=["test_x (killed by SIGKILL)"], not_run=2),
    ]
    assert table(results, 119.7) == dedent(
        """
        seconds  passed  failed  skipped  file
          100.1       1       0        1  test/test_longer.py
            3.0    3000       0        0  test/test_long.py
            0.1       1       3        0  test/test_broken.py
            1.8      10       0        0  2 other files
        skipped  [1] x.py:1: no strace
        failed  test_x (killed by SIGKILL)
        failed  2 more tests of test/test_broken.py that did not run
        5 files in 2 min 0 s
        3012 passed, 3 failed, 1 skipped"""
    )


def test_bin_test_tries_the_same_examples_each_time():
    profile = hypothesis.settings.get_profile("ssmd-same-examples")
    assert profile.derandomize
    assert profile.database is None
    assert profile.deadline is None
    assert "--hypothesis-profile=ssmd-same-examples" in (ROOT / "bin" / "test").read_text()
