"""The collector loads the metadata in a child process, which has ended before anything is collected."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from process import Collector, Process, make_tree

IGNORING = ("sh", "-c", 'trap "" CHLD; exec "$@"', "sh")
"""A command that executes another with SIGCHLD ignored, as a careless parent might."""


ALONE = (
    *("setpriv", "--reuid=60517", "--regid=60517", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),  # The interpreter may stand below /root.
    *("prlimit", "--nproc=1"),
)
"""A command that executes another as a user who may have only one process."""


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def huge_tree(tmp_path):
    """A tree that takes a second to load. The collector then looks for a key that is not there."""
    tree = make_tree(tmp_path, "ws://127.0.0.1:9", "kalshi", "", "")
    tickers = "".join(f"  - A{number}\n" for number in range(40_000))
    (tree / "environments" / "test.yaml").write_text(
        f"name: test\nfeed: test\nstorage: {{type: local, path: {tmp_path}/data}}\nsubscribe:\n  market_tickers:\n"
        f"{tickers}keys:\n  last: {{type: api_key, fields: [api_key, api_secret], source: 'env:NOT_THERE,NOR_HERE'}}\n"
        "data_timeout_seconds: 60\n"
    )
    return tree


def run(tree: Path, *prefix: str, **variables: Any) -> Process:
    return Process("run", "test", "--config-dir", tree, "--listen", "127.0.0.1:0", prefix=prefix, **variables)


def child_of(run: Process) -> int:
    """The process that loads the metadata, stopped while it does."""
    until = time.monotonic() + PATIENCE
    while not (found := children(run.process.pid)):
        assert time.monotonic() < until
        assert run.process.poll() is None
    [child] = found
    os.kill(child, signal.SIGSTOP)
    return child


@pytest.mark.parametrize("prefix", [(), IGNORING], ids=["", "SIGCHLD ignored"])
def test_a_collector_keeps_neither_the_libraries_nor_the_child(tmp_path, prefix):
    with Collector(tmp_path, "sim://kalshi", prefix=prefix) as collector:
        collector.wait_for("connected")
        mapped = Path(f"/proc/{collector.process.pid}/maps").read_text()
        assert children(collector.process.pid) == []
        assert collector.end() == 0
    assert "msgspec" in mapped
    assert "pydantic" not in mapped
    assert "yaml" not in mapped


def test_what_the_collector_finds_later_is_reported_with_its_line_however_large_the_file(huge_tree):
    with run(huge_tree) as collector:
        assert collector.wait() == 78
    [event] = collector.events
    assert event["event"].startswith("environments/test.yaml:40007: keys.last: ")


@pytest.mark.needs_root
@pytest.mark.needs("setpriv", "prlimit")
def test_where_no_child_is_allowed_the_collector_loads_by_itself(huge_tree):
    with run(huge_tree, *ALONE) as collector:
        assert collector.wait() == 78
    [event] = collector.events
    assert event["event"].startswith("environments/test.yaml:40007: keys.last: ")


@pytest.mark.needs_root
@pytest.mark.needs("setpriv", "prlimit")
def test_where_not_even_a_thread_is_allowed_the_run_ends_with_a_sentence(tmp_path):
    tmp_path.chmod(0o777)
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", "")
    with run(tree, *ALONE) as collector:
        assert collector.wait() == 73
    assert collector.other == []
    assert "the system starts no further thread for this user; raise its limit" in collector.events[-1]["reason"]


@pytest.mark.parametrize("prefix", [(), IGNORING], ids=["", "SIGCHLD ignored"])
@pytest.mark.parametrize(
    ("number", "reported"),
    [
        (signal.SIGKILL, "was killed by SIGKILL; if nobody killed it, there was not enough memory"),
        (signal.SIGTERM, "was killed by SIGTERM"),
    ],
)
def test_a_child_that_is_killed_is_reported_once_and_ends_the_run(huge_tree, prefix, number, reported):
    with run(huge_tree, *prefix) as collector:
        child = child_of(collector)
        os.kill(child, number)
        os.kill(child, signal.SIGCONT)
        assert collector.wait() == 128 + number
    [event] = collector.events
    assert (event["level"], event["event"]) == ("error", f"the process that loads the metadata {reported}")
    assert collector.other == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_collector_that_waits_for_its_metadata(huge_tree, number):
    with run(huge_tree) as collector:
        child = child_of(collector)
        collector.process.send_signal(number)
        assert collector.process.wait(timeout=PATIENCE) == -number
        os.kill(child, signal.SIGCONT)
        collector.wait()  # The child has the same stderr, so this waits for its end, too.
    assert (collector.events, collector.other) == ([], [])


def test_a_bug_in_loading_is_reported_once(tmp_path):
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", "")
    (tmp_path / "yaml.py").write_text("raise RuntimeError('this is no YAML parser')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    with run(tree, PYTHONPATH=path) as collector:
        assert collector.wait() == 70
    assert collector.events == []
    assert collector.other[0] == "Traceback (most recent call last):"
    assert collector.other[-2] == "RuntimeError: this is no YAML parser"
    assert [line for line in collector.other if "bug in ssmd" in line] == collector.other[-1:]
