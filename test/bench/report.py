"""The report of a run: the goals, the tables, and notes on what disturbed it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.goals import LIMITS, Judgement, judge
from bench.markdown import table
from bench.peers import SINK
from bench.plan import MEASURES, Plan
from bench.tables import TABLES

__all__ = ["goals_table", "insert", "report"]

BEGIN, END = "<!-- results: written by bin/bench --out -->", "<!-- end of results -->"
BUSY_PERCENT = 85
"""A collector at saturation takes a whole core. When it got less than this, other processes took the rest."""


def report(plan: Plan, rounds: int, seconds: float) -> str:
    """Return all tables, the goals first."""
    parts = [_heading(rounds, seconds)]
    judgements = list(judge(plan.outcomes))
    if judgements:
        parts.append("### Goals\n\n" + goals_table(judgements))
    for measure in MEASURES:
        rows = [(case, outcome) for case, outcome in plan.outcomes.items() if case.measure == measure]
        if rows:
            parts.append(TABLES[measure](rows))
    notes = [f"- {name} was skipped: {why}." for name, why in plan.missing.items()]
    for case, outcome in plan.outcomes.items():
        if outcome.fault:
            notes.append(f"- {case.collector} ({case.measure}) FAILED: {outcome.fault}")
    notes += _busy(plan)
    if notes:
        parts.append("### Notes\n\n" + "\n".join(notes))
    return "\n\n".join(parts) + "\n"


def insert(path: Path, text: str) -> None:
    """Replace what is between the marks of a document, or write a new file."""
    if path.exists() and BEGIN in (old := path.read_text()):
        before, _, rest = old.partition(BEGIN)
        text = f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"
    path.write_text(text)


def goals_table(judgements: Sequence[Judgement]) -> str:
    """Return the table of the goals, and what limits those that are not reached."""
    rows = [[one.goal, one.figure, "reached" if one.reached else "**NOT reached**"] for one in judgements]
    text = table(["goal", "in this run", ""], rows)
    missed: dict[str, list[str]] = {}
    for one in judgements:
        if not one.reached:
            missed.setdefault(one.limit, []).append(one.goal)
    limits = ["\n  - ".join([f"- {LIMITS[limit]}:", *goals]) for limit, goals in missed.items()]
    return "\n".join([text, "", "What stands in the way:", "", *limits] if limits else [text])


def _heading(rounds: int, seconds: float) -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {_machine()} with {cores} cores, {_cpu()}, Linux "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}: medians of {rounds} rounds of "
        f"{seconds:g} s each."
    )


def _machine() -> str:
    try:
        virtual = re.search(r"^flags\s*:.*\bhypervisor\b", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        virtual = None
    return "a virtual machine" if virtual else "a machine"


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.machine()


def _busy(plan: Plan) -> list[str]:
    shares = [
        result.cpu_percent
        for case, outcome in plan.outcomes.items()
        if case.measure == "saturation" and case.collector != SINK
        for result in outcome.results
    ]
    low = sum(share < BUSY_PERCENT for share in shares)
    if low * 4 < len(shares) or not shares:
        return []
    return [
        f"- **The machine was busy**: in {low} of {len(shares)} runs at saturation the collector got less than "
        f"{BUSY_PERCENT} % of a core. Rates and latencies then say little; CPU per message says more."
    ]
