"""The value of --jobs, and how many cores this process may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssmd.commands.jobs.outlet import Task
from ssmd.errors import UsageError, visible

__all__ = ["BYTES_FOR_A_PROCESS", "cores", "jobs_asked", "jobs_for"]

BYTES_FOR_A_PROCESS = 16 * 1024 * 1024
"""Without --jobs there is one process for so much data: to start one takes as long as to read that."""

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def jobs_asked(arguments: Mapping[str, Any]) -> int | None:
    """Return the value of --jobs; None when it is not given. Raises UsageError."""
    text: str | None = arguments["--jobs"]
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text)):
        raise UsageError(f"--jobs is '{visible(text)}'; it must be a whole number from 1 to 99999")
    return int(text)


def jobs_for(tasks: Sequence[Task], asked: int | None) -> int:
    """Return how many processes work on these tasks; 1 when this one does."""
    if asked is None:
        asked = min(cores(), sum(task.bytes for task in tasks) // BYTES_FOR_A_PROCESS)
    return max(1, min(asked, len(tasks)))


def cores() -> int:
    """Return how many cores this process may use: those of its affinity, fewer where a control group has a quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([allowed, *_quotas()])


def _quotas() -> Iterator[int]:
    """Yield the quotas of this process's control groups in cores, rounded up; none where there are no such groups.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    with contextlib.suppress(OSError, ValueError):
        own = Path(_OWN_CGROUP.read_text().partition("0::/")[2].strip())
        for group in (own, *own.parents):
            with contextlib.suppress(FileNotFoundError):  # The root of all groups has none.
                quota, period = (_CGROUPS / group / "cpu.max").read_text().split()
                if quota != "max":
                    yield max(1, -(-int(quota) // int(period)))
