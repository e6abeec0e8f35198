"""The whole program as real processes: `ssmd run` collects from `ssmd sim`, with each of its faults."""

import fcntl
import gzip
import json
import random
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import gevent
import gevent.event
import pytest
from exchange_server import BINARY, CLOSE, close_frame, eventually, serving
from exchange_server import frame as ws_frame
from patience import PATIENCE
from ports import free_port
from process import KEYS, ROOT, Collector, Process, Simulator, make_tree, start

pytestmark = pytest.mark.one_day

MESSAGES = 5000
_random = random.Random(20)


def frame(number: int) -> bytes:
    """Return a message as an exchange might send it: mostly small, sometimes large, unusual or not ASCII."""
    book = [[f"0.{level:04d}", f"{_random.randrange(9999)}.00"] for level in range(_random.choice((0, 1, 3, 80)))]
    text = _random.choice(("plain", 'quoted "text"', "naïve ☃ \u2028", "back\\slash", "tab\t"))
    message = {"type": "book", "sid": 1 + number % 3, "seq": 1 + number // 3, "msg": {"levels": book, "note": text}}
    return json.dumps(message, ensure_ascii=number % 2 == 0, separators=(",", ":") if number % 5 else None).encode()


FRAMES = [frame(number) for number in range(MESSAGES)]


@pytest.fixture(params=["plain", "gzip"])
def recording(tmp_path, request):
    data = b"".join(frame + b"\n" for frame in FRAMES)
    path = tmp_path / ("frames.jsonl" if request.param == "plain" else "frames.jsonl.gz")
    path.write_bytes(data if request.param == "plain" else gzip.compress(data))
    return path


@pytest.mark.parametrize("exchange", ["kalshi", "generic"])
def test_a_replayed_recording_is_collected_byte_for_byte(tmp_path, recording, exchange):
    with Simulator("--replay", recording) as simulator:
        endpoint = simulator.endpoint if exchange == "kalshi" else simulator.generic
        with Collector(tmp_path, endpoint, exchange=exchange) as collector:
            assert collector.wait() == 75
            assert collector.payloads() == FRAMES
            assert simulator.end() == 0
    stopped = collector.events[-1]
    gaps = 0 if exchange == "kalshi" else None  # Without sequence numbers it is not known.
    assert (stopped["event"], stopped["messages"], stopped["gaps"]) == ("stopped", MESSAGES, gaps)
    assert re.search(r"code 1000, end of recording", stopped["reason"])


# At 50 messages a second even a busy machine sends them one by one, unless ssmd pauses: in 0.3 s there would be 15.
@pytest.mark.parametrize(("coalesce_seconds", "rate", "most", "fewest"), [(0, 20, 1, 1 / 3), (0.3, 400, 1 / 20, 0)])
def test_fast_messages_are_read_together_when_the_feed_allows_it(tmp_path, coalesce_seconds, rate, most, fewest):
    with Simulator("--rate", str(rate)) as simulator:
        version = f"  coalesce_seconds: {coalesce_seconds}\n"
        with Collector(tmp_path, simulator.endpoint, version=version) as collector:
            collector.wait_for_lines(3 * rate)
            assert collector.end() == 0
    times = [line[: line.index(b"Z")] for line in collector.lines()]
    assert fewest <= len(set(times)) / len(times) <= most


def test_lines_of_ssmd_are_replayed_as_they_were_received(tmp_path):
    """Also messages that are not JSON: a file that ssmd wrote gives the same bytes once more."""
    odd = [b"oops", b"\xff\x00", b'{"type":NaN}', b"{}{}"]
    recording = tmp_path / "odd.jsonl"
    recording.write_bytes(b"".join(line + b"\n" for line in odd))
    first, second = tmp_path / "first", tmp_path / "second"
    with Simulator("--replay", recording) as simulator, Collector(first, simulator.generic, exchange="generic") as one:
        assert one.wait() == 75
    [file] = one.data.glob("*/test.jsonl")
    with (
        Simulator("--replay", file, "--speed", "0") as simulator,
        Collector(second, simulator.generic, exchange="generic") as two,
    ):
        assert two.wait() == 75
    assert [payload.strip() for payload in two.payloads()] == odd


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_0_and_everything_received_is_in_the_file(tmp_path, number):
    with Simulator("--rate", "2000") as simulator, Collector(tmp_path, simulator.endpoint) as collector:
        collector.wait_for_lines(3001)
        collector.process.send_signal(number)
        assert collector.wait() == 0
        stopped = collector.events[-1]
        assert (stopped["event"], stopped["reason"]) == ("stopped", number.name)
        assert len(collector.lines()) == stopped["messages"] > 3000
        assert collector.other == []


ACTS_WITHIN = 2
"""The seconds that docs/reliability.md gives a time-out of the network to act."""

# Each fault, the run's exit code, and a part of the reason.
ENDINGS = [
    ("close-after=30", 75, "closed the connection: code 1001"),
    ("reset-after=30", 75, "reset"),
    ("truncate-after=30", 75, "without a close frame"),
    ("silent-after=30", 75, "not even an answer to our ping"),
    ("freeze-after=30", 75, "no data came"),
    ("error-after=30:25", 75, "Kalshi error 25"),
    ("error-after=30:10", 75, "Kalshi error 10"),
    ("error-after=30:8", 78, "Kalshi error 8"),
    ("status=401", 77, "refused the keys: 401"),
    ("status=403", 77, "refused the keys: 403"),
    ("status=429", 69, "429"),
    ("status=503", 69, "503"),
    ("slow-handshake", 69, "no answer within 10 s"),
]


@pytest.mark.parametrize(("fault", "code", "reason"), ENDINGS, ids=[ending[0] for ending in ENDINGS])
def test_every_fault_ends_the_run_with_its_code_and_everything_received_is_in_the_file(tmp_path, fault, code, reason):
    with (
        Simulator("--rate", "200", "--fault", fault) as simulator,
        Collector(
            tmp_path,
            simulator.endpoint,
            version="  idle_timeout_seconds: 2\n" if "silent" in fault else "",
            environment="data_timeout_seconds: 2\n" if "freeze" in fault else "",
        ) as collector,
    ):
        assert collector.wait(PATIENCE) == code
        assert collector.lasted() <= 10 + ACTS_WITHIN
        assert collector.lasted() >= 2 or "429" not in fault  # As long as the simulator's Retry-After says.
        stopped = collector.events[-1]
        assert stopped["event"] == "stopped"
        assert reason in stopped["reason"]
        assert len(collector.lines()) == stopped["messages"]
        if "-after" in fault:
            assert stopped["messages"] >= 30
        assert collector.other == []
    if "silent" in fault or "freeze" in fault:
        [ledger] = collector.data.glob("*/test.ledger.jsonl")
        [ended] = [line for line in map(json.loads, ledger.open()) if line["event"] == "disconnected"]
        last = json.loads(collector.lines()[-1])["ts"]
        silence = datetime.fromisoformat(ended["ts"]) - datetime.fromisoformat(last)
        assert 1.9 <= silence.total_seconds() <= 2 + ACTS_WITHIN


def test_in_the_pause_that_an_exchange_asks_for_the_probes_answer_and_a_signal_ends_the_run(tmp_path):
    """An orchestrator that restarts at once would otherwise ask again and again, and never be let in."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")

    with serving(script) as server, Collector(tmp_path, server.url) as collector:
        collector.start_up()
        pause = collector.wait_for("exchange asks for a pause before the next attempt; the run ends after it")
        assert pause["seconds"] == 60
        assert "429 Too Many Requests; it asks for a wait of 3600 s (Retry-After)" in pause["reason"]
        assert collector.get("/health")[0] == 200
        assert collector.get("/ready")[0] == 503
        assert json.loads(collector.get("/status")[1])["runs"]["last_end"]["reason"] == pause["reason"]
        began = time.monotonic()
        assert collector.end() == 0
        assert time.monotonic() - began < 10
        assert collector.events[-1]["reason"] == "SIGTERM"
        assert server.connections == 1


def test_messages_that_are_not_json_are_kept_in_the_file_and_counted(tmp_path):
    with (
        Simulator("--rate", "200", "--fault", "garbage-after=30") as simulator,
        Collector(tmp_path, simulator.endpoint) as collector,
    ):
        collector.start_up()
        collector.wait_for_lines(60)
        metrics = collector.get("/metrics")[1]
        assert collector.end() == 0
    lines = [json.loads(line) for line in collector.lines()]
    encoded = [line for line in lines if "encoding" in line]
    assert {line["encoding"] for line in encoded} == {"text", "base64"}
    assert f'ssmd_messages_not_json_total{{feed="test",shard=""}} {len(encoded)}.0' in metrics


def test_a_binary_feed_gets_one_warning_that_says_what_it_looks_like(tmp_path):
    warned = gevent.event.Event()

    def script(peer):
        peer.upgrade()
        for number in range(3):
            peer.send(ws_frame(BINARY, gzip.compress(b'{"number":%d}' % number)))
            warned.wait()
        peer.send(close_frame(1000))

    with serving(script) as server, Collector(tmp_path, server.url, exchange="generic") as collector:
        collector.wait_for("messages that are not JSON are kept as strings; from now on they are only counted")
        warned.set()
        assert collector.wait() == 75
        assert list(map(gzip.decompress, collector.payloads())) == [b'{"number":%d}' % number for number in range(3)]
    [warning] = [event for event in collector.events if "not JSON" in event["event"]]
    assert warning["looks_like"] == "gzip (1f 8b)"
    assert warning["remedy"] == "set `decompress: gzip` in the feed's dialect"
    assert collector.events[-1]["not_json"] == 3


def test_compressed_messages_are_written_as_they_were_before(tmp_path):
    """And a bomb among them ends the run; probes, ledger and log say what happened to the messages."""
    asked = gevent.event.Event()

    def script(peer):
        peer.upgrade()
        good = [gzip.compress(b'{"number":%d}' % number) for number in range(3)]
        messages = [*good, good[0][:-1], b"{}", gzip.compress(bytes(10_000_000))]
        for message in messages[:-1]:
            peer.send(ws_frame(BINARY, message))
        asked.wait()
        peer.send(ws_frame(BINARY, messages[-1]))
        return peer.received()

    version = "  max_message_bytes: 1000000\n  dialect: {decompress: gzip}\n"
    with serving(script) as server, Collector(tmp_path, server.url, exchange="generic", version=version) as collector:
        collector.start_up()
        collector.wait_for_lines(5)
        metrics = collector.get("/metrics")[1]
        status = json.loads(collector.get("/status")[1])
        asked.set()
        assert collector.wait() == 75
        assert server.result()[-1] == (CLOSE, (1009).to_bytes(2, "big"))
    lines = [json.loads(line) for line in collector.lines()]
    assert [line["data"] for line in lines[:3]] == [{"number": number} for number in range(3)]
    assert [line.get("encoding") for line in lines] == [None, None, None, "base64", None]
    assert 'ssmd_messages_not_decompressed_total{feed="test",shard=""} 2.0' in metrics
    assert status["messages"]["not_decompressed"] == 2
    [ledger] = tmp_path.rglob("*.ledger.jsonl")
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [entry["decompress"] for entry in entries if entry["event"] == "connected"] == ["gzip"]
    assert "max_message_bytes" in next(entry["reason"] for entry in entries if entry["event"] == "disconnected")
    assert [event["event"] for event in collector.events].count(
        "messages that cannot be decompressed are kept as they came; from now on they are only counted"
    ) == 1
    assert all("remedy" not in event for event in collector.events)


def has_lines(collector, count):
    return len(collector.lines()) == count


def has_empty_queue(collector):
    if not hasattr(collector, "listen"):
        return False  # It has not logged yet where it listens.
    return re.search(r"^ssmd_queue_bytes\{.*\} 0\.0$", collector.get("/metrics")[1], re.MULTILINE) is not None


@pytest.mark.parametrize(
    "worst", [b"\x01", b'"', b"\xff", b"[", "\U0001f600".encode()], ids=["control", "quote", "no text", "list", "wide"]
)
def test_the_largest_message_takes_five_times_its_size_at_most(tmp_path, worst):
    """Beside the 60 MB of a plain run."""
    largest = 16 << 20
    message = worst * (largest // len(worst))

    def script(peer):
        peer.upgrade()
        for number in range(3):
            peer.text(message, b'{"number":%d}' % number)
            eventually(partial(has_lines, collector, 2 * number + 2))
            eventually(partial(has_empty_queue, collector))
        memory = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{collector.process.pid}/status").read_text())
        peer.send(close_frame(1000))
        return int(memory.group(1)) * 1024

    with serving(script) as server, Collector(tmp_path, server.url, exchange="generic") as collector:
        collector.start_up()
        assert collector.wait() == 75
        assert server.result() < 60_000_000 + 5 * largest
        assert collector.payloads()[-2] == message


def test_an_exchange_with_endless_new_sids_ends_the_run_and_everything_received_is_kept(tmp_path):
    def script(peer):
        peer.upgrade()
        for first in range(1, 200_000, 100):
            peer.text(*(b'{"type":"trade","sid":%d,"seq":1}' % sid for sid in range(first, first + 100)))
        peer.drained()

    with serving(script) as server, Collector(tmp_path, server.url) as collector:
        assert collector.wait() == 75
        assert "more than 100,000 subscriptions" in collector.events[-1]["reason"]
        kept = [json.loads(line)["sid"] for line in collector.payloads()]
    assert kept == list(range(1, len(kept) + 1))
    assert 100_000 < len(kept) <= 200_000


def test_a_gap_is_counted_and_logged(tmp_path):
    with (
        Simulator("--rate", "200", "--fault", "gap-after=30") as simulator,
        Collector(tmp_path, simulator.endpoint) as collector,
    ):
        gap = collector.wait_for("sequence gap")
        assert collector.end() == 0
    assert gap["last_got"] - gap["last_expected"] == 3
    assert collector.events[-1]["missed"] == 3 * collector.events[-1]["gaps"] > 0


def test_the_probes_answer_from_the_start_and_report_the_connection(tmp_path):
    with (
        Simulator("--fault", "slow-handshake=1.5") as simulator,
        Collector(tmp_path, simulator.endpoint) as collector,
    ):
        collector.start_up()
        assert collector.get("/health") == (200, '{"status":"ok"}\n')
        assert collector.get("/ready") == (503, '{"reason":"not connected","status":"not_ready"}\n')
        collector.wait_for("connected")
        assert collector.get("/ready") == (200, '{"status":"ready"}\n')
        collector.wait_for_lines(5)
        metrics = collector.get("/metrics")[1]
        for name in ("ssmd_messages_total", "ssmd_connected", "ssmd_last_message_timestamp"):
            assert re.search(rf'^{name}{{feed="test",shard=""}} [1-9]', metrics, re.MULTILINE), name
        assert 'ssmd_errors_total{feed="test",shard="",type="write"} 0.0' in metrics
        assert collector.end() == 0


def test_a_second_collector_is_refused_and_the_first_goes_on(tmp_path):
    with Simulator() as simulator, Collector(tmp_path, simulator.endpoint) as first:
        first.wait_for_lines(1)
        with Collector(tmp_path, simulator.endpoint) as second:
            assert second.wait() == 73
            assert f"process {first.process.pid}" in second.events[-1]["reason"]
        first.wait_for_lines(len(first.lines()) + 5)
        assert first.end() == 0


def test_a_port_in_use_is_reported_in_one_clear_line(tmp_path):
    with Simulator() as simulator, Collector(tmp_path, simulator.endpoint) as first:
        first.start_up()
        with Process("run", "test", "--config-dir", tmp_path / "conf", "--listen", first.listen) as second:
            assert second.wait() == 78
            assert [event["event"] for event in second.events] == [
                f"cannot listen on {first.listen}: Address already in use; choose another address with --listen"
            ]
            assert second.other == []
        assert first.end() == 0


def test_after_kills_the_next_start_leaves_only_whole_lines(tmp_path):
    with Simulator("--rate", "5000") as simulator:
        for _ in range(3):
            with Collector(tmp_path, simulator.endpoint) as collector:
                collector.wait_for_lines(len(collector.lines()) + 500)
                collector.process.kill()
        with Collector(tmp_path, simulator.endpoint) as collector:
            collector.wait_for_lines(len(collector.lines()) + 10)
            assert collector.end() == 0
    assert len(collector.payloads()) > 1500


def test_the_readmes_command_collects_from_the_embedded_simulator(tmp_path):
    with Process("run", "kalshi-sim", "--config-dir", ROOT / "conf", "--listen", "127.0.0.1:0", cwd=tmp_path) as run:
        assert run.wait_for("markets listed")["markets"] > 0
        time.sleep(2)
        assert run.end() == 0
    [file] = (tmp_path / "data").glob("*/kalshi-sim.jsonl")
    kinds = {json.loads(line)["data"]["type"] for line in file.read_bytes().splitlines()}
    assert re.search(rb'"orderbook_snapshot".*"KXSIM(BTC|ETH)-', file.read_bytes()), "of a market that is followed"
    assert kinds >= {"subscribed", "orderbook_snapshot", "orderbook_delta", "ticker"}
    if jq := shutil.which("jq"):
        assert subprocess.run([jq, "-c", ".", file], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_missing_keys_are_reported_in_one_line_that_names_the_simulator():
    with Process("run", "kalshi-dev", "--config-dir", ROOT / "conf", KALSHI_API_KEY="", KALSHI_API_SECRET="") as run:
        assert run.wait() == 78
    [event] = run.events
    for part in ("environments/kalshi-dev.yaml:", "KALSHI_API_KEY", "KALSHI_API_SECRET", "kalshi-sim"):
        assert part in event["event"]


def test_a_log_that_is_not_read_delays_neither_the_probes_nor_the_end(tmp_path):
    """The pipe has room for one page: a longer line waits for a reader, although poll() reports room."""
    listen = f"127.0.0.1:{free_port()}"
    with Simulator("--rate", "500") as simulator:
        # With numbers there is no warning, so that the long line is the first.
        numbers = "  dialect: {paths: {sequence: {plus_one: n, scope: connection}}}\n"
        tree = make_tree(tmp_path, f"{simulator.generic}/{'x' * 6000}", "generic", numbers, "")
        process = start("run", "test", "--config-dir", tree, "--listen", listen)
        try:
            assert process.stderr is not None
            fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
            until = time.monotonic() + PATIENCE
            while ask(f"http://{listen}/ready") != 200:
                assert time.monotonic() < until
                time.sleep(0.1)
            process.terminate()
            assert process.wait(PATIENCE) == 0
            *_, last = process.stderr.read().splitlines(keepends=True)
            assert not last.endswith("\n"), "the pipe had room for the whole line"
        finally:
            process.kill()
            process.communicate()


def ask(url: str) -> int | None:
    """Return the status of the answer; None without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def read_until(stream: IO[str], mark: str) -> str:
    text = ""
    while mark not in text:
        line = stream.readline()
        assert line, f"ended before {mark}: {text}"
        text += line
    return text


def test_a_simulator_without_keys_makes_one_and_accepts_no_other(tmp_path):
    """It prints how to use the key."""
    without: dict[str, Any] = dict.fromkeys(KEYS, "")
    process = start("sim", "--listen", "127.0.0.1:0", **without)
    try:
        assert process.stderr is not None
        printed = read_until(process.stderr, '"serving"')
        exported = dict(re.findall(r"(KALSHI_API_\w+)=(\S+)", printed))
        endpoint = re.search(r'"endpoint": "([^"]+)"', printed).group(1)
        with Collector(tmp_path / "right", endpoint, variables=exported) as collector:
            collector.wait_for("subscribed")
            assert collector.end() == 0
        with Collector(tmp_path / "wrong", endpoint) as collector:
            assert collector.wait() == 77
            assert "refused the keys: 401" in collector.events[-1]["reason"]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
