"""`ssmd replay` serves recorded days as the exchange did; collected again, the data is the same, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from patience import PATIENCE
from process import KEYS, ROOT, Collector, Process, Simulator, start

from ssmd.store.layout import ledger_path
from ssmd.store.ledger_file import readable_entries
from ssmd.store.line import LineEncoder, decode_line

pytestmark = pytest.mark.one_day

NS = 1_790_000_000_000_000_000


class Replay(Process):
    """`ssmd replay` on a free port, ready to be connected to."""

    def __init__(self, *arguments: str | Path, **variables: Any) -> None:
        super().__init__("replay", "--listen", "127.0.0.1:0", *arguments, **variables)
        self.endpoint: str = self.wait_for("serving")["endpoint"]
        self.generic = self.endpoint.replace("/trade-api/ws/v2", "/any")


def raw(*paths: Path) -> bytes:
    ended = subprocess.run(
        [sys.executable, "-m", "ssmd", "cat", "--raw", *paths], cwd=ROOT, capture_output=True, check=True
    )
    return ended.stdout


def collect(folder: Path, endpoint: str, exchange: str) -> Path:
    """Collect until the exchange closes the connection; return the storage folder."""
    with Collector(folder, endpoint, exchange=exchange) as collector:
        assert collector.wait(PATIENCE) == 75
    return collector.data


@pytest.mark.parametrize("exchange", ["kalshi", "generic"])
def test_data_collected_from_a_replay_is_the_same_byte_for_byte(tmp_path, exchange):
    # The faults add messages that are not JSON, not UTF-8 and not text.
    faults = ["--fault", "garbage-after=700", "--fault", "garbage-after=1500", "--fault", "close-after=3000"]
    with Simulator("--rate", "0", *faults) as simulator:
        first = collect(tmp_path / "1", simulator.endpoint if exchange == "kalshi" else simulator.generic, exchange)
    message = raw(first)
    assert message.count(b"\n") >= 3000
    assert b"\xff" in message
    [plain] = first.glob("*/test.jsonl")
    zst = plain.with_suffix(".jsonl.zst")
    zst.write_bytes(zstandard.compress(plain.read_bytes()))
    plain.unlink()
    with Replay("--speed", "0", first) as replay:
        again = collect(tmp_path / "2", replay.endpoint if exchange == "kalshi" else replay.generic, exchange)
        assert replay.end() == 0
    assert raw(again) == message
    with Replay("--speed", "0", again) as replay:  # And a replay of that.
        assert raw(collect(tmp_path / "3", replay.generic, "generic")) == message


def test_a_part_is_replayed_at_ten_times_the_speed(tmp_path):
    folder = tmp_path / "2026-09-21"
    folder.mkdir()
    encoder = LineEncoder("test")
    lines = [encoder.encode(NS + n * 10**9, [b'{"n":%d}' % n]) for n in range(60)]
    (folder / "test.jsonl").write_bytes(b"".join(lines))
    (folder / "other.jsonl").write_bytes(LineEncoder("other").encode(NS, [b"{}"]))
    part = ["--from", "2026-09-21T14:13:40", "--to", "2026-09-21T14:13:51", "--feed", "test"]
    with Replay("--speed", "10", *part, tmp_path) as replay:
        again = collect(tmp_path / "again", replay.generic, "generic")
    assert raw(again) == b"".join(b'{"n":%d}\n' % n for n in range(20, 31))
    [file] = again.glob("*/test.jsonl")
    *_, last = file.read_bytes().splitlines()
    [started] = [entry for entry in readable_entries(ledger_path(file.parent, "test")) if entry.event == "started"]
    # It was recorded over 10 s. A busy machine takes longer to connect, and may get the first message late.
    assert decode_line(last).received_ns - started.ts_ns >= 10**9


def test_the_key_is_the_users_own_or_one_made_for_this_run(tmp_path):
    (tmp_path / "test.jsonl").write_bytes(LineEncoder("test").encode(NS, [b'{"type":"ticker","sid":1,"msg":{}}']))
    with Replay(tmp_path / "test.jsonl") as replay:
        assert collect(tmp_path / "own", replay.endpoint, "kalshi").exists()
    with Replay(tmp_path / "test.jsonl", **dict.fromkeys(KEYS, "")) as replay:
        printed = "".join(replay.other)
        assert "This simulator accepts one key" in printed
        # It serves on another port than the one in kalshi-local.yaml.
        assert f"Set `endpoint: {replay.endpoint}` in conf/feeds/kalshi-local.yaml" in printed
        with Collector(tmp_path / "other", replay.endpoint) as collector:
            assert collector.wait() == 77


@pytest.mark.parametrize("command", ["replay", "sim"])
def test_a_recording_of_another_exchange_needs_no_key_and_no_feed_of_kalshi(tmp_path, command):
    messages = [b'{"event":"trade","channel":"live_trades_btcusd"}', b'{"channel":"heartbeat"}']
    frames = b"".join(message + b"\n" for message in messages)
    (tmp_path / "raw.txt").write_bytes(frames)
    (tmp_path / "test.jsonl").write_bytes(LineEncoder("test").encode(NS, messages))
    options = ["--replay", tmp_path / "raw.txt"] if command == "sim" else [tmp_path / "test.jsonl"]
    no_keys: dict[str, Any] = dict.fromkeys(KEYS, "")
    with Process(command, "--listen", "127.0.0.1:0", *options, **no_keys) as replay:
        endpoint = replay.wait_for("serving")["endpoint"]
        printed = "".join(replay.other)
        assert raw(collect(tmp_path / "again", endpoint, "generic")) == frames
    assert f"`endpoint: {endpoint}` in the exchange's feed, in a copy of your metadata tree" in printed
    assert "KALSHI" not in printed
    assert "kalshi-local" not in printed


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["none"], 64, "none: there is no such file or folder"),
        (["."], 64, ". holds no messages to replay"),
        ([".", "--from", "2026-01-02", "--to", "2026-01-01"], 64, "--from must be earlier than --to"),
        ([".", "--speed", "fast"], 64, "--speed is 'fast'; it must be a number, 0 or more"),
        (["cut.jsonl.zst"], 65, "cut.jsonl.zst: cannot be read: it is cut off"),
    ],
)
def test_a_replay_that_cannot_work_is_refused_at_the_start(tmp_path, arguments, code, text):
    (tmp_path / "cut.jsonl.zst").write_bytes(zstandard.compress(b"x" * 100)[:-4])
    process = start("replay", "--listen", "127.0.0.1:0", *arguments, cwd=tmp_path)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert text in err
    assert "Traceback" not in err
