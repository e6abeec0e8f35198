"""The endings: how the runs have ended is known to the next one, and nothing waits for a disk that does not answer."""

import os
import re
import socket
import time
from collections import Counter

import pytest
from process import ROOT, Collector, Simulator, make_tree, ssmd

from ssmd.errors import AlreadyCollected
from ssmd.runtime.error_counts import FILE_BYTES, ErrorCounts


class Count:
    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount


def loaded(path) -> dict[str, float]:
    counters = {label: Count() for label in ("disconnect", "write")}
    ErrorCounts(path.parent, "kalshi", counters).load()
    return {label: count.value for label, count in counters.items()}


def endings(path) -> ErrorCounts:
    return ErrorCounts(path.parent, "kalshi", {label: Count() for label in ("disconnect", "write")})


def test_the_next_run_begins_where_the_last_one_ended(tmp_path):
    path = tmp_path / ".kalshi.errors"
    assert loaded(path) == {"disconnect": 0, "write": 0}
    for label in ("disconnect", "write", "disconnect"):
        endings(path).add(label)
    assert loaded(path) == {"disconnect": 2, "write": 1}


def test_the_file_is_there_before_it_is_needed_and_never_grows(tmp_path):
    path = tmp_path / ".kalshi.errors"
    loaded(path)
    assert path.stat().st_size == FILE_BYTES
    endings(path).add("write")
    assert path.stat().st_size == FILE_BYTES
    assert loaded(path)["write"] == 1


@pytest.mark.parametrize("content", [b"", b'{"write": 2}'])
def test_a_file_that_a_full_disk_left_short_is_filled_at_the_next_start(tmp_path, content):
    path = tmp_path / ".kalshi.errors"
    path.write_bytes(content)
    assert loaded(path)["write"] == (2 if content else 0)
    assert path.stat().st_size == FILE_BYTES
    assert loaded(path)["write"] == (2 if content else 0)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 512, b"[]", b'{"write": "x"}', b'{"write": -1, "other": 3}', b'{"write": true}', b"\xff"]
)
def test_a_damaged_file_counts_as_nothing_and_is_mended(tmp_path, content):
    path = tmp_path / ".kalshi.errors"
    path.write_bytes(content)
    assert loaded(path) == {"disconnect": 0, "write": 0}
    endings(path).add("write")
    assert loaded(path) == {"disconnect": 0, "write": 1}


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    path = tmp_path / "data" / ".kalshi.errors"
    assert loaded(path) == {"disconnect": 0, "write": 0}
    endings(path).add("write")
    assert not path.parent.exists()


def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("ssmd.runtime.error_counts.DISK_SECONDS", 0.05)
    path = tmp_path / ".kalshi.errors"
    os.mkfifo(path)  # Opening it for reading blocks until somebody writes.
    began = time.monotonic()
    assert loaded(path) == {"disconnect": 0, "write": 0}
    assert time.monotonic() - began < 5
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def test_a_run_that_ended_with_an_error_shows_in_the_metrics_of_the_next(tmp_path):
    ends: Counter[int] = Counter()
    with Simulator("--fault", "close-after=20") as simulator:
        for _ in range(2):
            with Collector(tmp_path, simulator.generic, exchange="generic") as collector:
                ends[collector.wait()] += 1
    assert ends == {75: 2}
    with Simulator() as simulator, Collector(tmp_path, simulator.generic, exchange="generic") as collector:
        collector.start_up()
        collector.wait_for_lines(41)
        assert 'ssmd_errors_total{feed="test",shard="",type="disconnect"} 2.0\n' in collector.get("/metrics")[1]
        assert collector.end() == 0


@pytest.mark.parametrize(
    ("variables", "arguments", "code", "label"),
    [
        ({"KALSHI_API_KEY": ""}, (), 78, "keys"),
        ({"KALSHI_API_SECRET": "no key"}, (), 78, "config"),
        ({}, ("--listen", "127.0.0.1:{port}"), 78, "listen"),
        ({"PYTHONPATH": "{folder}:{root}"}, (), 70, "bug"),
    ],
)
def test_what_ends_a_run_before_it_collects_is_counted_too(tmp_path, variables, arguments, code, label):
    """A collector in a crash loop over its keys or its port would otherwise leave no trace in the metrics."""
    (tmp_path / "sitecustomize.py").write_text(
        "from ssmd.exchange.kalshi import signing\ndef sign(*_):\n raise RuntimeError('a bug')\nsigning.sign = sign\n"
    )
    (tmp_path / "data").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken, Simulator() as simulator:
        make_tree(tmp_path, simulator.endpoint, "kalshi", "", "")
        places = {"port": taken.getsockname()[1], "folder": tmp_path, "root": ROOT}
        command = ["run", "test", "--config-dir", tmp_path / "conf", "--listen", "127.0.0.1:0"]
        ended = ssmd(
            *command[: -2 if arguments else None],
            *[text.format(**places) for text in arguments],
            **{name: text.format(**places) for name, text in variables.items()},
        )
        assert ended.returncode == code
        with Collector(tmp_path, simulator.endpoint) as collector:
            collector.start_up()
            collector.wait_for_lines(1)
            metrics = collector.get("/metrics")[1]
            assert collector.end() == 0
    counted = re.findall(r'^ssmd_errors_total\{feed="test",shard="",type="(\w+)"\} [1-9]', metrics, re.MULTILINE)
    assert counted == [label]


def test_a_second_collector_that_is_refused_is_not_counted(tmp_path):
    """Its port, or the files, are the first one's, and so are the counts."""
    (tmp_path / "data").mkdir()
    with Simulator() as simulator, Collector(tmp_path, simulator.endpoint) as first:
        first.start_up()
        first.wait_for_lines(1)
        before = (tmp_path / "data" / ".test.errors").read_bytes()
        command = ("run", "test", "--config-dir", tmp_path / "conf", "--listen")
        assert ssmd(*command, first.listen).returncode == 78
        assert ssmd(*command, "127.0.0.1:0").returncode == 73
        assert ssmd(*command, "127.0.0.1:0", KALSHI_API_KEY="").returncode == 78
        assert (tmp_path / "data" / ".test.errors").read_bytes() == before
        assert first.end() == 0


def test_a_refusal_that_only_the_writer_finds_is_not_counted_either(tmp_path):
    counts = endings(tmp_path / ".kalshi.errors")
    counts.load()
    with pytest.raises(AlreadyCollected), counts:
        raise AlreadyCollected("another collector")
    assert loaded(tmp_path / ".kalshi.errors") == {"disconnect": 0, "write": 0}


def test_a_writer_without_a_folder_counts_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = ErrorCounts(None, "kalshi", {"write": Count()})
    counts.load()
    counts.add("write")
    assert list(tmp_path.iterdir()) == []
