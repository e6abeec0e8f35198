"""The benchmark's own parts: the messages, the source that sends them, the collectors, and the command."""

import json
import math
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from unittest.mock import Mock

import pytest
import websocket
from bench import archive, follow, hot_path, tabs
from bench.check import verify
from bench.collector import OWN, Ssmd, environ
from bench.growing import Growing
from bench.load import Load, Source
from bench.measure import Bench, RunFailed
from bench.messages import BURSTS, FIRST_SEQ, SUBSCRIBE, Cycle
from bench.observing import OBSERVING
from bench.open_tabs import Tabs
from bench.peers import SINK, Collector, peers
from bench.tabs_report import Case
from patience import PATIENCE
from process import ROOT

from ssmd.sim.frames import TEXT, encode

pytestmark = pytest.mark.one_day

SENT_NS = 1_795_860_000_123_456_789
"""2026-11-28T10:00:00.123456789Z."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with Bench(tmp_path_factory.mktemp("bench")) as made:
        yield made


# The messages and their source.


def sent_ns(text: str | bytes) -> int:
    """Return the time of sending that a message holds."""
    message = json.loads(text)["msg"]
    return int(message.get("time", message["ts"]))


def test_messages_have_kalshis_types_and_sizes_and_end_with_a_newline():
    cycle = Cycle()
    texts = cycle.texts
    for number, text in enumerate(texts):
        assert text.endswith(b"}\n")
        assert len(cycle.text(number)) == len(text)
        assert json.loads(cycle.text(number))["seq"] == FIRST_SEQ + number // 4
    assert {json.loads(text)["type"] for text in texts} == {"orderbook_delta", "trade", "ticker"}
    assert 255 < statistics.mean(map(len, texts)) < 280
    assert len({len(text) for text in texts}) > 5


def test_messages_hold_the_time_of_sending_as_kalshis_do():
    cycle = Cycle()
    for number, text in enumerate(cycle.texts):
        sent = cycle.text(number, SENT_NS)
        assert len(sent) == len(text)
        message = json.loads(sent)["msg"]
        assert sent_ns(sent) == SENT_NS
        assert message["ts_ms"] == SENT_NS // 1_000_000


@pytest.mark.parametrize("sids", [1, 4, 7, 10_000])
def test_sequences_have_no_gaps_and_each_turn_has_the_messages_of_the_stream(sids):
    texts = Cycle(sids)
    count = len(texts.frames)
    heads = [json.loads(texts.text(number)) for number in range(2 * count)]
    for sid in {1, sids}:
        seqs = [head["seq"] for head in heads if head["sid"] == sid]
        assert seqs == list(range(FIRST_SEQ, FIRST_SEQ + len(seqs)))
    assert len({head["sid"] for head in heads}) == sids
    assert texts.turn(count) == b"".join(encode(TEXT, texts.text(number)) for number in range(count, 2 * count))


@pytest.mark.parametrize("size", [64, 126, 256, 65_535, 65_536])
def test_a_size_is_kept_to_the_byte(size):
    texts = Cycle(4, size)
    assert {len(texts.text(number)) for number in range(8)} == {size}
    assert json.loads(texts.text(5))["seq"] == FIRST_SEQ + 1


def test_a_size_too_small_for_a_message_is_refused():
    with pytest.raises(ValueError, match="a message on sid 1 needs more than 20 bytes"):
        Cycle(4, 20)


def subscribe(source: Source, context: ssl.SSLContext | None = None) -> websocket.WebSocket:
    scheme = "wss" if context else "ws"
    connection = websocket.create_connection(
        f"{scheme}://127.0.0.1:{source.port}", sslopt={"context": context} if context else None, timeout=PATIENCE
    )
    connection.send(SUBSCRIBE)
    assert json.loads(connection.recv()) == {
        "id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1},
    }  # fmt: skip
    assert source.line(20)[0] == "ready"
    return connection


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("rate", [0, 4000])
def test_the_source_sends_the_stream_until_the_stop(bench, tmp_path, compiled, rate):
    if compiled and bench.sender is None:
        pytest.skip("needs a C compiler")
    senders, bench.sender = bench.sender, bench.sender if compiled else None
    try:
        source = bench.source(Load(rate=rate), tmp_path / "seen")
    finally:
        bench.sender = senders
    began = time.time_ns()
    try:
        connection = subscribe(source)
        source.send("go")
        texts = Cycle()
        received = [connection.recv() for _ in range(2500)]
        source.send("stop")
        source.send("close")
        while message := connection.recv():
            received.append(message)
        connection.shutdown()
        sent = int(source.line(20)[1])
        assert source.wait() == 0
        assert len(received) == sent
        for number in [*range(2500), sent - 1]:
            when = sent_ns(received[number])
            assert received[number].encode() == texts.text(number, when)
        assert (began < when < time.time_ns()) if rate else not when
    finally:
        source.kill()


def test_a_source_that_is_interrupted_while_it_starts_is_ended(bench, tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(Source, "line", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        bench.source(Load(), tmp_path / "seen")
    [process] = started
    assert process.returncode is not None
    assert process.stdin.closed
    assert process.stdout.closed


@pytest.mark.parametrize("tls", ["", "message"])
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n"], ids=["nothing", "request"])
def test_a_client_that_leaves_before_it_has_subscribed_is_reported_in_one_line(bench, tmp_path, capfd, sent, tls):
    source = bench.source(Load(tls=tls), tmp_path / "seen")
    try:
        with socket.create_connection(("127.0.0.1", source.port)) as connection:
            if tls and sent:
                connection = ssl.create_default_context(cafile=bench.authority).wrap_socket(
                    connection, server_hostname="127.0.0.1"
                )
            connection.sendall(sent)
            connection.close()
        assert source.wait() == 1
    finally:
        source.kill()
    assert capfd.readouterr().err == "the client has left\n"


def interrupted_after(start: int) -> tuple[Callable[..., subprocess.Popen], list[subprocess.Popen]]:
    """Return a Popen() that sends Ctrl-C when it has started so many processes, before it returns; and their list."""
    started, popen = [], subprocess.Popen

    def begin(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        if len(started) == start:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        return started[-1]

    return begin, started


@pytest.mark.parametrize("start", [1, 2], ids=["the source", "the collector"])
def test_ctrl_c_right_after_a_start_leaves_no_process(bench, monkeypatch, start):
    begin, started = interrupted_after(start)
    monkeypatch.setattr(subprocess, "Popen", begin)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.run(Ssmd(), Load(), 0.1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(started) == start
    assert [process.returncode is not None for process in started] == [True] * start


def test_paced_messages_are_sent_in_bursts_at_the_rate(bench, tmp_path):
    source = bench.source(Load(rate=1000), tmp_path / "seen")
    try:
        connection = subscribe(source)
        source.send("go")
        times = [sent_ns(connection.recv()) for _ in range(400)]
        source.send("stop")
    finally:
        source.kill()
    bursts = [times.count(when) for when in dict.fromkeys(times)]
    assert bursts[: 2 * len(BURSTS)] == [*BURSTS, *BURSTS]
    assert (times[-1] - times[0]) / 1e9 > 0.35  # On a busy machine they may be late, but never early.


@pytest.mark.parametrize("records", ["message", "full"])
def test_tls_records_hold_one_message_or_as_many_as_they_can(bench, tmp_path, records):
    source = bench.source(Load(tls=records), tmp_path / "seen")
    try:
        context = ssl.create_default_context(cafile=bench.authority)
        connection = subscribe(source, context)
        source.send("go")
        # OpenSSL returns one record from each read.
        sizes = [len(connection.sock.recv(65536)) for _ in range(20)]
    finally:
        source.kill()
    frames = [len(frame) for frame in Cycle().frames[:20]]
    assert (sizes == frames) if records == "message" else (sizes[:5] == [16384] * 5)


# The collectors.


OURS = [*OWN, *OBSERVING]


@pytest.mark.parametrize("name", [own.name for own in OURS] + [peer.name for peer in peers(None) if peer.name != SINK])
def test_a_collector_writes_what_was_sent(bench, name):
    """Peers with requirements of their own are tried where bin/bench has installed these."""
    collectors: list[Collector] = [*OURS, *peers(bench.reader)]
    [collector] = [one for one in collectors if one.name == name]
    if why := collector.missing():
        pytest.skip(why)
    counts: list[int] = []

    def compare(path):
        counts.append(verify(path, Cycle(), exact=collector.exact, envelope=collector.envelope))

    result = bench.run(collector, Load(rate=2000), 0.5, inspect=compare)
    assert not result.fault
    assert counts[0] > 0
    assert math.isnan(result.stamp_step_ms) != collector.envelope
    if collector.envelope:  # A message is stamped after it was sent, and written after it was stamped.
        for stamp, written in zip(result.stamp_ms, result.latency_ms, strict=False):
            assert -result.stamp_step_ms < stamp < written + result.stamp_step_ms


@pytest.mark.parametrize("dialect", hot_path.DIALECTS.values(), ids=hot_path.DIALECTS)
def test_the_hot_path_of_each_dialect_is_measured(tmp_path, monkeypatch, dialect):
    monkeypatch.setattr(hot_path, "MESSAGES", {20: 2000})
    sent = tmp_path / "sent"
    sent.write_bytes(b"".join(Cycle().text(number) for number in range(2000)))
    cost = hot_path.run_round(tmp_path, ROOT, 20, sent, dialect)
    assert cost is not None
    assert cost > 0


def test_a_checkout_that_cannot_be_measured_is_named_with_its_error(tmp_path):
    (tmp_path / "ssmd.py").write_text("raise ImportError('too old')")
    with pytest.raises(RunFailed, match=rf"^{tmp_path}: (?s:.*)ImportError: too old$"):
        hot_path.run_round(tmp_path, tmp_path, 20, tmp_path / "sent", hot_path.DIALECTS["kalshi"])


def test_archive_commands_are_measured_in_turn_with_those_of_another_checkout(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(archive, "ROUNDS", 1)
    monkeypatch.setattr(archive, "CATS", archive.CATS[:1])
    archive.main(tmp_path, 1, [ROOT])
    lines = capsys.readouterr().out.splitlines()
    measured = ["seal jsonl", "verify jsonl", "cat jsonl", "cat jsonl.zst", "cat jsonl.gz", "replay --speed 0 jsonl"]
    rows = [re.sub(" +", " ", line.partition("  ")[0] + " " + line[26:36].strip()) for line in lines[:12]]
    assert rows == [row for row in measured for _ in range(2)]
    days, goals = lines[12:17], lines[17:]
    assert [line.split(",")[0] for line in days] == ["verify", "cat", "cat --type trade", "seal", "compact"]
    assert all(re.search(r", 4 days .* s with --jobs 1, .* s without: +\d+\.\d\d times with", line) for line in days)
    assert [line.split()[1] for line in goals] == ["verify", "cat", "replay"]
    assert all(re.search(r"times the other checkout: \d+\.\d\d, (NOT )?reached$", line) for line in goals)


def test_a_run_at_saturation_has_all_its_figures(bench):
    result = bench.run(Ssmd(), Load(sids=100), 0.3, health=True)
    assert not result.fault
    assert result.rate > 0
    assert 0 < result.cpu_us < 1000
    assert 10 < result.rss_mb < 500
    assert 0 < result.start_ms < 30_000
    assert result.health_ms


@pytest.mark.parametrize("reads", [True, False])
def test_what_open_tabs_cost_is_measured_in_a_run_that_loses_nothing(bench, monkeypatch, reads):
    monkeypatch.setattr(tabs, "HEALTH_STRETCH", 0.2)
    pair = tabs.measure(bench, Case("tabs", 3, reads=reads, slice_seconds=0.2), 0.4)
    assert len(pair.costs) == 5
    assert 0 < pair.without_us < 1000
    assert 0 < pair.with_us < 1000
    assert (pair.events >= 3) == reads
    assert pair.cut == 0
    assert pair.health_ms
    assert 10 < pair.memory_mb < 500


def test_what_comes_for_a_tab_together_with_the_command_to_close_it_ends_nothing():
    tabs = Tabs(("127.0.0.1", 1), reads=True)
    assert tabs.close() == "closed 0 0"
    tabs.serve(3)
    assert tabs.close() == "closed 0 0"


def test_a_file_that_was_counted_is_freed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 999_999 + b"\n")
    with Growing(path) as file:
        for more in range(1, 4):
            file.count()
            assert (file.lines, file.size) == (more, more * 1_000_000)
            assert path.stat().st_blocks * 512 < 20_000
            with open(path, "ab") as end:
                end.write(b"y" * 999_999 + b"\n")
        file.await_lines(4, PATIENCE)
        assert file.lines == 4


def test_a_collector_that_ends_early_is_an_error_with_its_exit_code(bench):
    class Broken(Ssmd):
        def start(self, folder, url, environ):
            return super().start(folder, url.replace("127.0.0.1", "127.0.0.1:1/"), environ)

    with pytest.raises(RunFailed, match=r"ssmd: ended with (78|69)"):
        bench.run(Broken(), Load(), 0.2)


@pytest.fixture
def lines(tmp_path):
    """A file of ten messages, as a collector writes it."""
    texts = Cycle()
    data = [b'{"id":1}', *(texts.text(number, SENT_NS).strip() for number in range(10))]
    path = tmp_path / "out"
    path.write_bytes(
        b"".join(b'{"ts":"2026-11-22T00:00:00.000000Z","feed":"bench","data":%b}\n' % each for each in data)
    )
    return path


def test_a_message_that_was_changed_is_found(lines):
    assert verify(lines, Cycle(), exact=True, envelope=True) == 10
    whole = lines.read_bytes()
    for old, new, problem in [
        (b'"side":"no"', b'"side": "no"', "has other bytes"),
        (b'"side":"no"', b'"side":"yes"', "is not message"),
        (b'"seq":1000000001', b'"seq":1000000002', "is not message"),
        (b'"feed":"bench",', b"", "has no envelope"),
    ]:
        head, _, rest = whole.partition(b"\n")
        lines.write_bytes(head + b"\n" + rest.replace(old, new, 1))
        with pytest.raises(ValueError, match=problem):
            verify(lines, Cycle(), exact=True, envelope=True)


# The command.


def start(folder, *arguments) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bench", *([f"--dir={folder}"] if folder else []), *arguments],
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A process that a shell started in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_the_command_prints_tables_with_ratios(tmp_path):
    out = tmp_path / "out.md"
    ended = start(tmp_path, "--only=ssmd;websocket-client", "--rounds=1", "--seconds=0.1", f"--out={out}", "saturation")
    tables, progress = ended.communicate(timeout=PATIENCE)
    assert ended.returncode == 0, progress
    assert out.read_text() == tables
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in tables.splitlines() if line.startswith("| ssmd")
    ]
    assert rows[0][2] == "1.00"
    assert "| websocket-client, tuned " in tables
    assert list(tmp_path.iterdir()) == [out]


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    process = start(tmp_path, "--only=ssmd", "--seconds=0.2", "--rounds=99", "saturation")
    try:
        until = time.monotonic() + PATIENCE
        while not list(tmp_path.glob("*/*/data/*/bench.jsonl")):
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, progress = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in progress
    assert not list(tmp_path.iterdir())
    assert not [name for name in filter(str.isdigit, os.listdir("/proc")) if bytes(tmp_path) in command_line(name)]


def command_line(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["speed"], "no such measure: speed; there are saturation, paced"),
        (["--rounds=many"], "--rounds must be a number above 0, not 'many'"),
        (["--seconds=0"], "--seconds must be a number above 0, not '0'"),
        (["--dir=/no/such/folder"], "/no/such/folder is no folder"),
    ],
)
def test_wrong_usage_is_refused_in_one_line(arguments, reason):
    process = start(None, *arguments)
    _, progress = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"bench: {reason}" in progress
    assert len(progress.splitlines()) == 1


def test_every_file_of_c_compiles_without_a_warning(tmp_path):
    compiler = shutil.which("cc") or pytest.skip("needs a C compiler")
    for source in (ROOT / "test" / "bench").rglob("*.c"):
        built = subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "program", source],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert built.returncode == 0, built.stderr


def test_what_following_costs_is_measured_once_all_markets_are_subscribed_to(tmp_path):
    cost = follow.measure(tmp_path, 200, 0.2)
    assert 150 <= cost.markets <= 250
    assert 0 < cost.listed_seconds <= cost.subscribed_seconds
    assert cost.requests >= 1
    assert cost.starting_cpu_seconds > 0
    assert cost.rss_mb > 20
