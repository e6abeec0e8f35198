"""`ssmd cat` as a process, in pipes."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from late_reader import PIPE_BYTES
from patience import PATIENCE
from process import ROOT, start
from test_commands_jobs_pool import await_true, has_ended

from ssmd.commands.cat import tasks_of
from ssmd.commands.jobs.cores import BYTES_FOR_A_PROCESS, cores, jobs_for
from ssmd.contracts.shard import Shard
from ssmd.reading.selection import Selection
from ssmd.store.inventory import data_files
from ssmd.store.layout import data_path
from ssmd.store.line import LineEncoder

LATE_READER = Path(__file__).parent / "late_reader.py"
NS = 1_790_000_000_000_000_000
MESSAGES = [
    b'{"type":"trade","sid":1,"seq":1,"msg":{"market_ticker":"KX-A","price": "0.10"}}',
    b'{"type":"ticker","sid":2,"msg":{"market_ticker":"KX-B"}}',
    b"{broken\n",
    b"\xff\x00",
]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Two days of one feed, the first compressed."""
    encoder = LineEncoder("kalshi")
    forms: list[tuple[str, Callable[[bytes], bytes]]] = [("kalshi.jsonl.gz", gzip.compress), ("kalshi.jsonl", bytes)]
    for day, (name, pack) in enumerate(forms):
        folder = tmp_path / f"2026-09-{21 + day}"
        folder.mkdir()
        lines = [encoder.encode(NS + day * 86_400 * 10**9 + n * 10**9, [each]) for n, each in enumerate(MESSAGES)]
        (folder / name).write_bytes(pack(b"".join(lines)))
    return tmp_path


def cat(*arguments: str | Path) -> tuple[int, bytes, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "ssmd", "cat", *map(str, arguments)], cwd=ROOT, capture_output=True, check=False
    )
    return ended.returncode, ended.stdout, ended.stderr.decode()


def all_lines(storage: Path) -> bytes:
    return (
        gzip.decompress((storage / "2026-09-21/kalshi.jsonl.gz").read_bytes())
        + (storage / "2026-09-22/kalshi.jsonl").read_bytes()
    )


def test_all_lines_are_printed_unchanged(storage):
    assert cat(storage) == (0, all_lines(storage), "")
    assert cat(storage / "2026-09-22")[1] == (storage / "2026-09-22/kalshi.jsonl").read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        b'{"ts":"yesterday","feed":"kalshi","data":{}}',
        b'{"ts":"2026-09-22T14:13:20.000000Z","data":{}}',
        b'{"ts":"2026-09-22T14:13:20.000000Z","feed":"kalshi","more":1,"data":{}}',
        b'{"ts":"2026-99-22T14:13:20.000000Z","feed":"kalshi","data":{}}',
        b'{"ts":"2026-09-22T14:73:20.000000Z","feed":"kalshi","data":{}}',
        b'{"ts":"2026-09-22T24:13:20.000000Z","feed":"kalshi","data":{}}',
    ],
)
@pytest.mark.parametrize("options", [(), ("--raw",)])
def test_lines_that_only_begin_like_lines_of_ssmd_are_left_out_and_reported(tmp_path, line, options):
    sound = LineEncoder("kalshi").encode(NS, MESSAGES[:2])
    (tmp_path / "kalshi.jsonl").write_bytes(sound + line + b"\n")
    code, out, err = cat(*options, tmp_path / "kalshi.jsonl")
    assert code == 65
    assert out.count(b"\n") == 2
    assert line not in out
    assert "kalshi.jsonl:3: not a line of ssmd" in err
    assert "Traceback" not in err


def test_raw_prints_the_bytes_of_the_exchange(storage):
    assert cat("--raw", storage) == (0, 2 * b"".join(message + b"\n" for message in MESSAGES), "")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--type", "trade"], [0, 4]),
        (["--type", "trade", "--type", "ticker"], [0, 1, 4, 5]),
        (["--type=trade", "--market=KX-A"], [0, 4]),
        (["--market", "KX-B", "--to", "2026-09-22"], [1]),
        (["--from", "2026-09-21T14:13:22", "--to", "2026-09-22T14:13:21Z"], [2, 3, 4]),
        (["--from", "2026-09-21T16:13:22.000001+02:00"], [3, 4, 5, 6, 7]),
        (["--feed", "kalshi", "--from", "2027-01-01"], []),
    ],
)
def test_the_options_select_lines(storage, options, wanted):
    lines = all_lines(storage).splitlines(keepends=True)
    assert cat(*options, storage) == (0, b"".join(lines[n] for n in wanted), "")


def test_wrong_lines_are_reported_and_left_out(storage):
    path = storage / "2026-09-22" / "kalshi.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'{"type":"ticker"', b'\0"type":"ticker"') + b'{"ts"')
    code, out, err = cat(path)
    assert code == 65
    assert out == b"".join(line for line in whole.splitlines(keepends=True) if b'"type":"ticker"' not in line)
    assert err.splitlines() == [
        f"ssmd: {path}:2: not a line of ssmd, left out",
        f"ssmd: {path}:5: not a whole line (5 bytes), left out",
    ]


def test_a_torn_end_alone_is_not_an_error(storage):
    with (storage / "2026-09-22" / "kalshi.jsonl").open("ab") as file:
        file.write(b'{"ts":"2026-')
    code, _, err = cat(storage)
    assert (code, len(err.splitlines())) == (0, 1)


def test_of_a_file_of_another_kind_only_ten_lines_are_named(tmp_path):
    (tmp_path / "other.jsonl").write_bytes(b'{"n":1}\n' * 1000)
    code, out, err = cat(tmp_path / "other.jsonl")
    assert (code, out) == (65, b"")
    assert len(err.splitlines()) == 11
    assert err.endswith(": 990 more lines left out\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["none"], "none: there is no such file or folder"),
        (["-"], "ssmd: -: there is no such file or folder, and the standard input is not read\n"),
        (["."], "no data here"),
        (["--feed", "x", "."], "no data of feed x here"),
        (["--from", "noon", "."], "--from is 'noon'; it must be a time such as"),
        (["--from", "2026-01-02", "--to", "2026-01-02", "kalshi.jsonl"], "--from must be earlier than --to"),
        ([], "the arguments do not fit"),
    ],
)
def test_wrong_usage(tmp_path, arguments, text):
    (tmp_path / "kalshi.jsonl").touch()
    process = start("cat", *arguments, cwd=tmp_path)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (64, "")
    assert text in err


@pytest.mark.parametrize("raw", [[], ["--raw"]])
def test_it_ends_without_a_message_when_the_reader_closes_the_pipe(tmp_path, raw):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(LineEncoder("kalshi").encode(NS, MESSAGES[:2] * 50_000))
    process = subprocess.Popen(
        [sys.executable, "-m", "ssmd", "cat", *raw, path], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_plain_files_need_no_heavy_library(storage):
    code = "import sys, ssmd.commands.cat, ssmd.commands.run; print({'zstandard', 'rich', 'jinja2'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "zstandard" not in ended.stdout
    assert "rich" not in ended.stdout


@pytest.mark.parametrize("ledger", ["", '{"ts":"2026-09-21T10:00:00.000000Z","event":"started","offset":0,"line":0,\
"exchange":"kalshi","description":{}}\n'])
def test_to_find_types_in_kalshis_messages_the_dialects_are_not_imported(storage, ledger):
    """They take a fifth of the time of a short command, and cryptography is among what they import."""
    (storage / "2026-09-21" / "kalshi.ledger.jsonl").write_text(ledger)
    arguments = {"<path>": [str(storage)], "--type": ["trade"], "--market": [], "--raw": False, "--follow": False}
    arguments |= dict.fromkeys(("--feed", "--shard", "--from", "--to", "--jobs"))
    code = f"import sys, ssmd.commands.cat as cat; cat.main({arguments!r}, {{}}); print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(ended.stderr.split())
    assert ended.stdout.count('"type":"trade"') > 1
    assert "ssmd.exchange.kalshi.reader" in modules
    assert not {name for name in modules if name.startswith(("cryptography", "ssmd.exchange.generic"))}


@pytest.mark.parametrize("name", ["kalshi.jsonl.zst", "kalshi.jsonl.gz"])
def test_an_empty_compressed_file_is_an_error(tmp_path, name):
    path = tmp_path / name
    path.touch()
    code, out, err = cat(path)
    assert (code, out) == (65, b"")
    assert f"{path}: cannot be read: it is empty, not a {path.suffix} file" in err


@pytest.mark.parametrize(
    ("name", "pack"), [("kalshi.jsonl.zst", zstandard.compress), ("kalshi.jsonl.gz", gzip.compress)]
)
def test_all_readable_lines_of_a_cut_off_file_are_printed(tmp_path, name, pack):
    noise = random.Random(1)
    lines = LineEncoder("kalshi").encode(NS, [b'"%b"' % noise.randbytes(50).hex().encode() for _ in range(20_000)])
    packed = pack(lines)
    path = tmp_path / name
    path.write_bytes(packed[: len(packed) * 9 // 10])
    code, out, err = cat(path)
    assert (code, lines.startswith(out), out[-1:]) == (65, True, b"\n")
    # A block of zstandard has up to 128 KiB of text, and can be read as a whole or not at all.
    assert len(out) > len(lines) * 9 // 10 - 140_000
    assert f"{path}: cannot be read: " in err


def test_a_named_pipe_is_refused(tmp_path):
    """Opening it would wait for another process to write to it."""
    pipe = tmp_path / "fifo.jsonl"
    os.mkfifo(pipe)
    code, out, err = cat(pipe)
    assert (code, out) == (64, b"")
    assert f"{pipe}: is no regular file" in err


def many_days(root: Path) -> None:
    """Write more than a pipe holds, in the form of lines, of a page and of a table."""
    for day in range(1, 29):
        for feed in ("kalshi", "kraken", "other"):
            (root / f"2026-09-{day:02}").mkdir(exist_ok=True)
            path = root / f"2026-09-{day:02}" / f"{feed}.jsonl"
            path.write_bytes(LineEncoder(feed).encode(NS, [b'{"n":%d}' % n for n in range(100)]))


@pytest.mark.parametrize(
    ("how", "command"),
    [
        ("out", ("cat",)),
        ("both", ("cat", "--raw")),
        ("out", ("report", "--days", "28", "--html")),
        ("out", ("report", "--days", "28")),
        ("both", ("verify",)),
    ],
)
def test_a_late_reader_gets_everything_through_a_non_blocking_pipe(tmp_path, how, command):
    """Any program that shares a pipe can make it non-blocking, as node and ssh do."""
    many_days(tmp_path)
    argv = [sys.executable, "-m", "ssmd", *command, str(tmp_path)]
    stderr = subprocess.STDOUT if how == "both" else subprocess.PIPE
    expected = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, check=False)
    assert len(expected.stdout) > 2 * PIPE_BYTES
    late = subprocess.run([sys.executable, LATE_READER, how, *argv], cwd=ROOT, capture_output=True, check=False)
    assert (late.returncode, at_any_time(late.stdout)) == (expected.returncode, at_any_time(expected.stdout))
    assert late.stderr == (expected.stderr or b"")


def at_any_time(output: bytes) -> bytes:
    """Return the output without the times that depend on when a report is made."""
    return re.sub(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}|[0-9]+ days ago", b"", output)


def test_a_command_that_waits_for_its_reader_ends_when_the_reader_does(tmp_path):
    many_days(tmp_path)
    argv = [sys.executable, str(LATE_READER), "gone", sys.executable, "-m", "ssmd", "cat", str(tmp_path)]
    late = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
    assert (late.returncode, late.stdout, late.stderr) == (141, b"", b"")


NONE = "ssmd: note: no message matches\n"
TYPES = "ssmd: note: --type looks at `type`, which in the first 8 messages is trade, ticker\n"
GUESSED = (
    "ssmd: note: neither a ledger nor a description says where these messages have their type and market, so they were "
    "read as Kalshi's; add the path to `dialect.paths` of the feed (docs/dialect.md); it has an effect on what is "
    "recorded from then on\n"
)
MARKETS = "ssmd: note: --market looks at `msg.market_ticker`, which in the first 8 messages is KX-A, KX-B\n"


@pytest.mark.parametrize(
    ("arguments", "notes"),
    [
        (("--type", "trades"), NONE + TYPES),
        (("--market", "kx-a"), NONE + MARKETS),
        (("--type", "x", "--market", "y", "--raw"), NONE + TYPES + MARKETS),
        (("--type", "trade", "--market", "y"), NONE + MARKETS),
        (("--type", "trade", "--market", "KX-B"), NONE),
        (("--type", "x", "--from", "2027-01-01"), NONE + "ssmd: note: no message at all was received in this time\n"),
        (("--from", "2027-01-01"), ""),
        (("--type", "trade", "--type", "x"), None),
    ],
)
def test_a_type_or_a_market_that_nothing_has_is_explained(storage, arguments, notes):
    """A misspelt name, or a dialect without such a field, must not pass for a day without trades."""
    code, out, err = cat(*arguments, storage)
    assert (code, bool(out)) == (0, notes is None)
    assert err == (notes or "")


def test_for_messages_without_the_fields_a_note_says_so(tmp_path):
    folder = tmp_path / "2026-09-21"
    folder.mkdir()
    lines = LineEncoder("other").encode(NS, [b'{"channel":"trades","msg":[1]}', b"[5]", b'"x"', b"\xff"])
    (folder / "other.jsonl").write_bytes(lines)
    assert cat("--type", "trade", "--market", "BTC", tmp_path) == (
        0,
        b"",
        NONE
        + "ssmd: note: none of the first 4 messages has a `type`, which --type looks at\n"
        + "ssmd: note: none of the first 4 messages has a `msg.market_ticker`, which --market looks at\n"
        + GUESSED,
    )


def test_only_the_most_frequent_of_many_markets_are_named(tmp_path):
    folder = tmp_path / "2026-09-21"
    folder.mkdir()
    messages = [b'{"type":"t","msg":{"market_ticker":"KX-%d"}}' % (number % 30) for number in range(100)]
    (folder / "kalshi.jsonl").write_bytes(LineEncoder("kalshi").encode(NS, messages))
    named = ", ".join(f"KX-{number}" for number in range(10))
    assert cat("--market", "KX", tmp_path)[2].endswith(f"messages is {named} and 20 more\n")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Three days, each of more than a process keeps while it is not its turn, and than a pipe takes."""
    for day in range(3):
        path = tmp_path / f"2026-09-{21 + day}" / "kalshi.jsonl"
        path.parent.mkdir()
        path.write_bytes(LineEncoder("kalshi").encode(NS + day * 86_400 * 10**9, [b'"%b"' % (b"x" * 20_000)] * 1000))
    return tmp_path


def several_jobs(storage: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Start cat with two jobs on these days, read its first line, and return it with the ids of its processes.

    Then its output is a full pipe, so nothing of it can be done before more is read.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ssmd", "cat", "--jobs=2", storage],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b'{"ts":"2026-09-21')
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    return process, list(map(int, children))


def ended(process: subprocess.Popen[bytes], children: list[int]) -> tuple[int, str]:
    """Return the exit code and stderr, once the process and those that it has started have ended."""
    assert process.stdout is not None
    assert process.stderr is not None
    code = process.wait(timeout=PATIENCE)
    await_true(lambda: all(map(has_ended, children)))
    err = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    return code, err


def test_with_several_jobs_a_closed_pipe_ends_all_processes_without_a_message(large):
    process, children = several_jobs(large)
    process.stdout.close()
    assert ended(process, children) == (141, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_with_several_jobs_a_signal_ends_all_processes(large, number):
    process, children = several_jobs(large)
    process.send_signal(number)
    assert ended(process, children) == (-number, "")


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_process_of_several_jobs_is_named_by_its_day(large, which):
    process, children = several_jobs(large)
    os.kill(children[which], signal.SIGKILL)
    code, err = ended(process, children)
    assert code == 137
    assert re.fullmatch(r"ssmd: the process that worked on 2026-09-2\d was killed by SIGKILL; .*: try --jobs=1\n", err)


@pytest.mark.parametrize("form", ["jsonl", "jsonl.zst"])
@pytest.mark.parametrize(
    ("selection", "is_shared"),
    [
        (Selection(), False),
        (Selection(begin=b"2026-09-21T12"), False),
        (Selection(types=frozenset({"trade"})), True),
        (Selection(markets=frozenset({"KX-A"})), True),
    ],
)
def test_by_default_several_processes_share_only_the_search_for_types_and_markets(tmp_path, form, selection, is_shared):
    """To print all lines of large days takes longer with several: they come one after the other."""
    for day in (21, 22, 23):
        path = tmp_path / f"2026-09-{day}" / f"kalshi.{form}"
        path.parent.mkdir()
        path.touch()
        os.truncate(path, BYTES_FOR_A_PROCESS)
    tasks = tasks_of(data_files([tmp_path]), selection)
    assert [task.name for task in tasks] == ["2026-09-21", "2026-09-22", "2026-09-23"]
    assert jobs_for(tasks, None) == (min(cores(), 3) if is_shared else 1)
    assert jobs_for(tasks, 2) == 2


def test_days_come_one_after_the_other_whatever_times_their_lines_have(tmp_path):
    """A line in the file of an earlier day is damage. It must not make a difference how many days are read at once."""
    encoder = LineEncoder("kalshi")
    for day, later in (("2026-09-21", 2), ("2026-09-22", 1)):
        (tmp_path / day).mkdir()
        (tmp_path / day / "kalshi.jsonl").write_bytes(encoder.encode(NS + later * 86_400 * 10**9, [b"{}"]))
    one, two = (cat("--jobs", jobs, tmp_path) for jobs in "12")
    assert one == two
    assert re.findall(rb'"ts":"(.{10})', one[1]) == [b"2026-09-23", b"2026-09-22"]


@pytest.fixture
def shards(tmp_path: Path) -> dict[str, bytes]:
    """A day that two shards recorded, and then three, in `tmp_path`: the lines of each file, by its stem.

    At each second, each file has one line.
    """
    folder = tmp_path / "2026-09-21"
    folder.mkdir()
    found = {}
    for shard in (Shard(1, 2), Shard(2, 2), Shard(1, 3), Shard(2, 3), Shard(3, 3)):
        encoder = LineEncoder("kalshi")
        since = 5 * (shard.of - 2)
        message = b'{"type":"trade","sid":1,"seq":%d,"msg":{"market_ticker":"KX-%d","shard":"%b"}}'
        lines = [
            encoder.encode(NS + second * 10**9, [message % (second, second % 2, shard.label.encode())])
            for second in range(since, since + 5)
        ]
        found[shard.stem("kalshi")] = b"".join(lines)
        data_path(folder, shard.stem("kalshi")).write_bytes(found[shard.stem("kalshi")])
    data_path(folder, "other").write_bytes(LineEncoder("other").encode(NS, [b"{}"]))
    data_path(folder, "kalshi+4of3").write_bytes(b"not a shard\n")
    return found


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_shards_of_a_feed_are_one_feed_merged_by_time_and_then_by_shard(tmp_path, shards, jobs):
    lines = [line for stem in shards for line in shards[stem].splitlines(keepends=True)]
    expected = sorted(lines, key=lambda line: line[:40])  # Python's sort is stable, and `shards` is in order.
    assert [json.loads(line)["data"]["msg"]["shard"] for line in expected[:2]] == ["1of2", "2of2"]
    assert cat("--feed", "kalshi", "--jobs", jobs, tmp_path) == (0, b"".join(expected), "")
    of_market = [line for line in expected if b'"KX-1"' in line]
    assert cat("--feed", "kalshi", "--market", "KX-1", tmp_path) == (0, b"".join(of_market), "")


def test_one_shard_can_be_chosen(tmp_path, shards):
    assert cat("--feed", "kalshi", "--shard", "2/3", tmp_path) == (0, shards["kalshi+2of3"], "")
    assert cat("--shard", "1/1", tmp_path)[1] == (tmp_path / "2026-09-21" / "other.jsonl").read_bytes()
    code, out, err = cat("--feed", "kalshi", "--shard", "2/4", tmp_path)
    assert (code, out) == (64, b"")
    assert "no data of feed kalshi of shard 2/4 here" in err
    code, _, err = cat("--feed", "kalshi+2of3", tmp_path)
    remedy = "ssmd: --feed is 'kalshi+2of3', a shard of a feed; give --feed kalshi --shard 2/3"
    assert (code, err.splitlines()[0]) == (64, remedy)
    code, _, err = cat("--shard", "4/3", tmp_path)
    assert (code, err.splitlines()[0]) == (64, "ssmd: --shard is '4/3'; it must be a shard from 1/3 to 3/3")
