"""Recordings come back byte for byte, in order and at their pace, and nothing else is sent."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from sim_client import Client, served

from ssmd.envelope import LineEncoder
from ssmd.errors import UsageError
from ssmd.sim.replay import check, recorded

RAW = [
    b'{"type":"trade","sid":4,"seq":9,"msg":{"price": "0.1000"}}',
    b' {"spaced" : [1, 2,   3]} ',
    '{"text":"Ünïcödé \u2028 \\u0000"}'.encode(),
    b'{"broken":',
    b'{"bad":"\xff"}\r',
]
NS = 1_790_000_000_000_000_000


def ssmd_lines(*steps_ms: int) -> bytes:
    encoder = LineEncoder("other")
    return b"".join(encoder.encode(NS + ms * 1_000_000, [b'{"n":%d}' % i]) for i, ms in enumerate(steps_ms))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"\n\n".join(RAW) + b"\n")
    return path


def received(path: Path, venue: str = "/other", **settings: object) -> list[bytes]:
    with served(replay=path, **settings) as simulator, Client(simulator, venue) as client:
        if venue != "/other":
            client.subscribe("ticker")
        payloads = []
        while True:
            opcode, data = client.frame()
            if opcode == 8:
                assert data[:2] == (1000).to_bytes(2, "big")
                assert data[2:] == b"end of recording"
                return payloads
            assert opcode == 1
            assert data.endswith(b"\n")
            payloads.append(data[:-1])


@pytest.mark.parametrize("venue", ["/other", "/trade-api/ws/v2"])
def test_raw_frames_byte_for_byte(raw: Path, venue: str) -> None:
    assert received(raw, venue) == RAW


def test_gzip(raw: Path, tmp_path: Path) -> None:
    packed = tmp_path / "raw.jsonl.gz"
    packed.write_bytes(gzip.compress(raw.read_bytes()))
    assert received(packed) == RAW


def test_ssmds_own_lines_give_back_what_was_received(tmp_path: Path) -> None:
    payloads = [*(p.strip() for p in RAW[:3]), RAW[3], RAW[4], b""]
    path = tmp_path / "own.jsonl"
    path.write_bytes(b"".join(LineEncoder("other").encode(NS, [p]) for p in payloads[:5]))
    assert received(path, speed=0) == payloads[:5]
    assert [r.received_ns for r in recorded(path)] == [NS] * 5


def test_nothing_but_the_recording_and_not_before_the_first_command(raw: Path) -> None:
    with served(replay=raw) as simulator, Client(simulator) as client:
        client.ws.settimeout(0.1)
        with pytest.raises(Exception, match="timed out"):
            client.frame()
        client.ws.settimeout(5)
        client.ws.send("anything")
        assert client.payload() == RAW[0]


def test_recorded_times_are_kept_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(ssmd_lines(0, 100, 100, 600))
    with served(replay=path, speed=2.0) as simulator, Client(simulator, "/other") as client:
        start = time.monotonic()
        times = []
        for n in range(4):
            assert client.message() == {"n": n}
            times.append(time.monotonic() - start)
        # A loaded machine may be late, never early; test_sim_feeds has the exact times.
        assert times[1] > 0.04
        assert times[3] > 0.28
        assert times[3] < 3


def test_raw_frames_at_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(b'{"n":%d}\n' % n for n in range(20)))
    start = time.monotonic()
    assert len(received(path, rate=100)) == 20
    assert 0.18 < time.monotonic() - start < 3


def test_each_client_gets_it_from_the_start(raw: Path) -> None:
    with served(replay=raw) as simulator:
        for _ in range(2):
            with Client(simulator, "/other") as client:
                assert client.payload() == RAW[0]


def test_a_torn_last_line_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(ssmd_lines(0, 1) + b'{"ts":"2026-')
    assert [r.payload for r in recorded(path)] == [b'{"n":0}', b'{"n":1}']
    assert "own.jsonl:3" in caplog.text


def test_a_frame_that_kept_its_newline_gets_no_second_one(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(LineEncoder("other").encode(NS, [b"{broken\n"]))
    assert received(path) == [b"{broken"]


def test_what_cannot_be_replayed(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    (tmp_path / "not.jsonl.gz").write_bytes(b"plain text\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"n":1}\n' * 9)[:-12])
    for name, text in (
        ("none.jsonl", "No such file"),
        ("", "directory"),
        ("empty.jsonl", "no messages"),
        ("not.jsonl.gz", "gzip"),
    ):
        with pytest.raises(UsageError, match=text):
            check(tmp_path / name)
    with pytest.raises(UsageError, match="cut"):
        list(recorded(tmp_path / "cut.jsonl.gz"))


def test_a_recording_damaged_in_the_middle_ends_with_1011(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = b"".join(json.dumps({"n": hash((n, "x"))}).encode() + b"\n" for n in range(50_000))
    path.write_bytes(gzip.compress(whole)[:-5000])
    with served(replay=path) as simulator, Client(simulator, "/other") as client:
        assert client.close_code() == (1011, "the recording is damaged")
