"""Processes of --jobs that are killed, fail, or lose the command that started them; and what stdout does meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT

from ssmd.commands.jobs.worker import AHEAD_BYTES

WORKS = "import job_works; job_works.main()"


@contextmanager
def works(
    folder: Path,
    work: str,
    *units: str,
    jobs: int = 2,
    code: str = WORKS,
    stdout: object = subprocess.PIPE,
    stderr: object = subprocess.PIPE,
    **options: object,
) -> Iterator[subprocess.Popen[str]]:
    """Run a work of job_works.py on these units, as a command."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(jobs), work, str(folder), *units],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'test'}"},
        stdout=stdout,
        stderr=stderr,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def await_true(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def begun(folder: Path, unit: str) -> int:
    """Wait until the work on a unit has begun; return the id of its process."""
    await_true((folder / f"{unit}.pid").exists)
    await_true(lambda: unit.isupper() or (folder / f"{unit}.go").exists())
    return int((folder / f"{unit}.pid").read_text())


def go_on(folder: Path, unit: str) -> None:
    begun(folder, unit)
    (folder / f"{unit}.go").write_text("")


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_all_results_come_in_the_order_of_the_tasks(tmp_path):
    with works(tmp_path, "waits", "a", "b", "C", "D") as process:
        go_on(tmp_path, "b")
        begun(tmp_path, "D")  # By the second process, while the first waits.
        go_on(tmp_path, "a")
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [line for unit in "abCD" for line in (f"{unit} begins", f"{unit} is done")]


def test_the_first_task_reports_at_once(tmp_path):
    with works(tmp_path, "waits", "a", "b") as process:
        assert process.stdout.readline() == "a begins\n"
        begun(tmp_path, "b")
        go_on(tmp_path, "a")
        assert process.stdout.readline() == "a is done\n"
        assert process.stdout.readline() == "b begins\n"


@pytest.mark.parametrize("ignores", [False, True])
def test_a_killed_process_ends_the_command_at_once(tmp_path, ignores):
    def ignore_children() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    with works(tmp_path, "waits", "a", "B", "c", "d", preexec_fn=ignore_children if ignores else None) as process:
        others, killed = begun(tmp_path, "a"), begun(tmp_path, "c")
        os.kill(killed, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 137
    assert err == (
        "ssmd: the process that worked on the day c was killed by SIGKILL; "
        "if nobody killed it, there was not enough memory: try --jobs=1\n"
    )
    assert out == "a begins\nB begins\nB is done\n"  # What was finished is not kept back.
    assert has_ended(others)
    assert not (tmp_path / "d.pid").exists()


def test_a_bug_in_a_process_is_reported_as_a_bug(tmp_path):
    with works(tmp_path, "waits", "a", "b!") as process:
        other = begun(tmp_path, "a")
        go_on(tmp_path, "b!")
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 70
    assert "ZeroDivisionError: b!" in err
    assert "the process that worked on the day b! has ended with exit code 1" in err
    assert err.splitlines()[-1].endswith("please report it with the lines above")
    assert has_ended(other)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_end_with_their_command(tmp_path, number):
    with works(tmp_path, "waits", "a", "b") as process:
        pids = [begun(tmp_path, unit) for unit in "ab"]
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
        await_true(lambda: all(map(has_ended, pids)))
    assert (process.returncode, err) == (-number, "")


def test_ctrl_c_goes_to_all_of_them_and_none_complains(tmp_path):
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); {WORKS}"  # As in ssmd/__main__.py.
    with works(tmp_path, "waits", "a", "b", code=code, start_new_session=True) as process:
        pids = [begun(tmp_path, unit) for unit in "ab"]
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        await_true(lambda: all(map(has_ended, pids)))
    assert (process.returncode, err) == (-signal.SIGINT, "")


def test_without_a_further_process_the_command_does_the_work_itself(tmp_path):
    code = f"import os\ndef none(*_, **__): raise BlockingIOError\nos.posix_spawn = none\n{WORKS}"
    with works(tmp_path, "waits", "A", "B", code=code) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert out == "A begins\nA is done\nB begins\nB is done\n"


def test_what_is_written_comes_in_order_and_at_once_for_the_first(tmp_path):
    with works(tmp_path, "writes", "a", "b", "C") as process:
        begun(tmp_path, "b")
        assert {process.stdout.readline() for _ in range(2)} == {"a begins\n", "a first\n"}
        go_on(tmp_path, "b")
        go_on(tmp_path, "a")
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert [line for line in out.splitlines() if "first" in line or "last" in line] == [
        "a last", "b first", "b last", "C first", "C last",
    ]  # fmt: skip


def test_a_task_that_is_ahead_keeps_a_bounded_amount_and_waits(tmp_path):
    with works(tmp_path, "floods", "a", "b", "c", jobs=3) as process:
        # Nobody reads, so the first one waits for stdout. The others wait for their turn.
        limit = -(-AHEAD_BYTES // 1_000_000) - 1
        await_true(lambda: all(taken(tmp_path, unit) == limit for unit in "bc"))
        assert taken(tmp_path, "a") == 0
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert out.replace("\n", "").startswith("a" * 100_000_000)
    assert out.count("b") == out.count("c") == 100_000_001


def taken(folder: Path, unit: str) -> int:
    try:
        return int((folder / f"{unit}.taken").read_text() or -1)
    except FileNotFoundError:
        return -1


def test_a_closed_pipe_ends_all_of_them_without_a_message(tmp_path):
    with works(tmp_path, "floods", "a", "b") as process:
        assert process.stdout.read(3) == "aaa"
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr.read() == ""


def test_a_full_disk_behind_stdout_is_one_clear_line(tmp_path):
    with open("/dev/full", "wb") as full, works(tmp_path, "floods", "a", "b", stdout=full) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, len(err.splitlines())) == (74, 1)
    assert err.startswith("ssmd: the standard output cannot be written: No space left on device; ")
