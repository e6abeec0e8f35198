"""`ssmd dashboard` over real collectors: one that collects, one that is frozen, and one that nobody runs."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from patience import PATIENCE
from ports import free_port
from process import Collector, Probed, ssmd

from ssmd.server.page.routes import FILES

TRADES = "subscribe: [{channels: [trade]}]\n"


@pytest.fixture(scope="module")
def collectors(tmp_path_factory):
    """Two that collect."""
    folders = [tmp_path_factory.mktemp("collector") for _ in range(2)]
    with (
        Collector(folders[0], "sim://kalshi?rate=200", environment=TRADES) as first,
        Collector(folders[1], "sim://kalshi?rate=200", environment=TRADES) as second,
    ):
        for each in (first, second):
            each.start_up()
        yield first, second


@contextmanager
def dashboard(*arguments) -> Iterator[Probed]:
    with Probed("dashboard", "--listen", "127.0.0.1:0", *arguments) as running:
        running.listen = running.wait_for("serving")["listen"]
        yield running


def rows(running: Probed) -> dict[str, str]:
    """Return the text of each row, by the address of its collector."""
    html = running.get("/")[1]
    found = re.findall(r'<a href="http://([^/]+)/">(.*?)</tr>\s*<tr class="names">(.*?)</tr>', html, re.DOTALL)
    return {address: re.sub(r"<[^>]*>", " ", first + second) for address, first, second in found}


def wait_for(running: Probed, address: str, text: str, seconds: float = PATIENCE) -> str:
    until = time.monotonic() + seconds
    while text not in (found := rows(running)).get(address, ""):
        assert time.monotonic() < until, f"{text!r} is not in {found}"
        time.sleep(0.1)
    return found[address]


def verdict(running: Probed) -> str:
    [found] = re.findall("<h1>(.*?)</h1>", running.get("/")[1])
    return str(found)


def test_one_row_for_each_with_its_verdict(collectors):
    addresses = [each.listen for each in collectors]
    with dashboard(*addresses) as running:
        for address in addresses:
            assert "Collecting " in wait_for(running, address, "; since ")
        assert list(rows(running)) == addresses
        assert verdict(running) == "All is well with 2 collectors"
        assert running.end() == 0


def test_a_frozen_collector_and_one_that_nobody_runs_delay_no_other(collectors):
    well, frozen = collectors
    nobody = f"127.0.0.1:{free_port()}"
    os.kill(frozen.process.pid, signal.SIGSTOP)
    try:
        with dashboard(nobody, frozen.listen, well.listen) as running:
            # It is there although the first answer of the frozen one is still waited for.
            wait_for(running, well.listen, "Collecting ")
            assert "; since " in rows(running)[well.listen]
            assert "connection refused, since " in wait_for(running, nobody, "No answer")
            assert "no answer within 5 s, since " in wait_for(running, frozen.listen, "No answer")
            assert verdict(running) == f"2 of 3 collectors not well: {nobody}, {frozen.listen}"
            os.kill(frozen.process.pid, signal.SIGCONT)
            wait_for(running, frozen.listen, "; since ")
    finally:
        os.kill(frozen.process.pid, signal.SIGCONT)


def test_the_file_of_collectors_is_read_again(collectors, tmp_path):
    first, second = (each.listen for each in collectors)
    path = tmp_path / "collectors.json"
    path.write_text(json.dumps([{"targets": [first], "labels": {"region": "<b>"}}]))
    with dashboard("--discover", path) as running:
        assert "(region=&lt;b&gt;)" in wait_for(running, first, "Collecting ")
        path.write_text("[")
        assert running.wait_for(f"{path}:1: is neither YAML nor JSON")
        assert f"Note: {path}:1: is neither YAML nor JSON" in running.get("/")[1]
        assert list(rows(running)) == [first]
        path.write_text(json.dumps([{"targets": [second]}]))
        wait_for(running, second, "Collecting ")
        assert list(rows(running)) == [second]


def test_it_is_as_closed_as_the_page_of_a_collector(collectors):
    with dashboard(collectors[0].listen) as running:
        import http.client

        def ask(method: str, path: str, host: str = "localhost") -> tuple[int, str]:
            connection = http.client.HTTPConnection(running.listen, timeout=PATIENCE)
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Security-Policy"]

        assert ask("GET", "/")[0] == 200
        assert "default-src 'none'; script-src 'self'" in ask("GET", "/")[1]
        assert [ask("GET", f"/{name}")[0] for name in FILES] == [200] * len(FILES)
        assert ask("GET", "/health", "evil.example")[0] == 200
        assert ask("GET", "/", "evil.example")[0] == 403
        assert ask("POST", "/")[0] == 405
        assert ask("GET", "/metrics")[0] == 404


def test_without_collectors_it_does_not_start(tmp_path):
    done = ssmd("dashboard")
    assert done.returncode == 64
    assert "name collectors, each as <host:port>, or a file that does with --discover" in done.stderr
    assert ssmd("dashboard", "--discover", tmp_path / "none").returncode == 78
