"""A machine for the tests of systemd: a real systemd as process 1 of new namespaces, see deploy/boot-systemd.

It has the programs of this machine, a network without a way out, and the checkout in /opt/ssmd. Everything that is
written in it is removed with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from patience import PATIENCE
from process import ROOT

BOOT = Path(__file__).parent / "deploy" / "boot-systemd"


def why_not() -> str | None:
    """Return why such a machine cannot be made here; None when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("systemctl", "unshare", "nsenter", "pivot_root", "ip"):
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            return f"needs {program}"
    if not Path("/lib/systemd/systemd").exists():
        return "needs systemd"
    if not os.access(own_cgroup(), os.W_OK):
        return "needs control groups"
    namespaces = ["unshare", "--mount", "--pid", "--cgroup", "--net", "--ipc", "--uts", "--fork"]
    mount = ["mount", "-t", "overlay", "-o", "lowerdir=/etc:/usr", "overlay", "/mnt"]
    if subprocess.run([*namespaces, *mount], capture_output=True, check=False).returncode:
        return "needs namespaces and overlay mounts"
    return None


def own_cgroup() -> Path:
    """Return the folder of this process's control group (cgroup v2)."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        if kind == "cgroup2":
            [own] = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
            return Path(mounted, own.strip("/"))
    return Path("/nonexistent")


class Machine:
    """Boots when it is entered, and is removed at exit. `folder`: an empty folder for its use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Machine:
        for name in ("root", "opt"):
            (self.folder / name).mkdir()
        self._install(self.folder / "opt")
        self._cgroup = own_cgroup() / f"ssmd-test-{os.getpid()}-{time.monotonic_ns()}"
        self._cgroup.mkdir()
        # Enter the control group first: the root of the new cgroup namespace is the group of its process 1.
        enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
        namespaces = ["unshare", "--mount", "--pid", "--cgroup", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        boot = [BOOT, self.folder / "root", self.folder / "opt", sys.base_prefix, Path(sys.prefix, "lib")]
        self._process = subprocess.Popen(
            list(map(str, ["sh", "-c", enter, self._cgroup, *namespaces, *boot])),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait_for(
            lambda: self._first_process() and self.run("systemctl", "is-system-running").stdout == "running\n"
        )
        return self

    def __exit__(self, *_: object) -> None:
        if first := self._first_process():
            os.kill(first, 9)  # The kernel then kills every process of its namespace.
        self._process.kill()
        self._process.communicate()
        self.wait_for(lambda: "populated 0" in (self._cgroup / "cgroup.events").read_text())
        for folder, *_rest in os.walk(self._cgroup, topdown=False):
            os.rmdir(folder)

    def _install(self, opt: Path) -> None:
        """Install the checkout as it is after its first use, with a virtual environment for /opt/python."""
        for name in ("bin", "ssmd", "conf", "deploy", "docs"):
            shutil.copytree(ROOT / name, opt / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "requirements.txt", opt)
        (opt / ".venv" / "bin").mkdir(parents=True)
        (opt / ".venv" / "lib").mkdir()
        (opt / ".venv" / "bin" / "python").symlink_to("/opt/python/bin/python3")
        (opt / ".venv" / "pyvenv.cfg").write_text("home = /opt/python/bin\ninclude-system-site-packages = false\n")
        shutil.copy(ROOT / "requirements.txt", opt / ".venv" / ".installed-requirements.txt")

    def _first_process(self) -> int:
        """Return the id of systemd's process outside of its namespace; 0 while there is none."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert self._process.poll() is None, self._process.communicate()[0]
        return int(children[0]) if children else 0

    def path(self, path: str) -> Path:
        """Return the path by which a file of the machine is reached from outside."""
        return Path(f"/proc/{self._first_process()}/root") / path.lstrip("/")

    def command(self, *command: str) -> list[str]:
        """Return the command that executes `command` in the machine."""
        return ["nsenter", "--all", "--target", str(self._first_process()), "--wd=/", *command]

    def run(self, *command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine to its end; with `check` it must succeed."""
        done = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit, check=True).stdout.strip()

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--unit", unit, "--output", "cat", check=True).stdout

    def wait_for(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"not within {seconds} s"
            time.sleep(0.1)
