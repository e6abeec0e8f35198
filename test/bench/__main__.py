"""Measure ssmd against what a user would pick instead; the tables go to stdout, the progress to stderr.

Usage:
    bench [options] [<measure>...]

Measures, all of them unless named: saturation, paced, health, tls, sizes, sids. The whole takes about 16 minutes.

Options:
    --quick            the main rows only, two rounds: about 100 seconds
    --check            measure nothing; see that every collector writes exactly what was sent
    --soak             instead watch ssmd alone, for an hour or --seconds, at --rate
    --rate=<messages>  a second, for the soak [default: 5000]
    --only=<names>     collectors whose names contain one of these, separated by `;`, as in `ssmd;picows`
    --rounds=<n>       interleaved rounds, of which the medians are shown; 3, or 2 when quick
    --seconds=<s>      of each run, without its warm-up; 3, or 2 when quick
    --dir=<folder>     where the collectors write; TMPDIR unless given. /dev/shm leaves the disk out of it
    --out=<file>       write the tables there too; between the marks, in a document that has them
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path

from docopt import docopt

from bench import soak
from bench.measure import Bench, Load, RunFailed
from bench.plan import MEASURES, QUICK, Plan
from bench.table import insert, report

CHECK_RATE = 2000
CHECK_SECONDS = 1.0


def main() -> None:
    options = docopt(__doc__)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # To end as by Ctrl-C, with everything cleared away.
    folder = Path(options["--dir"] or tempfile.gettempdir())
    if options["--soak"]:
        sys.exit(soak.main(folder, float(options["--seconds"] or 3600), float(options["--rate"])))
    unknown = set(options["<measure>"]) - set(MEASURES)
    if unknown:
        sys.exit(f"bench: no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    quick = options["--quick"]
    only = (options["--only"] or "").split(";") if options["--only"] else []
    with Bench(folder) as bench:
        if bench.sender is None:
            tell("no C compiler: the load is sent by Python, and the C reader is left out")
        plan = Plan(bench, options["<measure>"] or (QUICK if quick else MEASURES), only, quick=quick)
        for name, why in plan.missing.items():
            tell(f"{name} is skipped: {why}")
        if options["--check"]:
            sys.exit(plan.check(Load(rate=CHECK_RATE), CHECK_SECONDS, tell))
        rounds = int(options["--rounds"] or (2 if quick else 3))
        seconds = float(options["--seconds"] or (2 if quick else 3))
        bench.warm(seconds)
        plan.run(rounds, seconds, tell)
    text = report(plan, rounds, seconds)
    print(text, end="")
    if options["--out"]:
        insert(Path(options["--out"]), text)


def tell(text: str) -> None:
    print(f"bench: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except RunFailed as failed:
        sys.exit(f"bench: {failed}")
