"""Recordings are sent byte for byte, in order and at their pace, and nothing else is sent."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from sim_client import Client, served

from ssmd.contracts.shard import Shard
from ssmd.errors import DataError, UsageError
from ssmd.reading.selection import Selection
from ssmd.sim.replay import Recording
from ssmd.store.head import received_ns
from ssmd.store.line import LineEncoder

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
    """Return all messages of a recording as they were sent; check that those that are not UTF-8 were binary."""
    with served(replay=Recording((path,)), **settings) as simulator, Client(simulator, venue) as client:
        if venue != "/other":
            client.subscribe("ticker")
        payloads: list[bytes] = []
        while True:
            opcode, data = client.frame()
            if opcode == 8:
                assert data[:2] == (1000).to_bytes(2, "big")
                assert data[2:] == b"end of recording"
                return payloads
            assert opcode == (2 if b"\xff" in data else 1)
            payloads.append(data)


def sent(recording: Recording) -> list[bytes]:
    return [message for batch in recording.batches() for message in batch.sent]


def terminated(payloads: list[bytes]) -> list[bytes]:
    return [payload + b"\n" for payload in payloads]


@pytest.mark.parametrize("venue", ["/other", "/trade-api/ws/v2"])
def test_raw_frames_are_sent_byte_for_byte(raw: Path, venue: str) -> None:
    assert received(raw, venue) == terminated(RAW)


def test_raw_frames_may_be_compressed(raw: Path, tmp_path: Path) -> None:
    packed = tmp_path / "raw.jsonl.gz"
    packed.write_bytes(gzip.compress(raw.read_bytes()))
    assert received(packed) == terminated(RAW)


def test_lines_of_ssmd_give_what_was_received(tmp_path: Path) -> None:
    documents, others = [p.strip() for p in RAW[:3]], [*RAW[3:], b"", b"{broken\n", b"\xff\n\n"]
    path = tmp_path / "own.jsonl"
    path.write_bytes(LineEncoder("other").encode(NS, documents + others))
    # White space after a JSON document has no meaning, so it gets a newline. Anything else stays as it is.
    assert received(path, speed=0) == terminated(documents) + others
    [batch] = Recording((path,)).batches()
    assert list(map(received_ns, batch.lines or ())) == [NS] * 8


def test_only_the_recording_is_sent_and_only_after_the_first_command(raw: Path) -> None:
    with served(replay=Recording((raw,))) as simulator, Client(simulator) as client:
        client.ws.settimeout(0.1)
        with pytest.raises(Exception, match="timed out"):
            client.frame()
        client.ws.settimeout(5)
        client.ws.send("anything")
        assert client.payload() == RAW[0]


def test_recorded_times_are_kept_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(ssmd_lines(0, 100, 100, 600))
    start = time.monotonic()
    with served(replay=Recording((path,)), speed=2.0) as simulator, Client(simulator, "/other") as client:
        times = []
        for n in range(4):
            assert client.message() == {"n": n}
            times.append(time.monotonic() - start)
        # On a busy machine messages may be late, but never early; test_sim_feeds has the exact times.
        assert times[1] > 0.04
        assert times[3] > 0.28
        assert times[3] < 10


def test_raw_frames_are_sent_at_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b"".join(b'{"n":%d}\n' % n for n in range(20)))
    start = time.monotonic()
    assert len(received(path, rate=100)) == 20
    assert 0.18 < time.monotonic() - start < 10


def test_each_client_gets_the_recording_from_its_start(raw: Path) -> None:
    with served(replay=Recording((raw,))) as simulator:
        for _ in range(2):
            with Client(simulator, "/other") as client:
                assert client.payload() == RAW[0]


def test_a_torn_last_line_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(ssmd_lines(0, 1) + b'{"ts":"2026-')
    assert sent(Recording((path,))) == [b'{"n":0}\n', b'{"n":1}\n']
    assert "own.jsonl:3" in caplog.text


def test_a_file_with_only_a_torn_line_of_ssmd_holds_no_raw_frames(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(ssmd_lines(0).rstrip(b"\n"))
    assert sent(Recording((path,))) == []


def test_the_last_raw_frame_needs_no_newline(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}')
    assert received(path) == [b'{"n":1}\n', b'{"n":2}\n']


def test_a_recording_that_cannot_be_replayed_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    (tmp_path / "not.jsonl.gz").write_bytes(b"plain text\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"n":1}\n' * 9)[:-12])
    for name, text, kind in (
        ("none.jsonl", "no such file", UsageError),
        ("", "no messages", UsageError),
        ("empty.jsonl", "no messages", UsageError),
        ("not.jsonl.gz", "gzip", DataError),
    ):
        with pytest.raises(kind, match=text):
            Recording((tmp_path / name,)).check()
    with pytest.raises(DataError, match="cut"):
        sent(Recording((tmp_path / "cut.jsonl.gz",)))


def test_days_of_a_storage_folder_in_any_form_are_one_recording(tmp_path: Path) -> None:
    forms: dict[str, Callable[[bytes], bytes]] = {
        "jsonl.zst": zstandard.compress,
        "jsonl.gz": gzip.compress,
        "jsonl": bytes,
    }
    for day, (form, pack) in enumerate(forms.items()):
        folder = tmp_path / f"2026-09-{21 + day}"
        folder.mkdir()
        (folder / f"own.{form}").write_bytes(pack(ssmd_lines(day * 86_400_000, day * 86_400_000 + 1)))
    assert received(tmp_path, speed=0) == [b'{"n":0}\n', b'{"n":1}\n'] * 3
    (tmp_path / "2026-09-22" / "more.jsonl").write_bytes(ssmd_lines(86_400_000))
    with pytest.raises(UsageError, match="holds the feeds more, own, and only one can be replayed"):
        Recording((tmp_path,)).check()
    assert len(sent(Recording((tmp_path,), "more"))) == 1
    later = Selection(begin=b"2026-09-22")
    assert len(sent(Recording((tmp_path,), "own", later))) == 4


def test_the_shards_of_a_feed_are_one_recording_and_one_can_be_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "2026-09-21"
    folder.mkdir()
    (folder / "own+1of2.jsonl").write_bytes(ssmd_lines(0, 20, 20, 40))
    (folder / "own+2of2.jsonl").write_bytes(ssmd_lines(10, 20, 30))
    assert [message[5:6] for message in received(tmp_path, speed=0)] == [b"0", b"0", b"1", b"2", b"1", b"2", b"3"]
    (folder / "own.listing+1of2.jsonl").write_bytes(ssmd_lines(0))
    assert len(sent(Recording((tmp_path,)))) == 7
    assert len(sent(Recording((tmp_path,), "own.listing"))) == 1
    assert len(sent(Recording((folder / "own.listing+1of2.jsonl",)))) == 1
    assert len(sent(Recording((tmp_path,), shard=Shard(2, 2)))) == 3
    with pytest.raises(UsageError, match="holds no messages to replay"):
        Recording((tmp_path,), shard=Shard(1, 3)).check()


@pytest.mark.parametrize("first", [b"", b"X" + ssmd_lines(0), b"\n", ssmd_lines(0)[:30]])
def test_a_file_in_a_days_folder_holds_lines_of_ssmd_whatever_it_begins_with(tmp_path: Path, first: bytes) -> None:
    for day, content in (("2026-09-20", first), ("2026-09-21", ssmd_lines(0, 1))):
        (tmp_path / day).mkdir()
        (tmp_path / day / "own.jsonl").write_bytes(content)
    assert sent(Recording((tmp_path,))) == [b'{"n":0}\n', b'{"n":1}\n']
    later = Selection(begin=b"2026-09-22")
    assert sent(Recording((tmp_path,), selection=later)) == []
    (tmp_path / "2026-09-20" / "more.jsonl").write_bytes(first)
    with pytest.raises(UsageError, match="holds the feeds more, own, and only one can be replayed"):
        Recording((tmp_path,)).check()


def test_outside_of_days_folders_the_first_line_of_all_files_decides(
    tmp_path: Path, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty, own = tmp_path / "empty.jsonl", tmp_path / "own.jsonl"
    empty.write_bytes(b"\n\n")
    own.write_bytes(ssmd_lines(0, 1))
    recording = Recording((empty, own))
    recording.check()
    assert sent(recording) == [b'{"n":0}\n', b'{"n":1}\n']
    assert "did not write its first line" not in caplog.text
    recording = Recording((empty, raw))
    recording.check()
    assert sent(recording) == terminated(RAW)
    assert f"{raw}: ssmd did not write its first line" in caplog.text


@pytest.mark.parametrize("selection", [Selection(begin=b"2026-09-22"), Selection(types=frozenset(["trade"]))])
def test_no_part_of_raw_frames_can_be_selected(raw: Path, selection: Selection) -> None:
    with pytest.raises(UsageError, match="raw frames, and no part of them can be selected; leave out --from"):
        Recording((raw,), selection=selection).check()


def test_a_recording_damaged_in_the_middle_ends_with_1011(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = b"".join(json.dumps({"n": hash((n, "x"))}).encode() + b"\n" for n in range(50_000))
    path.write_bytes(gzip.compress(whole)[:-5000])
    with served(replay=Recording((path,))) as simulator, Client(simulator, "/other") as client:
        assert client.close_code() == (1011, "the recording is damaged")
