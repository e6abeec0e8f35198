"""What the processes of side_by_side.py record about the tests of a file, and the table that is made of it."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

LONG_SECONDS = 3
"""A file that took less, without a failed or skipped test, has no row of its own."""


class Listing:
    """A pytest plugin that lists the test files without importing them."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        self.paths.append(module_path)
        module: pytest.Module = _Listed.from_parent(parent, path=module_path)
        return module


class _Listed(pytest.Module):
    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return []


class Records:
    """A pytest plugin that writes each event as a line of JSON at once: what came before a crash is kept."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._worst: tuple[str, str] = ("passed", "")

    def _write(self, **record: object) -> None:
        self._file.write(json.dumps(record) + "\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._write(test=report.nodeid, outcome=report.outcome, reason=_reason(report))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._write(collected=len(session.items))

    def pytest_warning_recorded(self) -> None:
        self._write(warned=True)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._worst = ("passed", "")
        self._write(began=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of three for each test: a test that passes and then fails to clean up has failed."""
        if report.failed or (report.skipped and self._worst[0] == "passed"):
            self._worst = (report.outcome, _reason(report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        outcome, reason = self._worst
        self._write(test=nodeid, outcome=outcome, reason=reason)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, with file and line; empty for a failure."""
    if hasattr(report, "wasxfail"):
        return f"{report.nodeid}: expected to fail: {report.wasxfail}"
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return ""
    path, line, reason = report.longrepr
    return f"{os.path.relpath(path)}:{line}: {reason.removeprefix('Skipped: ')}"


@dataclass
class Result:
    """What became of a file. `notes` names what failed; `not_run` counts the tests that a crash kept from running."""

    file: str
    seconds: float = 0
    passed: int = 0
    notes: list[str] = field(default_factory=list)
    not_run: int = 0
    reasons: list[str] = field(default_factory=list)
    warned: bool = False
    output: str = ""

    @property
    def failed(self) -> int:
        return len(self.notes) + self.not_run

    @property
    def skipped(self) -> int:
        return len(self.reasons)

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.skipped


def read_result(file: str, seconds: float, code: int, records: Path, output: str) -> Result:
    """The result of a process that has ended with an exit code, or with a signal where it is below 0."""
    result = Result(file, seconds, output=output)
    collected, running = None, ""
    for record in _read(records):
        result.warned |= "warned" in record
        collected = record.get("collected", collected)
        running = record.get("began", running)
        match record.get("outcome"):
            case "passed":
                result.passed += 1
            case "failed":
                result.notes.append(record["test"])
            case "skipped":
                result.reasons.append(record["reason"])
        if record.get("test") == running:
            running = ""
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"
    if collected is None or result.tests < collected:
        missing = (collected or 1) - result.tests
        result.notes.append(f"{running or file} ({ended})")
        result.not_run = missing - 1
    elif result.tests == 0:
        result.notes.append(f"{file} (has no tests)")
    elif code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and not result.failed:
        result.notes.append(f"{file} ({ended}, after its last test)")
    return result


def _read(records: Path) -> Iterator[dict[str, Any]]:
    if records.exists():
        for line in records.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def table(results: Sequence[Result], seconds: float) -> str:
    """A row for each file of interest, the reasons of skipped tests, the names of failed ones, and the sums."""
    results = sorted(results, key=lambda result: -result.seconds)
    own = [each for each in results if each.seconds >= LONG_SECONDS or each.failed or each.skipped]
    rest = [each for each in results if each not in own]
    lines = ["", "seconds  passed  failed  skipped  file", *(_row([each], each.file) for each in own)]
    if rest:
        lines.append(_row(rest, f"{len(rest)} other files"))
    reasons = Counter(reason for each in results for reason in each.reasons)
    lines += [f"skipped  [{count}] {reason}" for reason, count in sorted(reasons.items())]
    for each in results:
        lines += [f"failed  {note}" for note in each.notes]
        if each.not_run:
            lines.append(f"failed  {each.not_run} more tests of {each.file} that did not run")
    lines.append("{} files in {} min {} s".format(len(results), *divmod(round(seconds), 60)))
    sums = [sum(getattr(each, name) for each in results) for name in ("passed", "failed", "skipped")]
    return "\n".join([*lines, "{} passed, {} failed, {} skipped".format(*sums)])


def _row(results: Sequence[Result], name: str) -> str:
    seconds, *counts = (
        sum(getattr(each, field) for each in results) for field in ("seconds", "passed", "failed", "skipped")
    )
    return f"{seconds:7.1f}  {counts[0]:6}  {counts[1]:6}  {counts[2]:7}  {name}"
