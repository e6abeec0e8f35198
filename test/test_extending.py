"""A new exchange, writer or key resolver is one file and one catalog line: shown with a toy of each."""

from datetime import date

import gevent
import pytest
from process import make_tree

from ssmd import wiring
from ssmd.errors import Disconnected, ResolveError
from ssmd.exchange import EXCHANGES
from ssmd.metadata.loader import load
from ssmd.resolver import RESOLVERS
from ssmd.runtime.interfaces import Inspection
from ssmd.writer import WRITERS

# Each class below is what the one new file would hold.


class ShoutingExchange:
    """Asks in capitals."""

    def __init__(self, keys, subscribe):
        self.secret = keys["word"]
        self.names = subscribe["names"]

    @classmethod
    def check(cls, subscribe):
        return []

    def headers(self, path, now_ms):
        return {"X-Word": self.secret}

    def commands(self):
        return [name.upper().encode() for name in self.names]

    def inspect(self, payloads):
        return Inspection(decoded=False)

    def unacknowledged(self):
        return []


class ListWriter:
    """Keeps messages in a list."""

    location = "a list"
    kept: list[bytes] = []  # noqa: RUF012 - shared, so that the test can look into it

    def __init__(self, storage, feed, *, status, metrics, clock):
        self.feed = feed

    def open(self):
        pass

    def encode(self, received_ns, payloads, decoded):
        return b"".join(payload.strip() + b"\n" for payload in payloads)

    def write(self, batch):
        self.kept += batch.data.splitlines()

    def flush(self):
        pass

    def sync(self):
        pass

    def close(self):
        pass


class DiaryResolver:
    """Finds keys in a diary."""

    def __init__(self, environ):
        pass

    def resolve(self, source):
        page = source.removeprefix("diary:")
        if page != "may":
            raise ResolveError(f"the diary has no page {page}")
        return {page: "sesame"}


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    # And these are the catalog lines.
    monkeypatch.setitem(EXCHANGES, "shouting", ShoutingExchange)
    monkeypatch.setitem(WRITERS, "list", ListWriter)
    monkeypatch.setitem(RESOLVERS, "diary", DiaryResolver)
    monkeypatch.setattr(ListWriter, "kept", [])
    tree = make_tree(tmp_path, "ws://127.0.0.1:1/", "shouting", "", "subscribe: {names: [bread, milk]}\n")
    path = tree / "environments" / "test.yaml"
    text = path.read_text().replace("type: local", "type: list")
    path.write_text(
        text.replace(
            "fields: [api_key, api_secret], source: 'env:KALSHI_API_KEY,KALSHI_API_SECRET'",
            "fields: [word], source: 'diary:may'",
        )
    )
    return lambda: load(tree, "test", date(2026, 1, 1))


def test_the_toys_are_taken_from_the_catalogs_and_collect(deployment, tmp_path, monkeypatch):
    from ssmd.sim.replay import Recording
    from ssmd.sim.server import Simulator

    recording = tmp_path / "recording.jsonl"
    recording.write_bytes(b"first\nsecond\n")
    simulator = Simulator("127.0.0.1", 0, credentials={}, rate=0, replay=Recording((recording,)))
    serving = gevent.spawn(simulator.serve)
    path = tmp_path / "conf" / "feeds" / "test.yaml"
    path.write_text(path.read_text().replace(":1/", f":{simulator.port}/any"))
    run = wiring.assemble(deployment(), {}, ("127.0.0.1", 0))
    with pytest.raises(Disconnected, match="code 1000"):
        run.runner.run()
    simulator.stop()
    serving.join()
    assert [payload.strip() for payload in ListWriter.kept] == [b"first", b"second"]


def test_the_toys_are_checked_like_the_rest(deployment):
    assert wiring.unserved(deployment()) == []
    assert wiring.key_problems(deployment(), {}) == []


def test_without_the_catalog_lines_each_is_a_clear_error(deployment, monkeypatch):
    for catalog, name in ((EXCHANGES, "shouting"), (WRITERS, "list"), (RESOLVERS, "diary")):
        monkeypatch.delitem(catalog, name)
    problems = [str(problem) for problem in wiring.unserved(deployment())]
    assert len(problems) == 3
    assert any("feeds/test.yaml:8: versions[0].exchange: 'shouting'" in problem for problem in problems)
    assert any("storage.type: 'list' is not served yet; today: local" in problem for problem in problems)
    assert any("keys.test.source" in problem for problem in problems)
