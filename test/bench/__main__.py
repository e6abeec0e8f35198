"""Measure ssmd against what a user would pick instead; the tables go to stdout, the progress to stderr.

Usage:
    bench [options] [<measure>...]

Measures: saturation, paced, health, tls, sizes, sids. Without any all are taken, which takes about 19 minutes.

Options:
    --quick            the main rows only, two rounds: about 100 seconds
    --check            measure nothing; check that every collector writes exactly what was sent
    --soak             instead watch ssmd alone, for an hour or --seconds, at --rate
    --rate=<messages>  messages a second of the soak [default: 5000]
    --archive          instead measure how fast recorded data is sealed, verified, read and replayed
    --size=<MB>        size of the day that is read [default: 500]
    --follow           instead measure what following 1,000, 10,000 and 100,000 markets costs, or the numbers of --only
    --ship             instead measure what shipping to NATS and Kafka costs a collector, how late a consumer is, and
                       how fast a day of --size is caught up with; --only takes names of engines
    --lake             instead measure what Parquet costs and is worth: an export beside other programs', an upload,
                       and the questions of docs/lake.md, on a day of --size
    --hot-path         instead measure what a message costs between the socket and the disk
    --tabs             instead measure what open tabs of the page cost at saturation: an hour for 10 --rounds
    --beside=<folder>  another checkout, measured in turn with this one by --hot-path and --archive; the goals of the
                       latter are about version 0.1.0
    --only=<names>     collectors whose names contain one of these, separated by `;`, as in `ssmd;picows`; dialects
                       with --hot-path
    --rounds=<n>       rounds of all cases in turn; the tables show medians. 3, or 2 with --quick
    --seconds=<s>      seconds of each run, without its warm-up: 3, or 2 with --quick; three times as long at 100
                       messages a second
    --dir=<folder>     where the collectors write; TMPDIR if not given. /dev/shm measures without a disk
    --out=<file>       write the tables there too; between the marks, in a document that has them
"""

from __future__ import annotations

import math
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from docopt import docopt

from bench import archive, follow, hot_path, soak, tabs
from bench.load import Load
from bench.measure import Bench, RunFailed
from bench.plan import MEASURES, QUICK, Plan
from bench.report import insert, report

LEAST_FREE_BYTES = 1024**3
CHECK_RATE = 2000
CHECK_SECONDS = 1.0


def main() -> None:
    options = docopt(__doc__)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # It ends as by Ctrl-C: processes and files are removed.
    folder = Path(options["--dir"] or tempfile.gettempdir())
    if not folder.is_dir():
        sys.exit(f"bench: {folder} is no folder")
    if (free := shutil.disk_usage(folder).free) < LEAST_FREE_BYTES:
        sys.exit(f"bench: {folder} has only {free // 2**20} MiB free; name another folder with --dir")
    if options["--soak"]:
        sys.exit(soak.main(folder, number(options, "--seconds", 3600), number(options, "--rate")))
    others = [Path(options["--beside"])] if options["--beside"] else []
    if options["--archive"]:
        sys.exit(archive.main(folder, number(options, "--size"), others))
    if options["--follow"]:
        wanted = [int(text) for text in (options["--only"] or "").split(";") if text]
        sys.exit(follow.main(folder, number(options, "--seconds", 30), wanted))
    if options["--ship"]:
        from bench import ship  # It needs the servers and the libraries of the engines.

        rounds, seconds = int(number(options, "--rounds", 3)), number(options, "--seconds", 10)
        sys.exit(ship.main(folder, number(options, "--size"), seconds, rounds, (options["--only"] or "").split(";")))
    if options["--lake"]:
        from bench import lake  # It needs DuckDB and the server of a bucket.

        sys.exit(lake.main(folder, number(options, "--size"), int(number(options, "--rounds", 3))))
    if options["--hot-path"]:
        sys.exit(hot_path.main(folder, others, (options["--only"] or "").split(";")))
    if options["--tabs"]:
        rounds, seconds = int(number(options, "--rounds", 10)), number(options, "--seconds", 36)
        sys.exit(tabs.main(folder, seconds, rounds, (options["--only"] or "").split(";"), progress))
    compare(folder, options)


def compare(folder: Path, options: dict[str, Any]) -> None:
    """Measure ssmd and its peers, and print the tables; or only check what they write, with --check."""
    unknown = set(options["<measure>"]) - set(MEASURES)
    if unknown:
        sys.exit(f"bench: no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    quick, only = options["--quick"], (options["--only"] or "").split(";")
    rounds = max(1, int(number(options, "--rounds", 2 if quick else 3)))
    seconds = number(options, "--seconds", 2 if quick else 3)
    with Bench(folder) as bench:
        if bench.sender is None:
            progress("no C compiler: the load is sent by Python, and the C reader is left out")
        plan = Plan(bench, options["<measure>"] or (QUICK if quick else MEASURES), only, quick=quick)
        for name, why in plan.missing.items():
            progress(f"{name} is skipped: {why}")
        if not plan.outcomes:
            sys.exit("bench: there is no collector to measure of those that --only names")
        if options["--check"]:
            sys.exit(plan.check(Load(rate=CHECK_RATE), CHECK_SECONDS, progress))
        bench.warm(seconds)
        plan.run(rounds, seconds, progress)
    text = report(plan, rounds, seconds)
    print(text, end="")
    if options["--out"]:
        insert(Path(options["--out"]), text)


def number(options: dict[str, Any], name: str, default: float = 0) -> float:
    """Return the value of an option. Exits when it is not a number above 0."""
    given = options[name] or default
    try:
        value = float(given)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        sys.exit(f"bench: {name} must be a number above 0, not {given!r}")
    return value


def progress(text: str) -> None:
    print(f"bench: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except RunFailed as failed:
        sys.exit(f"bench: {failed}")
