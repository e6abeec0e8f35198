"""Runs the tests in several processes at the same time, one test file in each, and prints one table at the end.

Usage: side_by_side.py [--began=<seconds since 1970>] [--hung=<seconds>] <folder> <pytest argument>...

This process loads pytest and the conftest once, and lists the test files of the folder. For each file it forks a
process: nothing is imported twice, no file depends on what another has left behind, and a crash is that of one file.
The files of LONGEST begin first, then the largest. What pytest prints about a file is shown when a test of it has
failed or there was a warning. The exit code is 0 when all tests have passed, 1 when not, 130 after Ctrl-C.
"""

import io
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass

# By name, before the conftest has gevent replace them: the replacements would start an event loop in this process,
# and the forked processes would share it.
from os import fork, waitpid
from pathlib import Path
from time import monotonic, sleep, time
from types import FrameType
from typing import NoReturn

import pytest
from side_by_side_results import Listing, Records, Result, read_result, table

PROCESSES = 4
"""Twice the cores of a small machine: many tests wait most of the time."""
LONGEST = (
    "test_deploy_container.py",
    "test_deploy_systemd.py",
    "test_deploy_scripts.py",
    "test_faults_calls.py",
    "test_commands_compact.py",
    "test_commands_export.py",
    "test_connector_rest_connector.py",
    "test_parquet_days.py",
    "test_never_silent.py",
    "test_commands_ship.py",
    "test_secrets.py",
    "test_bench.py",
)
"""The files that take longest, by the tables of complete runs. One that begins late works alone at the end."""
LOOK_SECONDS = 0.05
PROGRESS_SECONDS = 10
HUNG_SECONDS = 500.0
"""A process that finishes no test for so long is aborted, unless --hung gives another time. The deadline of a test, in
the conftest, is shorter.
"""
GRACE_SECONDS = 10
"""How long an interrupted process may take to end what its tests have started."""
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@dataclass
class Running:
    """A process that tests a file. `folder` holds its records, its output and the temporary folders of the tests."""

    file: str
    folder: Path
    began: float
    records_bytes: int = 0
    records_grew: float = 0

    def is_hung(self, seconds: float) -> bool:
        size = (self.folder / "records").stat().st_size if (self.folder / "records").exists() else 0
        if size != self.records_bytes:
            self.records_bytes, self.records_grew = size, monotonic()
        return monotonic() - max(self.began, self.records_grew) > seconds

    def result(self, code: int) -> Result:
        output = (self.folder / "output").read_text(errors="replace") if (self.folder / "output").exists() else ""
        return read_result(self.file, monotonic() - self.began, code, self.folder / "records", output)


class Processes:
    """The processes that are at work, each the leader of a group, by process id."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder
        self._started = 0
        self.running: dict[int, Running] = {}

    def start(self, file: str) -> None:
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir()
        sys.stdout.flush()
        # A signal between fork() and the entry in `running` would leave the process behind.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = fork()
        if pid == 0:
            run_pytest([*self._arguments, f"--basetemp={folder / 'tmp'}", file], folder)
        self.running[pid] = Running(file, folder, monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def ended(self) -> Iterator[Result]:
        """The results of the processes that have ended by now; what they left running is killed."""
        while self.running and (info := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)):
            kill_group(info.si_pid)  # Before it is waited for: no other process can have its id yet.
            process = self.running.pop(info.si_pid)
            _, status = waitpid(info.si_pid, 0)
            yield process.result(os.waitstatus_to_exitcode(status))
            shutil.rmtree(process.folder, ignore_errors=True)

    def abort_hung(self, seconds: float) -> None:
        """Let a hung process write where it hangs into its output, as pytest's faulthandler does upon SIGABRT."""
        for pid, process in self.running.items():
            if process.is_hung(seconds):
                process.records_grew = monotonic()
                os.kill(pid, signal.SIGABRT)

    def end(self) -> None:
        """Interrupt all, so that tests end what they have started; after a while, or a second Ctrl-C, kill them."""
        try:
            for pid in self.running:
                os.kill(pid, signal.SIGINT)
            until = monotonic() + GRACE_SECONDS
            while self.running and monotonic() < until:
                list(self.ended())
                sleep(LOOK_SECONDS)
        finally:
            for pid in self.running:
                kill_group(pid)
                waitpid(pid, 0)


def kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def run_pytest(arguments: Sequence[str], folder: Path) -> NoReturn:
    """Be a pytest process of its own, whose output goes to a file."""
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        os.setsid()
        # A shell's background job ignores SIGINT; the tests expect otherwise.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in SIGNALS - {signal.SIGINT}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = pytest.main(list(arguments), plugins=[Records(folder / "records")])
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def list_files(folder: str, arguments: Sequence[str]) -> list[str]:
    """The test files that pytest finds, in the order in which they begin. Exits when pytest cannot begin."""
    listing = Listing()
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        code = pytest.main([*arguments, "--collect-only", folder], plugins=[listing])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(out.getvalue(), end="")
        sys.exit(int(code))
    # On its way to a folder pytest also visits the files beside it.
    found = [path for path in listing.paths if path.is_relative_to(Path(folder).resolve())]
    return [os.path.relpath(path) for path in sorted(found, key=_rank)]


def _rank(path: Path) -> tuple[int, int]:
    place = LONGEST.index(path.name) if path.name in LONGEST else len(LONGEST)
    return place, -path.stat().st_size


def run(files: Sequence[str], processes: Processes, began: float, hung: float) -> list[Result]:
    """Test all files; show progress, and the output of those with a failure or a warning."""
    waiting = deque(files)
    results: list[Result] = []
    shown = monotonic()
    while waiting or processes.running:
        while waiting and len(processes.running) < PROCESSES:
            processes.start(waiting.popleft())
        sleep(LOOK_SECONDS)
        for result in processes.ended():
            results.append(result)
            if result.failed or result.warned:
                print(f"\n{result.file}:\n{result.output}", flush=True)
        processes.abort_hung(hung)
        if monotonic() - shown >= PROGRESS_SECONDS:
            shown = monotonic()
            names = ", ".join(Path(process.file).name for process in processes.running.values())
            tests = sum(result.tests for result in results)
            done = f"{len(results)} of {len(files)} files, {tests} tests"
            print(f"{time() - began:4.0f} s: {done}; now {names}", flush=True)
    return results


def end_by_signal(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def main(arguments: list[str]) -> int:
    try:
        return run_all(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _seconds(option: str, arguments: list[str], default: float) -> float:
    """Return the value of an option if the next argument is that one, and remove the argument."""
    return float(arguments.pop(0).removeprefix(option)) if arguments[0].startswith(option) else default


def run_all(arguments: list[str]) -> int:
    began = _seconds("--began=", arguments, time())
    hung = _seconds("--hung=", arguments, HUNG_SECONDS)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    folder, *options = arguments
    if sys.stdout.isatty():
        options.append("--color=yes")
    files = list_files(folder, options)
    with tempfile.TemporaryDirectory(prefix="ssmd-test-", ignore_cleanup_errors=True) as temporary:
        processes = Processes(options, Path(temporary))
        try:
            results = run(files, processes, began, hung)
        finally:
            processes.end()
    results += [Result(file, notes=[f"{file} (not run)"]) for file in set(files) - {each.file for each in results}]
    print(table(results, time() - began))
    return 0 if results and not any(result.failed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
