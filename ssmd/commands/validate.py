"""Check a metadata tree, without connecting to anything.

Usage:
  ssmd validate --config-dir <path> [--strict] [--keys] [<environment>...]
  ssmd validate (-h | --help)

Options:
  --config-dir <path>  The metadata tree, with environments/, feeds/ and schemas/. Required.
  --strict             Fail on warnings too.
  --keys               Also look up the keys; their values are never shown.
  -h --help            Show this.

Prints a line for each file that is right and for each problem. Exits with 0 or 78. With environments
named, only these are checked, with what they refer to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ssmd import wiring
from ssmd.errors import ConfigError
from ssmd.metadata.loader import check


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    report = check(Path(arguments["--config-dir"]), datetime.now(UTC).date(), arguments["<environment>"])
    problems = list(report.problems)
    for deployment in report.deployments.values():
        problems += wiring.unserved(deployment)
        if arguments["--keys"]:
            problems += wiring.key_problems(deployment, environ)
    problems = list(dict.fromkeys(problems))
    failed = False
    for file in report.files:
        own = [problem for problem in problems if problem.file == file]
        for problem in own:
            print(f"{'warning' if problem.warning else 'error'}: {problem}")
        if not own:
            print(f"ok: {file}")
    for problem in problems:
        if problem.file not in report.files:
            print(f"{'warning' if problem.warning else 'error'}: {problem}")
        failed = failed or arguments["--strict"] or not problem.warning
    return ConfigError.exit_code if failed else 0
