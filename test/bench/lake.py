"""What Parquet costs, and what it is worth, on one day of --size MB.

    bin/bench --lake [--size=<MB>] [--rounds=<n>]

`ssmd export` beside DuckDB's COPY, polars and pyarrow.json, each as a process, in turn: speed, memory, size, and
whether the very bytes of the lines come back. The upload of the day by `ssmd ship`, beside boto3 alone. And the
questions of docs/lake.md, asked by DuckDB of JSONL, of .jsonl.zst and of Parquet. The tables have medians.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import zstandard
from gevent.monkey import get_original
from lake_queries import QUESTIONS, statement
from market_days import DAY, messages

from bench.archive import environ_of
from bench.collector import ROOT
from bench.lake_peers import PEERS
from bench.lake_upload import upload
from bench.markdown import table
from ssmd.parquet.lines import lines_in
from ssmd.proof.seal import seal
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import DAY_NS, day_begins

__all__ = ["OURS", "Run", "main", "make_day"]

LINE_BYTES = 330
OURS = "ssmd export"
MEMORY_MB = 300
"""What an export may use at most."""
_LOOK_SECONDS = 0.02
TIMES = 1.5
"""How many times as long as DuckDB's own conversion it may take."""


class Run(NamedTuple):
    seconds: float
    cpu: float
    megabytes: float
    """The most memory."""


def make_day(storage: Path, megabytes: float) -> Path:
    """Write a sealed day, and return its data file."""
    folder, begin_ns, encoder = storage / DAY, day_begins(DAY), LineEncoder("kalshi")
    folder.mkdir(parents=True)
    path, size, count = folder / "kalshi.jsonl", 0, int(megabytes * 1e6 / LINE_BYTES)
    with open(path, "wb") as file:
        for sent in messages(count=count, lost=(count // 2,)):
            message = json.dumps(sent.message, separators=(",", ":")).encode()
            size += file.write(encoder.encode(sent.received_us * 1000, [message], True))
    entries = [
        Entry(begin_ns, "started", 0, 0, {"version": "bench", "exchange": "kalshi"}),
        Entry(begin_ns, "connected", 0, 0, {}),
        Entry(begin_ns + DAY_NS - 1, "stopped", size, count, {"reason": "end", "lines": count, "bytes": size}),
    ]
    (folder / "kalshi.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    [found] = data_files([path])
    assert seal(found, begin_ns + 2 * DAY_NS) is not None
    return path


def main(folder: Path, megabytes: float, rounds: int) -> int:
    """Measure below the folder, and print the tables. Return the exit code: 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-", dir=folder) as scratch:
        root = Path(scratch)
        day = make_day(root / "data", megabytes)
        size = day.stat().st_size
        print(f"A day of {size / 1e6:,.0f} MB, medians of {rounds} rounds.\n")
        runs = convert(root, day, rounds)
        header = ("", "MB/s", "CPU MB/s", "memory", "of the JSONL", "the bytes come back")
        print(table(header, rows(root, day, runs)), end="\n\n")
        packed = root / "kalshi.jsonl.zst"
        packed.write_bytes(zstandard.compress(day.read_bytes(), 3))
        print(table(("upload", "MB/s of JSONL", "sent"), upload(root, day, rounds)), end="\n\n")
        print(table(("seconds", "JSONL", "zst", "Parquet"), questions(root, day, packed, rounds)), end="\n\n")
    ours, peer = runs[OURS], runs["DuckDB, COPY"]
    times = median(ours, "cpu") / median(peer, "cpu")
    print(f"goal: at most {TIMES:g} times the CPU time of DuckDB: {times:.2f}")
    print(f"goal: at most {MEMORY_MB} MB of memory: {median(ours, 'megabytes'):.0f}")
    return int(times > TIMES or median(ours, "megabytes") > MEMORY_MB)


def convert(root: Path, day: Path, rounds: int) -> dict[str, list[Run]]:
    """Return the runs of each way to Parquet; they take turns. What the last round makes stays."""
    environ = {**environ_of(ROOT), "PYTHONPATH": os.pathsep.join([str(ROOT / "test"), str(ROOT)])}
    export = ["ssmd", "export", root / "data", "--to", root / "lake", "--again", "--jobs", "1"]
    commands = {OURS: export} | {
        name: ["bench.lake_peers", name, day, root / f"{number}.parquet"] for number, name in enumerate(PEERS)
    }
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            done = run([sys.executable, "-P", "-m", *map(str, command)], environ)
            if done is not None:
                runs[name].append(done)
            elif name == OURS:
                sys.exit("bench: the export has failed")
    for number, name in enumerate(PEERS):
        if not runs[name]:
            continue
        back = [sys.executable, "-P", "-m", "bench.lake_peers", name, "", str(root / f"{number}.parquet")]
        subprocess.run([*back, str(root / f"{number}.jsonl")], env=environ, check=True)
    return runs


def run(command: Sequence[str], environ: dict[str, str]) -> Run | None:
    """Run a command to its end. Return None, with its last words on stderr, when it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=errors)
        done, peak = 0, 0.0
        sleep = get_original("time", "sleep")  # gevent's own would let it take the child's exit code.
        # Not `ru_maxrss`: that is at least the memory of the process that has started it.
        while not done:
            peak = max(peak, _peak(process.pid))
            sleep(_LOOK_SECONDS)
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            print(f"bench: {command[4]}: {errors.read().decode().strip().splitlines()[-1]}", file=sys.stderr)
            return None
    return Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak)


def _peak(pid: int) -> float:
    """Return the highest resident memory of a process so far, in MB; 0 when it has ended."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found is not None else 0.0


def rows(root: Path, day: Path, runs: dict[str, list[Run]]) -> Iterator[list[str]]:
    size, digest = day.stat().st_size, digest_of(iter([day.read_bytes()]))
    files = [[*root.glob("lake/feed=*/*/*/*.parquet")], *([root / f"{number}.parquet"] for number in range(len(PEERS)))]
    for number, (name, found) in enumerate(runs.items()):
        if not found:
            yield [name, "failed", "failed", "", "", ""]
            continue
        back = lines_in(as_a_day(root)) if name == OURS else iter([(root / f"{number - 1}.jsonl").read_bytes()])
        same = digest_of(back) == digest
        made = sum(path.stat().st_size for path in files[number])
        speeds = [f"{size / 1e6 / median(found, what):,.0f}" for what in ("seconds", "cpu")]
        yield [name, *speeds, f"{median(found, 'megabytes'):,.0f} MB", f"{made / size:.1%}", "yes" if same else "no"]


def as_a_day(root: Path) -> Path:
    """Return a folder with the exported files as a day in Parquet has them."""
    folder = root / "day.parquet"
    for path in root.glob("lake/feed=*/type=*/*/*.parquet"):
        link = folder / path.parent.parent.name / path.name
        link.parent.mkdir(parents=True)
        os.link(path, link)
    return folder


def digest_of(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def questions(root: Path, day: Path, packed: Path, rounds: int) -> Iterator[list[str]]:
    """Measure the statements on each form of the day; each form has to answer the same."""
    database = duckdb.connect()
    for question in QUESTIONS:
        text = statement(question)
        forms = [in_json(text, day), in_json(text, packed), text.replace("'lake/", f"'{root}/lake/")]
        answers = [database.sql(form).to_arrow_table().to_pylist() for form in forms]
        assert answers[0] == answers[1] == answers[2], question
        seconds: list[list[float]] = [[] for _ in forms]
        for _ in range(rounds):
            for found, form in zip(seconds, forms, strict=True):
                found.append(timed(lambda form=form: database.sql(form).to_arrow_table()))  # type: ignore[misc]
        yield [question.lower(), *(f"{statistics.median(found):.2f}" for found in seconds)]


def in_json(text: str, path: Path) -> str:
    """Return a statement of docs/lake.md that reads the lines of a day instead."""
    fields = "market_ticker VARCHAR, ts_ms BIGINT, trade_id VARCHAR, yes_price_dollars DECIMAL(18,6), "
    fields += "count_fp DECIMAL(18,2), taker_outcome_side VARCHAR, side VARCHAR, "
    fields += "price_dollars DECIMAL(18,6), delta_fp DECIMAL(18,2)"
    data = f"STRUCT(type VARCHAR, sid BIGINT, seq BIGINT, msg STRUCT({fields}))"
    columns = f"{{ts: 'TIMESTAMPTZ', data: '{data}'}}"
    lines = f"read_json('{path}', format = 'newline_delimited', columns = {columns})"
    day = (
        "(SELECT row_number() OVER () AS line, ts AS received, '' AS shard, '' AS session, data.type AS type, "
        f"data.sid AS sid, data.seq AS seq, unnest(data.msg) FROM {lines})"
    )

    def source(match: re.Match[str]) -> str:
        return day if match[1] == "*" else f"(FROM {day} WHERE type = '{match[1]}')"

    return re.sub(r"read_parquet\('[^']*/type=([^/]*)/[^)]*\)", source, text)


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def median(runs: Sequence[Run], what: str) -> float:
    return statistics.median(getattr(run, what) for run in runs)
