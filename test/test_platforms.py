"""Other systems than Linux: what macOS does not have is not needed, and Windows is refused before it can fail."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT, Process, ssmd
from recorded import make_day

NOT_ON_MACOS = {
    "errno": ["ECHRNG", "ENOTUNIQ", "EREMOTEIO"],
    "fcntl": ["F_ADD_SEALS", "F_GETPIPE_SZ", "F_NOTIFY", "F_OFD_GETLK", "F_OFD_SETLK", "F_OFD_SETLKW", "F_SETPIPE_SZ"],
    "os": [
        *("O_DIRECT", "O_LARGEFILE", "O_NOATIME", "O_PATH", "O_RSYNC", "O_TMPFILE"),
        *("POSIX_FADV_DONTNEED", "POSIX_FADV_SEQUENTIAL", "POSIX_FADV_WILLNEED", "posix_fadvise", "posix_fallocate"),
        *("copy_file_range", "eventfd", "fdatasync", "getrandom", "getxattr", "listxattr", "memfd_create", "splice"),
        *("pidfd_open", "pipe2", "sched_getaffinity", "sched_setaffinity", "setresuid", "setxattr"),
    ],
    "resource": ["RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_SIGPENDING", "RUSAGE_THREAD", "prlimit"],
    "select": ["EPOLLIN", "EPOLLOUT", "epoll"],
    "signal": ["SIGPOLL", "SIGPWR", "SIGRTMAX", "SIGRTMIN", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"],
    "socket": [
        *("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "MSG_CMSG_CLOEXEC", "MSG_NOSIGNAL", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
        *("SO_BINDTODEVICE", "SO_INCOMING_CPU", "SO_MARK", "SO_PASSCRED", "SO_PEERCRED"),
        *("TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_INFO", "TCP_KEEPIDLE", "TCP_QUICKACK", "TCP_USER_TIMEOUT"),
    ],
    "time": ["CLOCK_BOOTTIME", "CLOCK_MONOTONIC_COARSE", "CLOCK_REALTIME_COARSE", "CLOCK_TAI"],
}
"""Names that Python has on Linux, or some of its versions do, and does not have on macOS."""

LISTEN = ("--listen", "127.0.0.1:0")

LIKE_MACOS = f"""\
import importlib

for module, names in {NOT_ON_MACOS!r}.items():
    module = importlib.import_module(module)
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
    if hasattr(module, "__all__"):
        module.__all__ = [name for name in module.__all__ if name not in names]
"""

LIKE_WINDOWS = """\
import atexit, json, os, sys

os.name, sys.platform = "nt", "win32"
atexit.register(lambda: open({path!r}, "w").write(json.dumps(sorted(sys.modules))))
"""

LOSS_IS_HIDDEN = "has no `paths.sequence`, so lost messages cannot be detected on this feed"


@pytest.fixture
def like_macos(tmp_path: Path) -> dict[str, str]:
    """The environment variables of a Python that lacks NOT_ON_MACOS from its start on."""
    return with_sitecustomize(tmp_path, LIKE_MACOS)


def with_sitecustomize(folder: Path, code: str) -> dict[str, str]:
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": f"{folder / 'site'}:{ROOT}"}


def test_a_run_and_the_work_on_its_days_need_no_name_that_macos_does_not_have(tmp_path, like_macos):
    code = "import json, os; print(json.dumps([hasattr(os, name) for name in ('fdatasync', 'posix_fadvise', 'fsync')]))"
    has = subprocess.run([sys.executable, "-c", code], env=os.environ | like_macos, stdout=subprocess.PIPE, check=True)
    assert json.loads(has.stdout) == [False, False, True]

    data = tmp_path / "data"
    past = make_day(data, "2025-12-22", feed="kalshi-sim", per_hour=20, sealed=False)
    with Process("run", "kalshi-sim", "--config-dir", ROOT / "conf", *LISTEN, cwd=tmp_path, **like_macos) as collector:
        collector.wait_for("subscribed")
        await_true(lambda: collected(data, past) > 10_000)
        await_true(past.with_name("kalshi-sim.manifest.json").exists)  # By the companion, which starts after 5 s.
        assert collector.end() == 0
    assert [event for event in collector.events if event["level"] in ("warning", "error")] == []
    assert collector.other == []

    lines = "".join(path.read_text() for path in sorted(data.glob("*/kalshi-sim.jsonl")))
    for command, expected in (
        (["seal", data, "--before", "9999-12-31"], r"(.*: sealed, .*, coverage .* %, 0 messages lost\n)+"),
        (["compact", data], rf"(?s){past}: compacted, .*"),
        # Today is sealed before its end. A note names the markets that were open before the run, or after it.
        (["verify", data], r"day .*\n(.*  ok *\n)+(note: .* names all\n)*"),
        (["verify", data, "--jobs", "2"], r"day .*\n(.*  ok *\n)+(note: .* names all\n)*"),
        (["report", data, "--days", "9999"], r"(?s)kalshi-sim\n.*"),
        (["report", data, "--html"], r"(?s)<!DOCTYPE html>.*"),
        (["cat", data], re.escape(lines)),
        (["validate", "--config-dir", ROOT / "conf"], rf"(ok: .*\n|warning: .*: {LOSS_IS_HIDDEN}\n)+"),
    ):
        ended = ssmd(*command, **like_macos, PYTHONIOENCODING="utf-8")
        assert (ended.returncode, ended.stderr) == (0, ""), command
        assert re.fullmatch(expected, ended.stdout), command
    assert not past.exists()
    with Process("replay", *LISTEN, past.parent, **like_macos) as replay:
        replay.wait_for("serving")
        assert replay.end() == 0


def collected(data: Path, past: Path) -> int:
    """The bytes of the days that the collector itself has begun."""
    return sum(path.stat().st_size for path in data.glob("*/kalshi-sim.jsonl") if path != past)


def await_true(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_no_module_uses_a_name_that_macos_does_not_have_unasked():
    hidden = {name for names in NOT_ON_MACOS.values() for name in names}
    found = {}
    for path in (ROOT / "ssmd").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        if used & hidden:
            found[str(path.relative_to(ROOT))] = used & hidden
    # It asks hasattr() first.
    assert found == {
        "ssmd/store/durable.py": {"fdatasync", "posix_fadvise", "POSIX_FADV_DONTNEED"},
        "ssmd/commands/jobs/cores.py": {"sched_getaffinity"},
    }


def test_windows_is_refused_in_one_line_before_anything_is_imported(tmp_path):
    imported = tmp_path / "modules.json"
    variables = with_sitecustomize(tmp_path, LIKE_WINDOWS.format(path=str(imported)))
    code, out, err = ssmd("run", "kalshi-sim", "--config-dir", "conf", **variables)
    assert (code, out) == (78, "")
    assert err == "ssmd: runs on Linux and macOS, not on win32; on Windows, use WSL\n"
    modules = json.loads(imported.read_text())
    assert [name for name in modules if name.startswith("ssmd")] == ["ssmd"]
    assert not {"gevent", "fcntl", "docopt"} & set(modules)
