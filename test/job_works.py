"""Works for tests of --jobs, each with a moment at which the test decides what happens. `main` does one, as a command.

    python -c 'import job_works; job_works.main()' <jobs> <work> <folder> <unit>...
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType

from ssmd.cli import run_command
from ssmd.commands import COMMANDS
from ssmd.commands.jobs.in_order import in_order
from ssmd.commands.jobs.outlet import Outlet, Task, Work


def waits(folder: Path, unit: str, outlet: Outlet) -> str:
    """Report, leave the process's id in a file, and wait for the file that lets it go on; a unit in capitals need not.

    A unit ending in `!` fails then, as a bug does.
    """
    outlet.report(f"{unit} begins")
    (folder / f"{unit}.pid.new").write_text(str(os.getpid()))
    (folder / f"{unit}.pid").hardlink_to(folder / f"{unit}.pid.new")  # It appears with its content.
    if not unit.isupper():
        os.mkfifo(folder / f"{unit}.go")
        (folder / f"{unit}.go").read_bytes()
    if unit.endswith("!"):
        raise ZeroDivisionError(unit)
    return f"{unit} is done"


def advances(folder: Path, unit: str, outlet: Outlet) -> str:
    """Show some progress, and wait. It is shown again and again, because not every step is shown at once."""
    (folder / f"{unit}.pid").write_text(str(os.getpid()))
    while not (folder / f"{unit}.go").exists():
        outlet.progress(30)
        time.sleep(0.01)
    return f"{unit} is done"


def writes(folder: Path, unit: str, outlet: Outlet) -> str:
    """Write a line, wait like the other one, and write another."""
    outlet.write(f"{unit} first\n".encode())
    text = waits(folder, unit, outlet)
    outlet.write(f"{unit} last\n".encode())
    return text


def floods(folder: Path, unit: str, outlet: Outlet) -> str:
    """Write 100 MB, and leave in a file how many megabytes of that were taken."""
    for count in range(100):
        (folder / f"{unit}.taken").write_text(str(count))
        outlet.write(unit.encode() * 1_000_000)
    return unit


def main() -> None:
    jobs, work, folder, *units = sys.argv[1:]
    command = ModuleType("works", "Usage: ssmd works")
    command.main = partial(_main, int(jobs), partial(globals()[work], Path(folder)), units)  # type: ignore[attr-defined]
    sys.modules["works"], COMMANDS["works"] = command, "works"
    sys.exit(run_command(["works"], os.environ))


def _main(jobs: int, work: Work, units: list[str], arguments: object, environ: object) -> int:
    for text in in_order(work, [Task(unit, f"the day {unit}", 100) for unit in units], jobs, take=print):
        print(text, flush=True)
    return 0
