"""How much faster several days are read and written when each has a core: `--jobs` beside `--jobs 1`, in turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["DAYS", "measure_days"]

DAYS = 4
ROUNDS = 3
COMMANDS = ("verify", "cat", "cat --type trade", "seal", "compact")
"""In this order, since days are sealed before they are compressed. verify and cat leave the days as they are."""
JOBS = (("--jobs", "1"), ())
"""The options that are compared."""

Run = Callable[..., tuple[float, float]]
"""Runs one command; returns its CPU seconds and its seconds."""


def measure_days(folder: Path, environ: Mapping[str, str], run: Run) -> None:
    """Print the seconds of each command over the days in a storage folder, with one job and with the usual number."""
    cores = len(os.sched_getaffinity(0))
    copies = [folder.with_name(f"{folder.name}-{number}") for number in range(len(JOBS))]
    for command in COMMANDS:
        seconds: list[list[float]] = [[] for _ in JOBS]
        for _ in range(ROUNDS):
            for found, jobs, copy in zip(seconds, JOBS, copies, strict=True):
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(folder, copy)
                found.append(run(environ, *command.split(), *jobs, copy)[1])
        one, many = map(min, seconds)
        name = f"{command}, {DAYS} days"
        print(
            f"{name:<25} {one:6.2f} s with --jobs 1, {many:6.2f} s without: {one / many:5.2f} times with {cores} cores",
            flush=True,
        )
        if command == "seal":  # What is compressed next must be sealed.
            shutil.rmtree(folder)
            copies[0].rename(folder)
    for copy in copies:
        shutil.rmtree(copy, ignore_errors=True)
