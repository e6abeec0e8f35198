"""Marks for tests that need something special of the machine; without it they are skipped, with the reason.

`needs_root`, and `needs("strace", "mount")` with names of programs and of ABILITIES. A test marked `one_day` waits
instead: see await_midnight().
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

DAY_SECONDS = 86400
LONGEST_SECONDS = 120
"""A test that takes longer fails: TEST_SECONDS in conftest.py."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_root: skipped unless run by root")
    config.addinivalue_line("markers", "one_day(longest_seconds): begins when no midnight UTC can come before it ends")
    config.addinivalue_line("markers", "needs(*names): skipped unless the machine has these programs and abilities")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if next(item.iter_markers("needs_root"), None) and os.geteuid() != 0:
        pytest.skip("needs root")
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if name not in ABILITIES:
                need(name)
            elif not ABILITIES[name]():
                pytest.skip(f"needs {name}")
    if one_day := item.get_closest_marker("one_day"):
        await_midnight(*one_day.args)


def need(program: str) -> None:
    """Skip the test when the machine lacks a program; where SSMD_TEST_PROGRAMS is `required`, fail it."""
    if shutil.which(program) is None:
        (pytest.fail if os.environ.get("SSMD_TEST_PROGRAMS") == "required" else pytest.skip)(f"needs {program}")


def await_midnight(longest_seconds: float = LONGEST_SECONDS) -> None:
    """Sleep until midnight UTC has passed if it may come during the test, whose messages must be of one day."""
    left = DAY_SECONDS - time.time() % DAY_SECONDS
    if left <= longest_seconds:
        time.sleep(left + 0.1)


@cache
def can_mount() -> bool:
    """Return whether this process may mount; root in a container may not be able to."""
    return os.geteuid() == 0 and _succeeds("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt")


@cache
def can_mount_loop() -> bool:
    return can_mount() and os.path.exists("/dev/loop-control") and shutil.which("mkfs.ext4") is not None


@cache
def can_trace() -> bool:
    """Return whether strace is installed and may trace."""
    return shutil.which("strace") is not None and _succeeds("strace", "-o", os.devnull, "true")


@cache
def can_make_networks() -> bool:
    return os.geteuid() == 0 and _succeeds("unshare", "--net", "ip", "link", "add", "type", "veth")


@cache
def libfaketime() -> Path | None:
    """Return the library that fakes the clock of the process that loads it; None when it is not installed."""
    found = [path for root in ("/usr/lib", "/usr/lib64") for path in Path(root).glob("**/libfaketimeMT.so.1")]
    return found[0] if found else None


ABILITIES: dict[str, Callable[[], object]] = {
    "mount": can_mount,
    "loop mounts of ext4": can_mount_loop,
    "strace": can_trace,
    "network namespaces": can_make_networks,
    "libfaketime": libfaketime,
}


@pytest.fixture
def faketime_library() -> Path:
    library = libfaketime()
    if library is None:
        pytest.skip("needs libfaketime")
    return library


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
