"""Check a metadata tree without connecting to anything.

Usage:
  ssmd validate --config-dir <path> [--strict] [--keys] [<environment>...]
  ssmd validate (-h | --help)

Options:
  --config-dir <path>  The metadata tree, with environments/, feeds/ and schemas/. Required.
  --strict             Fail on warnings too, except on fields that have no effect in this version, on definitions whose
                       library is not installed, and on two notes on descriptions of exchanges: no `paths.sequence`, and
                       a match with the text yes, no, on or off.
  --keys               Also look up the keys; their values are never shown.
  -h --help            Show this.

Prints a line for each file without a problem, for each problem, for the markets that are followed, and for each engine
to which messages are shipped, without asking it: `ssmd ship --check` does that. The exit code is 0, or 78 when there is
an error. With --strict a warning on which it fails begins with `warning (fails with --strict)`. When environments are
named, only these are checked, and the feeds and schemas that they refer to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ssmd import wiring
from ssmd.errors import ConfigError
from ssmd.metadata.loader import check
from ssmd.metadata.problem import Problem
from ssmd.wiring.definitions import definition_problems


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    today = datetime.now(UTC).date()
    report = check(Path(arguments["--config-dir"]), today, wiring.parts(), arguments["<environment>"])
    problems = list(report.problems)
    wrong = {problem.file for problem in problems if not problem.warning}
    schemas = [file for file in report.files if file.startswith("schemas/") and file not in wrong]
    problems += definition_problems(Path(arguments["--config-dir"]), schemas)
    if arguments["--keys"]:
        for deployment in report.deployments.values():
            problems += wiring.key_problems(deployment, environ)
        message = "not looked for, because the environment has errors; correct them, then check again"
        problems += [Problem(file, None, "keys", message, warning=True) for file in report.unusable]
    problems = list(dict.fromkeys(problems))
    strict: bool = arguments["--strict"]
    followed = {deployment.file: wiring.followed(deployment) for deployment in report.deployments.values()}
    shipped = {deployment.file: wiring.shipped(deployment) for deployment in report.deployments.values()}
    for file in report.files:
        own = [problem for problem in problems if problem.file == file]
        _print(own, strict)
        if not own:
            print(f"ok: {file}")
        for text in followed.get(file, ()):
            print(f"ok: {file}: follows {text}")
        for place in shipped.get(file, ()):
            print(f"ok: {file}: ships to {place}")
    _print([problem for problem in problems if problem.file not in report.files], strict)
    failed = any(not problem.warning or (strict and not problem.lenient) for problem in problems)
    return ConfigError.exit_code if failed else 0


def _print(problems: Iterable[Problem], strict: bool) -> None:
    for problem in problems:
        level = "warning" if problem.warning else "error"
        if strict and problem.warning and not problem.lenient:
            level = "warning (fails with --strict)"
        print(f"{level}: {problem}")
